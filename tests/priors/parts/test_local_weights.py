"""The locality of pivotal tuning, by its definition."""

import math

import networks
import pytest
import torch

from invprob.errors import ArgumentError
from invprob.priors.parts.local_weights import LocalWeights
from invprob.priors.stylegan.inputs import SynthesisInputs


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_penalty_is_what_moved_and_trained_networks_draw_apart() -> None:
    """Each image against a network of its own, whose weights are the moved ones."""
    generator = networks.random_generator(dtype=torch.float64)
    started = LocalWeights(radius=1.5, locality=0.3).start(generator, 2, rng())
    pivots = torch.randn(2, 8, 16, generator=rng(1), dtype=torch.float64)
    started.adopt_(SynthesisInputs(styles=pivots))
    for tensor in started.tensors:
        tensor.data.normal_(0, 0.05, generator=rng(2))
    inputs = started.draw(rng(3))
    found = started.regularisers()["locality"]
    z = torch.randn(1, 16, generator=rng(3)).double()
    nearby = generator.mapping(z)[0]
    for image in range(2):
        away = nearby - pivots[image]
        rows = pivots[image] + 1.5 * away / away.square().sum(1, keepdim=True).sqrt()
        changed = networks.random_generator(dtype=torch.float64)
        for name, difference in (inputs.weights or {}).items():
            changed.get_parameter(name).data += difference[image].detach()
        apart = changed.synthesis(rows[None]) - generator.synthesis(rows[None])
        expected = 0.3 * apart.square().mean()
        torch.testing.assert_close(found[image].detach(), expected, rtol=1e-9, atol=0)
        assert expected > 1e-4
    gradients = torch.autograd.grad(found[1], list(started.tensors))
    assert all(one[1].any() and not one[0].any() for one in gradients)


def test_styles_are_drawn_afresh_and_begin_around_the_mean() -> None:
    generator = networks.random_generator(dtype=torch.float64)
    started = LocalWeights(radius=1.0, locality=1.0).start(generator, 1, rng())
    assert torch.equal(started.pivot, generator.mean_w.expand(1, 8, 16))
    found = []
    for seed in (1, 2, 1):
        started.draw(rng(seed))
        found.append(started.nearby.clone())
    assert torch.equal(found[0], found[2]) and not torch.equal(found[0], found[1])
    assert float(started.regularisers()["locality"].detach()) < 1e-28  # nothing has moved


def test_what_cannot_be_is_refused() -> None:
    for radius in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ArgumentError, match="radius must be above 0 and finite"):
            LocalWeights(radius, 1.0)
    for locality in (-1.0, math.nan, math.inf):
        with pytest.raises(ArgumentError, match="locality must be at least 0 and finite"):
            LocalWeights(1.0, locality)
