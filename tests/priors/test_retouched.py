"""Pixels that begin at the image of another prior, and what is kept of that prior."""

from pathlib import Path

import networks
import pytest
import torch

import invprob
from invprob.errors import PriorError
from invprob.operators import Identity
from invprob.priors import Pixels, Prior, StyleGANPrior
from invprob.priors.generator_files import load_generator, save_generator
from invprob.priors.parts import FreeWeights
from invprob.priors.retouched import Retouched
from invprob.priors.stylegan.layers import ToRGB
from invprob.solver.optimisers import Adam
from invprob.testing import check_prior

SHAPE = (3, 32, 32)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def generator_prior(*, scale: float = 1.0) -> StyleGANPrior:
    """A prior whose images leave [-1, 1] where the scale is large."""
    generator = networks.random_generator(dtype=torch.float64)
    for to_rgb in generator.to_rgb:
        assert isinstance(to_rgb, ToRGB)
        to_rgb.weight.data *= scale
    return StyleGANPrior(generator, weights=FreeWeights())


def solved(prior: Prior, steps: int = 3, seed: int = 1) -> invprob.Solution:
    operator = Identity(SHAPE).double()
    truth = torch.rand(2, *SHAPE, generator=rng(seed), dtype=torch.float64) * 2 - 1
    return invprob.solve(
        invprob.measure(truth, operator), operator, prior, optimiser=Adam(0.02), steps=steps
    )


def test_laws() -> None:
    check_prior(Retouched(generator_prior()))


def test_it_starts_at_the_image_of_the_other_prior_within_the_range() -> None:
    inner = generator_prior(scale=5.0)
    prior = Retouched(inner)
    code = prior.start(2, rng())
    mean = inner.mean_image()
    assert (mean.abs() > 1).any()
    torch.testing.assert_close(prior.decode(code, rng()), mean.clamp(-1, 1).expand(2, -1, -1, -1))
    before = solved(inner)
    prior.adopt_(code, before.realised)
    assert torch.equal(prior.decode(code, rng()), before.image.clamp(-1, 1))
    whole = prior.mean_image()
    assert whole is not None and torch.equal(whole, mean)


def test_what_drew_the_first_image_is_kept_while_pixels_move() -> None:
    inner = generator_prior()
    before = solved(inner)
    prior = Retouched(inner)
    operator = Identity(SHAPE).double()
    truth = torch.rand(2, *SHAPE, generator=rng(7), dtype=torch.float64) * 2 - 1
    code = prior.start(2, rng())
    prior.adopt_(code, before.realised)
    found = invprob.solve(
        invprob.measure(truth, operator),
        operator,
        prior,
        optimiser=Adam(0.02),
        steps=3,
        start=code,
    )
    assert set(found.realised) == {*before.realised, "image"}
    assert all(torch.equal(found.realised[name], value) for name, value in before.realised.items())
    assert torch.equal(found.realised["image"], found.image)
    assert not torch.equal(found.image, before.image.clamp(-1, 1))
    assert torch.equal(inner.render(found.realised), before.image)  # its latents can still be used


def test_a_solution_is_saved_and_rendered_again(tmp_path: Path) -> None:
    save_generator(networks.random_generator(), tmp_path / "tiny.safetensors")
    inner = StyleGANPrior(load_generator(tmp_path / "tiny.safetensors"), weights=FreeWeights())
    prior = Retouched(inner)
    operator = Identity(SHAPE)
    truth = torch.rand(1, *SHAPE, generator=rng(1)) * 2 - 1
    found = invprob.solve(
        invprob.measure(truth, operator), operator, prior, optimiser=Adam(0.02), steps=2
    )
    found.save(tmp_path / "solution.safetensors")
    loaded = invprob.Solution.load(tmp_path / "solution.safetensors")
    assert torch.equal(loaded.render(), found.image) and torch.equal(loaded.image, found.image)
    assert set(loaded.realised) == set(found.realised)
    again = Prior.from_spec(loaded.prior_spec)
    assert isinstance(again, Retouched) and again.spec() == prior.spec()
    assert again.spec()["prior"] == inner.spec()
    code = again.start(1, rng())
    mean = generator_prior().float().mean_image().clamp(-1, 1)
    torch.testing.assert_close(again.decode(code, rng()), mean)


def test_solutions_of_other_priors_are_refused() -> None:
    prior = Retouched(generator_prior())
    code = prior.start(2, rng())
    with pytest.raises(PriorError, match="styles is missing: what came before gives image"):
        prior.adopt_(code, solved(Pixels(SHAPE).double()).realised)
    with pytest.raises(PriorError, match=r"weights\.layers\.0\.weight is missing"):
        plain = StyleGANPrior(networks.random_generator(dtype=torch.float64))
        prior.adopt_(code, solved(plain).realised)
