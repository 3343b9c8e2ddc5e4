"""Tone curves, clipping, quantising and saturation against closed formulas and Pillow."""

import math
from collections.abc import Callable

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import torch

from invprob.errors import ArgumentError
from invprob.operators import (
    Brightness,
    Clip,
    Gamma,
    Identity,
    Operator,
    Quantise,
    Saturate,
    compose,
    each,
    stack,
)
from invprob.testing import check_operator

SHAPE = (2, 5, 7)


def _images(low: float = -1.0, high: float = 1.0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(5)
    return low + (high - low) * torch.rand(2, *SHAPE, generator=rng, dtype=torch.float64)


def _light(tensor: torch.Tensor) -> np.ndarray:
    return (tensor.numpy() + 1) / 2


def _gradient(operator: Operator, x: torch.Tensor) -> torch.Tensor:
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(operator.surrogate(x).sum(), x)
    return gradient


def test_brightness_multiplies_the_light() -> None:
    x = _images()
    operator = Brightness(SHAPE, factor=0.3)
    np.testing.assert_allclose(_light(operator(x)), 0.3 * _light(x), atol=1e-15)
    assert float(operator(-torch.ones(1, *SHAPE)).max()) == -1.0
    assert not operator.linear


@pytest.mark.parametrize("exponent", [0.45, 1.0, 2.2])
def test_gamma_is_a_power_of_the_light(exponent: float) -> None:
    levels = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    curve = _light(Gamma((256,), exponent=exponent)(levels[None]))[0]
    np.testing.assert_allclose(curve, (np.arange(256) / 255) ** exponent, atol=1e-14)


@pytest.mark.parametrize("exponent", [0.1, 0.45, 2.2, 30.0])
def test_gamma_has_a_gradient_at_black_and_below(exponent: float) -> None:
    x = torch.tensor([[-1.2, -1.0, -1 + 1e-9, -1 + 2 / 1024]], dtype=torch.float64)
    operator = Gamma((4,), exponent=exponent)
    gradient = _gradient(operator, x)
    assert bool(gradient.isfinite().all())
    assert bool((gradient > 0).all())
    assert float(operator(x)[0, 1]) == -1.0
    across = -1 + 2 / 1024 + torch.tensor([[-1e-12, 0, 1e-12, 1e-12]], dtype=torch.float64)
    assert float(operator(across).diff().abs().max()) < 1e-8


def test_clip_is_numpys() -> None:
    x = _images(-2, 2)
    for low, high in ((-1.0, 1.0), (-0.25, 0.75)):
        operator = Clip(SHAPE, low=low, high=high)
        np.testing.assert_array_equal(operator(x), np.clip(x.numpy(), low, high))
        inside = (x > low) & (x < high)
        assert torch.equal(_gradient(operator, x), inside.double())


def test_quantising_agrees_with_pillow() -> None:
    """Pillow keeps the leading bits; with 2**bits levels that is a staircase of equal steps."""
    grey = np.arange(256, dtype=np.uint8)
    stairs = np.asarray(PIL.ImageOps.posterize(PIL.Image.fromarray(grey[None]), 3))[0] >> 5
    x = torch.from_numpy((stairs / 7) * 2 - 1)[None]
    nearby = x + torch.linspace(-0.9, 0.9, 256, dtype=torch.float64) / 7
    np.testing.assert_allclose(Quantise((256,), levels=8)(nearby), x, atol=1e-14)


@pytest.mark.parametrize("levels", [2, 3, 256])
def test_quantising_takes_the_nearest_level(levels: int) -> None:
    x = _images(-1.3, 1.3)
    y = Quantise(SHAPE, levels=levels)(x)
    allowed = np.linspace(-1, 1, levels)
    nearest = allowed[abs(x.numpy()[..., None] - allowed).argmin(-1)]
    np.testing.assert_allclose(y, nearest, atol=1e-14)


def test_the_quantisers_surrogate_has_its_values_and_the_images_gradient() -> None:
    x, operator = _images(-1.3, 1.3), Quantise(SHAPE, levels=4)
    np.testing.assert_allclose(operator.surrogate(x), operator(x), atol=1e-15)
    assert torch.equal(_gradient(operator, x), torch.ones_like(x))


def test_what_holds_a_quantiser_is_not_smooth() -> None:
    rounding, same = Quantise(SHAPE, levels=4), Identity(SHAPE)
    assert same.smooth and not rounding.smooth
    for make in (compose, stack, each):
        assert make([same, same]).smooth
        assert not make([same, rounding]).smooth


@pytest.mark.parametrize("knee", [0.01, 0.05, 0.5])
def test_saturation_is_a_softened_minimum(knee: float) -> None:
    x, gain = _images(-1.2, 1.2), 3.0
    exposure = gain * _light(x)
    expected = 1 - knee * np.log1p(np.exp((1 - exposure) / knee))
    np.testing.assert_allclose(_light(Saturate(SHAPE, gain, knee)(x)), expected, atol=1e-12)
    hard = _light(Saturate(SHAPE, gain, knee=0.0)(x))
    np.testing.assert_allclose(hard, np.minimum(exposure, 1), atol=1e-14)
    assert abs(expected - hard).max() <= knee * math.log(2)
    assert bool((_gradient(Saturate(SHAPE, gain, knee), x) > 0).all())


def test_saturation_is_finite_far_away() -> None:
    x = torch.tensor([[-50.0, 0.0, 50.0]], dtype=torch.float64)
    operator = Saturate((3,), gain=100.0, knee=0.01)
    assert bool(operator(x).isfinite().all())
    assert bool(_gradient(operator, x).isfinite().all())
    assert float(operator(x).max()) <= 1.0


@pytest.mark.parametrize("shape", [(3, 19, 17), (1, 16, 8), (5,)], ids=str)
def test_the_contract_at_other_shapes(shape: tuple[int, ...]) -> None:
    for operator in (
        Brightness(shape, factor=2.0),
        Gamma(shape, exponent=0.45),
        Clip(shape, low=-0.5),
        Quantise(shape, levels=16),
        Saturate(shape, knee=0.0),
        Saturate(shape, gain=0.5, knee=0.2),
    ):
        check_operator(operator)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Brightness(SHAPE, factor=0.0), "factor must be above 0"),
        (lambda: Brightness(SHAPE, factor=math.nan), "factor must be a finite number"),
        (lambda: Gamma(SHAPE, exponent=-1.0), "exponent must be above 0"),
        (lambda: Clip(SHAPE, low=0.5, high=0.5), "low must be below high"),
        (lambda: Clip(SHAPE, low=-math.inf), "low must be a finite number"),
        (lambda: Quantise(SHAPE, levels=1), "levels must be at least 2"),
        (lambda: Quantise(SHAPE, levels=2.5), "levels must be an int"),  # type: ignore[arg-type]
        (lambda: Saturate(SHAPE, gain=0.0), "gain must be above 0"),
        (lambda: Saturate(SHAPE, knee=-0.1), "knee must be at least 0"),
    ],
)
def test_bad_options_are_named(build: Callable[[], Operator], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build()
