"""The stages of the methods that move weights, and what they refuse."""

from dataclasses import replace
from typing import Any

import networks
import numpy as np
import pytest
import torch

import invprob
from invprob.errors import ArgumentError
from invprob.methods import Recipe, make
from invprob.operators import JPEG, DenseGaussian, Gamma, GaussianNoise, Operator, Quantise
from invprob.priors.retouched import Retouched
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.solver.stages import solve_stages

ADAPTED = ("sphinx-adapted", "iagan", "pti")


def recipe(name: str, operator: Operator, **more: Any) -> Recipe:
    generator = networks.random_generator(dtype=torch.float64)
    made = make(
        name,
        generator,
        generator.image_shape,
        measurement_shape=operator.measurement_shape,
        smooth=operator.smooth,
        linear=operator.linear,
        **more,
    )
    for stage in made.stages:
        stage.prior.double()
    return made


def data(operator: Operator) -> invprob.Measurements:
    rng = torch.Generator().manual_seed(5)
    truth = torch.rand(2, 3, 32, 32, generator=rng, dtype=torch.float64) * 2 - 1
    return invprob.measure(truth, operator)


def moves_weights(recipe: Recipe) -> list[bool]:
    """Of each stage that searches the generator, whether its weights are free."""
    priors = [one.prior for one in recipe.stages if isinstance(one.prior, StyleGANPrior)]
    codes = [prior.start(1, torch.Generator().manual_seed(0)) for prior in priors]
    return [any(True for _ in code.weights.parameters()) for code in codes]


def test_iagan_ends_on_the_measurements() -> None:
    """x + A⁺(y - A x), of the image that the second stage found within [-1, 1]."""
    operator = DenseGaussian((3, 32, 32), ratio=0.04, seed=2).double()
    measurements, made = data(operator), recipe("iagan", operator, coarse=32)
    stages = [replace(stage, steps=n) for stage, n in zip(made.stages, (3, 3, 60), strict=True)]
    before = solve_stages(replace(made, stages=stages[:2]).task(measurements, operator))
    found = solve_stages(replace(made, stages=stages).task(measurements, operator))
    matrix = np.asarray(invprob.testing.dense(operator), np.float64)
    x, y = before.image.clamp(-1, 1).flatten(1).numpy(), measurements.values.numpy()
    assert np.abs(x).max() == 1  # so that the bounds play a part
    expected = x + (y - x @ matrix.T) @ np.linalg.pinv(matrix).T
    np.testing.assert_allclose(found.image.flatten(1), expected, atol=1e-5)
    assert np.abs(expected - x).max() > 0.1


@pytest.mark.parametrize(
    ("name", "more", "moved"),
    [
        ("sphinx-adapted", {}, [False, True]),
        ("sphinx-adapted", {"weights": "trained"}, [False, False]),
        ("iagan", {}, [False, True]),
        ("pti", {}, [False, True]),
        ("pti", {"locality": 0}, [False, True]),
    ],
)
def test_weights_move_in_the_second_stage(
    name: str, more: dict[str, Any], moved: list[bool]
) -> None:
    made = recipe(name, DenseGaussian((3, 32, 32), ratio=0.04), coarse=32, **more)
    assert moves_weights(made) == moved


def test_pixels_are_free_at_the_end_where_that_is_possible() -> None:
    linear = DenseGaussian((3, 32, 32), ratio=0.04)
    noise = {"noise": GaussianNoise(sigma=0.1)}
    for name, operator, more, free in (
        ("sphinx-adapted", linear, {}, True),
        ("sphinx-adapted", linear, noise, True),
        ("sphinx-adapted", linear, {**noise, "data_term": "likelihood"}, False),
        ("sphinx-adapted", Gamma((3, 32, 32), exponent=2.0), {}, False),
        ("sphinx-adapted", JPEG((3, 32, 32), quality=20), {}, False),
        ("iagan", linear, {}, True),
        ("iagan", linear, noise, False),
        ("iagan", Quantise((3, 32, 32), levels=4), {}, False),
    ):
        made = recipe(name, operator, **more)
        assert isinstance(made.stages[-1].prior, Retouched) == free, (name, operator, more)


@pytest.mark.parametrize("name", ADAPTED)
def test_an_operator_that_rounds_is_solved(name: str) -> None:
    operator = JPEG((3, 32, 32), quality=20).double()
    made = recipe(name, operator)
    measurements = data(operator)
    misfits = []
    for steps in (len(made.stages), 24):
        found = solve_stages(made.task(measurements, operator, steps=steps))
        assert "weights.layers.0.weight" in found.realised
        misfits.append((operator(found.image) - measurements.values).square().mean((1, 2, 3)))
    assert (misfits[1] < misfits[0]).all()


@pytest.mark.parametrize("name", ADAPTED)
def test_weights_do_not_move_in_half_precision(name: str) -> None:
    generator = networks.random_generator()
    generator.precision = "bf16"
    forms: list[dict[str, Any]] = [{}, {"locality": 0} if name == "pti" else {}]
    for more in forms:
        with pytest.raises(ArgumentError, match=r"need float32.*--precision float32"):
            make(name, generator, generator.image_shape, **more)
    made = make("sphinx-adapted", generator, generator.image_shape, weights="trained")
    assert not any(moves_weights(made))


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("sphinx-adapted", {"learning_rate": 0.0}, "learning_rate must be positive and finite"),
        ("sphinx-adapted", {"finish": "none", "fidelity": -1.0}, "fidelity must be finite"),
        ("sphinx-adapted", {"weights": "trained", "weight_rate": 0.0}, "weight_rate must be"),
        ("sphinx-adapted", {"linear": False, "finish": "pixels"}, "linear operator.*finish = none"),
        (
            "sphinx-adapted",
            {"noise": GaussianNoise(sigma=0.1), "data_term": "stochastic", "finish": "pixels"},
            "squared misfit, not by 'stochastic'; leave them out",
        ),
        ("iagan", {"learning_rate": 0.0}, "learning_rate must be positive and finite, not 0"),
        ("iagan", {"weight_rate": float("inf")}, "weight_rate must be positive and finite"),
        ("pti", {"locality": 0.0, "radius": 0.0}, "radius must be above 0"),
        ("pti", {"weight_rate": -1.0}, "weight_rate must be positive and finite, not -1"),
    ],
)
def test_options_out_of_range_are_refused(name: str, more: dict[str, Any], message: str) -> None:
    generator = networks.random_generator()
    with pytest.raises(ArgumentError, match=message):
        make(name, generator, generator.image_shape, **more)
