"""Geometric transforms against NumPy's exact moves and SciPy's affine transform."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch

from invprob.errors import ArgumentError
from invprob.operators import Operator, Rotate, Scale, Translate
from invprob.testing import check_operator, dense


def _images(shape: tuple[int, ...]) -> torch.Tensor:
    rng = torch.Generator().manual_seed(5)
    return 2 * torch.rand(2, *shape, generator=rng, dtype=torch.float64) - 1


def _by_scipy(images: torch.Tensor, matrix: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    """Sample at matrix @ (row, column) about the centre, less the shift; zeros outside."""
    middle = (np.array(images.shape[2:]) - 1) / 2
    offset: Any = middle - matrix @ middle - np.array(shift)  # annotated as a float in SciPy
    moved = np.empty(images.shape)
    for b, c in np.ndindex(*images.shape[:2]):
        moved[b, c] = scipy.ndimage.affine_transform(
            images[b, c].numpy(), matrix, offset, order=1, mode="grid-constant", cval=0.0
        )
    return moved


@pytest.mark.parametrize("quarters", [-5, -1, 0, 1, 2, 3, 4, 402])
@pytest.mark.parametrize("size", [8, 9])
def test_quarter_turns_are_exact(quarters: int, size: int) -> None:
    x = _images((3, size, size)).float()
    turned = Rotate((3, size, size), degrees=90.0 * quarters)(x)
    np.testing.assert_array_equal(turned, np.rot90(x.numpy(), quarters, axes=(2, 3)))


def test_half_turns_are_exact_for_any_shape() -> None:
    x = _images((1, 7, 4)).float()
    assert torch.equal(Rotate((1, 7, 4), degrees=180)(x), x.flip((2, 3)))


@pytest.mark.parametrize(
    ("dx", "dy"), [(0, 0), (2, 0), (0, 3), (-1, 2), (-7, -5), (9, 0), (1e30, 0)]
)
def test_whole_pixels_are_exact(dx: float, dy: float) -> None:
    x = _images((3, 6, 8)).float()
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (12, 12), (12, 12)))
    moved = np.roll(padded, (int(dy), int(min(dx, 9))), axis=(2, 3))[:, :, 12:18, 12:20]
    np.testing.assert_array_equal(Translate((3, 6, 8), dx=dx, dy=dy)(x), moved)


@pytest.mark.parametrize("shape", [(3, 9, 9), (1, 12, 7)])
@pytest.mark.parametrize("degrees", [10.0, -37.0, 45.0, 135.0, 271.0])
def test_rotation_agrees_with_scipy(shape: tuple[int, ...], degrees: float) -> None:
    # In (row, column): a content turned counter-clockwise by t is sampled turned clockwise.
    t = math.radians(degrees)
    matrix = np.array([[math.cos(t), math.sin(t)], [-math.sin(t), math.cos(t)]])
    x = _images(shape)
    np.testing.assert_allclose(
        Rotate(shape, degrees=degrees)(x), _by_scipy(x, matrix, (0, 0)), atol=1e-9
    )


@pytest.mark.parametrize(("dx", "dy"), [(0.25, 0.0), (-1.5, 2.75), (0.0, 6.9)])
def test_parts_of_pixels_agree_with_scipy(dx: float, dy: float) -> None:
    x = _images((2, 9, 7))
    np.testing.assert_allclose(
        Translate((2, 9, 7), dx=dx, dy=dy)(x), _by_scipy(x, np.eye(2), (dy, dx)), atol=1e-9
    )


@pytest.mark.parametrize("factor", [0.3, 0.5, 1.0, 1.7, 4.0])
@pytest.mark.parametrize("shape", [(3, 9, 9), (1, 12, 7)])
def test_scaling_agrees_with_scipy(shape: tuple[int, ...], factor: float) -> None:
    x = _images(shape)
    np.testing.assert_allclose(
        Scale(shape, factor=factor)(x), _by_scipy(x, np.eye(2) / factor, (0, 0)), atol=1e-9
    )


def test_enlarging_enlarges() -> None:
    x = torch.zeros(1, 1, 9, 9)
    x[..., 4, 4] = 1
    assert float(Scale((1, 9, 9), factor=2.0)(x).sum()) == pytest.approx(4.0)
    assert float(Scale((1, 9, 9), factor=2.0)(x)[0, 0, 4, 4]) == 1.0


@pytest.mark.parametrize(
    "operator",
    [
        Rotate((3, 19, 17), degrees=23.0),
        Rotate((1, 16, 8), degrees=90.0),
        Translate((3, 19, 17), dx=0.5, dy=-3.25),
        Translate((1, 16, 8), dx=100.0),
        Scale((3, 19, 17), factor=0.4),
        Scale((1, 16, 8), factor=3.0),
    ],
    ids=repr,
)
def test_the_contract_at_awkward_shapes(operator: Operator) -> None:
    check_operator(operator)


def test_the_adjoint_is_not_the_reverse_turn() -> None:
    operator, back = Rotate((1, 8, 8), degrees=30.0), Rotate((1, 8, 8), degrees=-30.0)
    y = _images((1, 8, 8))
    matrix = dense(operator).numpy()
    np.testing.assert_allclose(
        operator.adjoint(y).flatten(1), y.flatten(1).numpy() @ matrix, atol=1e-12
    )
    assert float((operator.adjoint(y) - back(y)).norm() / y.norm()) > 1e-3


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_arguments_must_be_finite(value: float) -> None:
    for build in (
        lambda: Rotate((3, 8, 8), degrees=value),
        lambda: Translate((3, 8, 8), dx=value),
        lambda: Translate((3, 8, 8), dy=value),
        lambda: Scale((3, 8, 8), factor=value),
    ):
        with pytest.raises(ArgumentError, match="must be a finite number"):
            build()


@pytest.mark.parametrize("factor", [0.0, -1.0, 1e-320])
def test_factors_must_be_positive(factor: float) -> None:
    with pytest.raises(ArgumentError, match="above 0"):
        Scale((3, 8, 8), factor=factor)


def test_images_have_three_axes() -> None:
    with pytest.raises(ArgumentError, match="channels, height, width"):
        Rotate((64,), degrees=1.0)
    with pytest.raises(ArgumentError, match="degrees must be a number, got 'ten'"):
        Rotate((3, 8, 8), degrees="ten")  # type: ignore[arg-type]
