"""Weights as free variables: rates, names, penalty, and how one solution goes on from another."""

import math
from collections.abc import Mapping

import networks
import numpy as np
import pytest
import torch
from torch import Tensor

import invprob
from invprob.errors import ArgumentError, PriorError
from invprob.operators import Identity
from invprob.priors import StyleGANPrior
from invprob.priors.parts import FreeWeights, Frozen, Part, TrainedWeights, WPlus
from invprob.priors.parts.local_weights import LocalWeights
from invprob.priors.parts.weights import StartedWeights
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.priors.stylegan.synthesis import synthesise
from invprob.schedules import constant
from invprob.solver.optimisers import Adam
from invprob.solver.stages import solve_stages
from invprob.solver.task import Stage, Task
from invprob.testing import check_prior

GENERATOR = networks.random_generator(dtype=torch.float64)
CONVOLUTIONS = {name for name, value in GENERATOR.named_parameters() if value.ndim == 4}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def size(name: str) -> float:
    return float(np.sqrt((GENERATOR.get_parameter(name).numpy() ** 2).mean()))


def moved(part: FreeWeights, seed: int = 0, share: float = 0.1) -> StartedWeights:
    """Two images whose weights differ from the trained ones by a share of their size."""
    started = part.start(GENERATOR, 2, rng())
    for name, tensor in zip(started.names, started.tensors, strict=True):
        noise = torch.randn(tensor.shape, generator=rng(seed), dtype=torch.float64)
        tensor.data.copy_(share * size(name) * noise)
    return started


def data(seed: int = 5) -> tuple[invprob.Measurements, invprob.Operator]:
    operator = Identity((3, 32, 32)).double()
    truth = torch.rand(2, 3, 32, 32, generator=rng(seed), dtype=torch.float64) * 2 - 1
    return invprob.measure(truth, operator), operator


@pytest.mark.parametrize(
    "part",
    [
        FreeWeights(),
        FreeWeights(layers=[1, 4], distance=0.3),
        LocalWeights(3.0, 0.1),
        Frozen(FreeWeights(colours="trained")),
    ],
)
def test_laws(part: Part) -> None:
    check_prior(StyleGANPrior(GENERATOR, weights=part))


def test_a_first_step_of_adam_moves_each_number_by_the_rate_times_the_size_of_its_tensor() -> None:
    """Adam's first step is as long as the learning rate, whatever the gradient."""
    prior = StyleGANPrior(GENERATOR, weights=FreeWeights(lr_scale=0.5))
    found = invprob.solve(
        *data(), prior, optimiser=Adam(0.02, epsilon=1e-30), schedule=constant(), steps=1
    )
    for index, name in enumerate(FreeWeights().names(GENERATOR)):
        tensor = found.code[f"weights.tensors.{index}"]
        expected = torch.full_like(tensor, 0.5 * 0.02 * size(name))
        torch.testing.assert_close(tensor.abs(), expected, rtol=1e-6, atol=0)


def test_a_tensor_of_zeros_moves_at_the_plain_rate() -> None:
    generator = networks.random_generator(dtype=torch.float64)
    generator.get_parameter("to_rgb.1.weight").data.zero_()
    started = FreeWeights(lr_scale=0.5).start(generator, 1, rng())
    scales = dict(zip(started.names, (group.lr_scale for group in started.groups()), strict=True))
    assert scales["to_rgb.1.weight"] == 0.5
    assert scales["layers.1.weight"] == pytest.approx(0.5 * size("layers.1.weight"))


def test_the_weights_of_convolutions_move() -> None:
    names = FreeWeights().names(GENERATOR)
    assert len(names) == len(set(names)) and set(names) == CONVOLUTIONS
    assert set(FreeWeights(colours="trained").names(GENERATOR)) == {
        name for name in CONVOLUTIONS if name.startswith("layers.")
    }
    assert FreeWeights(layers=[5, 2, 5]).names(GENERATOR) == [
        *("layers.2.weight", "to_rgb.1.weight", "layers.5.weight")
    ]
    assert FreeWeights(layers=[3], colours="trained").names(GENERATOR) == ["layers.3.weight"]


def test_a_larger_generator_goes_on_with_the_weights_of_the_smaller_one() -> None:
    """Tensors are handed on by their numbers, as from coarse to fine."""
    part = FreeWeights()
    small = part.start(GENERATOR.truncate(16), 2, rng())
    for tensor in small.tensors:
        tensor.data.normal_(generator=rng())
    large = StyleGANPrior(GENERATOR, weights=part).start(2, rng())
    large.load_smaller_({f"weights.{name}": value for name, value in small.state_dict().items()})
    first, second = (each.draw(rng()).weights or {} for each in (small, large.weights))
    assert set(first) < set(second)
    for name, tensor in second.items():
        assert torch.equal(tensor, first.get(name, torch.zeros_like(tensor)))


def test_the_distance_is_that_of_the_formula() -> None:
    """distance · mean over tensors of mean((W - W_trained)²) / mean(W_trained²)."""
    started = moved(FreeWeights(layers=[0, 3], distance=0.7))
    (name, found), *others = started.regularisers().items()
    assert (name, others) == ("weights", [])
    expected = np.zeros(2)
    for tensor_name, tensor in zip(started.names, started.tensors, strict=True):
        squares = tensor.detach().numpy() ** 2
        expected += squares.reshape(2, -1).mean(1) / size(tensor_name) ** 2
    np.testing.assert_allclose(found.detach(), 0.7 * expected / 3, rtol=1e-12)
    assert moved(FreeWeights()).regularisers() == {}


def test_a_solution_keeps_half_precision_of_which_the_image_shows_nothing() -> None:
    started = moved(FreeWeights())
    styles = WPlus().start(GENERATOR, 2, rng()).draw(rng()).styles
    drawn, settled = started.draw(rng()).weights, started.settle(rng()).weights
    assert settled and {value.dtype for value in settled.values()} == {torch.float16}
    first, second = (
        synthesise(GENERATOR, SynthesisInputs(styles=styles, weights=weights))
        for weights in (drawn, settled)
    )
    plain = synthesise(GENERATOR, SynthesisInputs(styles=styles))
    assert (first - plain).norm() > 0.05 * plain.norm()
    assert 0 < (first - second).norm() < 1e-4 * first.norm()


def test_weights_go_on_from_another_solution() -> None:
    before = moved(FreeWeights(layers=[0, 3]))
    inputs = before.settle(rng())
    after = moved(FreeWeights(), seed=1)
    after.adopt_(inputs)
    kept: Mapping[str, Tensor] = inputs.weights or {}
    for name, tensor in zip(after.names, after.tensors, strict=True):
        assert torch.equal(tensor, kept.get(name, torch.zeros(())).double().expand_as(tensor))
    after.adopt_(SynthesisInputs())
    assert not any(tensor.any() for tensor in after.tensors)


def test_no_weights_are_lost() -> None:
    before = moved(FreeWeights(layers=[0, 3])).settle(rng())
    fewer = FreeWeights(layers=[3]).start(GENERATOR, 2, rng())
    with pytest.raises(PriorError, match=r"layers\.0\.weight was moved before.*let FreeWeights"):
        fewer.adopt_(before)
    trained = TrainedWeights().start(GENERATOR, 2, rng())
    with pytest.raises(PriorError, match="trained weights cannot start from others; use Free"):
        trained.adopt_(before)
    nothing = FreeWeights().start(GENERATOR, 2, rng()).settle(rng())
    for part in (fewer, trained):
        part.adopt_(nothing)
        part.adopt_(SynthesisInputs())
    assert trained.draw(rng()).weights is None


def test_frozen_weights_stay_while_styles_move() -> None:
    measurements, operator = data()
    stages = [
        Stage(
            StyleGANPrior(GENERATOR, weights=part),
            [invprob.losses.DataMisfit()],
            Adam(0.02),
            constant(),
            2,
        )
        for part in (FreeWeights(), Frozen(FreeWeights()))
    ]
    first = solve_stages(Task(measurements, operator, stages[:1]))
    both = solve_stages(Task(measurements, operator, stages))
    names = [f"weights.{name}" for name in CONVOLUTIONS]
    assert all(torch.equal(both.realised[name], first.realised[name]) for name in names)
    assert all(first.realised[name].any() for name in names)
    assert not torch.equal(both.realised["styles"], first.realised["styles"])
    assert torch.equal(both.render(), both.image)


def test_what_cannot_be_is_refused() -> None:
    for layers in ([], [-1, 2]):
        with pytest.raises(ArgumentError, match="layers must name synthesis layers from 0 on"):
            FreeWeights(layers=layers)
    for distance in (-1.0, math.nan, math.inf):
        with pytest.raises(ArgumentError, match="distance must be finite and at least 0"):
            FreeWeights(distance=distance)
    with pytest.raises(ArgumentError, match="lr_scale must be positive"):
        FreeWeights(lr_scale=0.0)
    with pytest.raises(ArgumentError, match="from 0 to 6 of this generator, not 7"):
        FreeWeights(layers=[7]).start(GENERATOR, 1, rng())
