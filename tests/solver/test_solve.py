"""The loop, on priors small enough to know the answer."""

from collections.abc import Callable
from typing import Any

import networks
import pytest
import torch
from free_pixels import Pixels, images
from torch import Tensor, nn

import invprob
from invprob import methods
from invprob.callbacks import Callback, Iterate, Snapshot, Stop
from invprob.errors import ArgumentError, MeasurementError, ShapeError
from invprob.operators import (
    Identity,
    PartialCirculant,
)
from invprob.priors import Code
from invprob.registry import register
from invprob.schedules import constant
from invprob.solver.optimisers import Adam
from invprob.streams import stream


def test_pixels_go_to_the_least_squares_solution() -> None:
    """From a start of 0 gradient descent on pixels ends at A⁺y; Adam gets the data right."""
    shape = (3, 8, 8)
    operator = PartialCirculant(shape, ratio=0.5, seed=1).double()
    truth = images(2, *shape)
    measurements = invprob.measure(truth, operator)
    solution = invprob.solve(measurements, operator, Pixels(shape), optimiser=Adam(0.02), steps=600)
    assert solution.outcome.status == "finished"
    misfit = (operator(solution.image) - operator(truth)).square().sum() / truth.numel()
    assert misfit < 1e-6
    assert solution.trace["misfit"].shape == (600, 2)
    assert solution.trace["total"][-1].max() < 1e-6


def test_adam_and_the_trapezoid_step_by_hand() -> None:
    """Three steps against Adam written out, with the learning rate of the published schedule."""
    shape = (1, 2, 2)
    truth = images(1, *shape)
    measurements = invprob.measure(truth, Identity(shape))
    prior = Pixels(shape)
    steps, rate = 4, 0.1
    solution = invprob.solve(
        measurements, Identity(shape), prior, optimiser=Adam(rate), steps=steps, seed=5
    )

    code = prior.start(1, stream(5, "start"))
    x = code.pixels.detach().clone()
    first, second = torch.zeros_like(x), torch.zeros_like(x)
    target = measurements.values.to(x)
    for k in range(steps):
        gradient = 2 * (x - target) / 4
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        t = k / steps
        lr = (
            rate
            * min(1, t / 0.05)
            * (
                0.5
                - 0.5 * torch.cos(torch.tensor(3.141592653589793) * min(1, (1 - t) / 0.25)).item()
            )
        )
        x = x - lr * (first / (1 - 0.9 ** (k + 1))) / (
            (second / (1 - 0.999 ** (k + 1))).sqrt() + 1e-8
        )
    torch.testing.assert_close(solution.image, x, rtol=1e-6, atol=1e-8)


METHODS = [
    ("sphinx", {"noise_maps": "free", "content": "head"}),
    ("sphinx", {"noise_maps": "stored", "content": "constant", "readout": "last"}),
    ("sphinx", {"noise_maps": "stored", "content": "constant", "around": "zero"}),
    ("w-plus", {}),
    ("w-plus-s-b", {"noise_regulariser": 1.0}),
]


def recipe_and_data(
    name: str, options: dict[str, Any], batch: int
) -> tuple[methods.Recipe, invprob.Measurements, invprob.Operator]:
    generator = networks.random_generator(dtype=torch.float64)
    operator = PartialCirculant(generator.image_shape, ratio=0.1, seed=2).double()
    truth = images(batch, *generator.image_shape)
    recipe = methods.make(
        name,
        generator,
        generator.image_shape,
        measurement_shape=operator.measurement_shape,
        coarse=generator.resolution,  # in one stage
        **options,
    )
    return recipe, invprob.measure(truth, operator), operator


def run(
    recipe: methods.Recipe,
    measurements: invprob.Measurements,
    operator: invprob.Operator,
    **more: Any,
) -> invprob.Solution:
    (stage,) = recipe.stages
    return invprob.solve(
        measurements,
        operator,
        stage.prior,
        terms=stage.terms,
        optimiser=stage.optimiser,
        schedule=stage.schedule,
        **{"steps": 20, **more},  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(("name", "options"), METHODS)
def test_images_of_a_batch_are_solved_independently(name: str, options: dict[str, Any]) -> None:
    recipe, measurements, operator = recipe_and_data(name, options, 3)
    together = run(recipe, measurements, operator)
    for index in range(3):
        alone = invprob.Measurements.from_array(measurements.values[index : index + 1], operator)
        single = run(recipe, alone, operator)
        difference = (single.image[0] - together.image[index]).norm() / single.image.norm()
        assert difference < 1e-8


@pytest.mark.parametrize(("name", "options"), METHODS)
def test_the_loss_goes_down_and_the_solution_renders_again(
    name: str, options: dict[str, Any], tmp_path: object
) -> None:
    recipe, measurements, operator = recipe_and_data(name, options, 2)
    solution = run(recipe, measurements, operator, steps=60)
    assert (solution.trace["misfit"][-1] < 0.9 * solution.trace["misfit"][0]).all()
    assert torch.equal(solution.render(), solution.image)
    path = f"{tmp_path}/solution.safetensors"
    solution.save(path)
    loaded = invprob.Solution.load(path)
    assert torch.equal(loaded.render(recipe.prior), solution.image)
    assert loaded.outcome == solution.outcome
    assert set(loaded.code) == set(solution.code)
    assert all(torch.equal(loaded.code[key], solution.code[key]) for key in loaded.code)
    assert torch.equal(loaded.trace["total"], solution.trace["total"])


class SnapshotAt(Callback):
    def __init__(self, taken: int) -> None:
        self.taken = taken
        self.snapshot: Snapshot | None = None

    def on_step(self, iterate: Iterate) -> Stop | None:
        if iterate.taken == self.taken:
            self.snapshot = iterate.snapshot()
            return Stop("enough")
        return None


@pytest.mark.parametrize(("name", "options"), METHODS)
def test_a_resumed_solve_ends_where_an_uninterrupted_one_does(
    name: str, options: dict[str, Any]
) -> None:
    recipe, measurements, operator = recipe_and_data(name, options, 2)
    whole = run(recipe, measurements, operator, steps=15)
    pause = SnapshotAt(7)
    first = run(recipe, measurements, operator, steps=15, callbacks=[pause])
    assert first.outcome.status == "stopped"
    assert first.steps == 7
    assert "enough" in str(first.outcome)
    second = run(recipe, measurements, operator, steps=15, snapshot=pause.snapshot)
    assert torch.equal(second.image, whole.image)
    assert all(torch.equal(second.code[key], whole.code[key]) for key in whole.code)
    assert all(torch.equal(second.trace[key], whole.trace[key]) for key in whole.trace)


def test_seeds_matter_and_repeat() -> None:
    recipe, measurements, operator = recipe_and_data("sphinx", {}, 1)
    assert torch.equal(
        run(recipe, measurements, operator, seed=1).image,
        run(recipe, measurements, operator, seed=1).image,
    )
    assert not torch.equal(
        run(recipe, measurements, operator, seed=1).image,
        run(recipe, measurements, operator, seed=2).image,
    )


def test_the_generator_stays_frozen() -> None:
    recipe, measurements, operator = recipe_and_data("sphinx", {}, 1)
    before = {name: value.clone() for name, value in recipe.prior.state_dict().items()}
    run(recipe, measurements, operator)
    after = recipe.prior.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(value.grad is None for value in recipe.prior.parameters())


def test_divergence_is_an_outcome() -> None:
    shape = (1, 4, 4)

    class Exploding(Pixels):
        def decode(self, code: Code, rng: torch.Generator) -> Tensor:
            return (super().decode(code, rng) * 1e200) ** 2

    measurements = invprob.measure(images(1, *shape), Identity(shape))
    solution = invprob.solve(measurements, Identity(shape), Exploding(shape), steps=100)
    assert solution.outcome.status == "diverged"
    assert "learning rate" in str(solution.outcome)
    assert solution.steps < 100


def refused(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_what_does_not_fit_is_refused() -> None:
    shape = (1, 4, 4)
    operator, prior = Identity(shape), Pixels(shape)
    measurements = invprob.measure(images(1, *shape), operator)
    refused(
        lambda: invprob.solve(measurements, operator, prior, steps=0),
        ArgumentError,
        "steps must be at least 1, not 0",
    )
    refused(
        lambda: invprob.solve(measurements, operator, Pixels((1, 8, 8)), steps=1),
        ShapeError,
        "the prior draws",
    )
    mine, other = (PartialCirculant(shape, ratio=0.5, seed=seed) for seed in (1, 2))
    circulant_values = invprob.measure(images(1, *shape), mine)
    refused(
        lambda: invprob.solve(circulant_values, other, prior, steps=1),
        MeasurementError,
        "fingerprint",
    )
    recipe, values, circulant = recipe_and_data("w-plus", {}, 1)
    pause = SnapshotAt(2)
    run(recipe, values, circulant, callbacks=[pause])
    assert pause.snapshot is not None
    sphinx, _, _ = recipe_and_data("sphinx", {}, 1)
    refused(
        lambda: run(sphinx, values, circulant, snapshot=pause.snapshot),
        ArgumentError,
        "other free variables",
    )


def test_schedules_reach_only_the_groups_that_follow_them() -> None:
    from invprob.priors.base import ParamGroup

    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    stepper = Adam(0.5).start([ParamGroup([a], 2.0), ParamGroup([b], 1.0, scheduled=False)])
    (a + b).sum().backward()
    stepper.step(0.1, torch.zeros(1))
    assert a.item() == pytest.approx(-0.5 * 2.0 * 0.1)
    assert b.item() == pytest.approx(-0.5)


def test_constant_schedule_runs_the_whole_way() -> None:
    shape = (1, 4, 4)
    truth = images(1, *shape)
    solution = invprob.solve(
        invprob.measure(truth, Identity(shape)),
        Identity(shape),
        Pixels(shape),
        optimiser=Adam(0.05),
        schedule=constant(),
        steps=300,
    )
    torch.testing.assert_close(solution.image, truth, atol=1e-2, rtol=0)


def test_methods_are_registered_with_a_purpose() -> None:
    assert {"sphinx", "w-plus", "w-plus-s-b"} <= set(register.method)
    assert all(register.method[name].__doc__ for name in register.method)
