"""Down-sampling against Pillow, PyTorch's antialiased interpolation, and repeated pixels."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from invprob.errors import ArgumentError
from invprob.operators import AreaDownsample, BicubicDownsample, LinearOperator
from invprob.testing import check_operator, dense

KINDS = [AreaDownsample, BicubicDownsample]


def _images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def _by_repetition(image: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.float64]:
    """Make every pixel rows x columns small ones, and average over blocks of the image's size."""
    height, width = image.shape
    fine = image.repeat(rows, 0).repeat(columns, 1)
    means: NDArray[np.float64] = fine.reshape(rows, height, columns, width).mean((1, 3))
    return means


@pytest.mark.parametrize("size", [(8, 12), (37, 31), (5, 7)], ids=str)
@pytest.mark.parametrize("factor", [1, 2, 2.5, 3, 4.1])
def test_areas_are_means_over_what_is_covered(size: tuple[int, int], factor: float) -> None:
    operator = AreaDownsample((2, *size), factor=factor)
    rows, columns = round(size[0] / factor), round(size[1] / factor)
    assert operator.measurement_shape == (2, rows, columns)
    x = _images(2, 2, *size)
    for image, measured in zip(x.flatten(0, 1), operator(x).flatten(0, 1), strict=True):
        expected = _by_repetition(image.numpy(), rows, columns)
        np.testing.assert_allclose(measured, expected, atol=1e-13)


def test_whole_factors_average_blocks() -> None:
    x = _images(2, 3, 12, 20)
    pooled = functional.avg_pool2d(x, 4)
    torch.testing.assert_close(AreaDownsample((3, 12, 20), factor=4)(x), pooled)


@pytest.mark.parametrize("size", [(8, 12), (37, 31), (64, 50)], ids=str)
@pytest.mark.parametrize("factor", [1, 2, 2.5, 3, 4.1, 7.9])
def test_the_cubic_is_pytorchs_and_pillows(size: tuple[int, int], factor: float) -> None:
    operator = BicubicDownsample((2, *size), factor=factor)
    rows, columns = round(size[0] / factor), round(size[1] / factor)
    assert operator.measurement_shape == (2, rows, columns)
    x = _images(2, 2, *size)
    expected = functional.interpolate(
        x, size=(rows, columns), mode="bicubic", antialias=True, align_corners=False
    )
    torch.testing.assert_close(operator(x), expected, rtol=0, atol=1e-12)
    picture = Image.fromarray(x[0, 0].numpy().astype(np.float32))
    pillows = np.asarray(picture.resize((columns, rows), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(operator(x)[0, 0], pillows, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [1, 2, 3.3, 8])
def test_the_closed_forms_are_those_of_the_dense_matrix(
    kind: type[AreaDownsample], factor: float
) -> None:
    operator = kind((2, 8, 11), factor=factor)
    matrix = dense(operator)
    y = _images(2, *operator.measurement_shape)
    back = (y.flatten(1) @ matrix).view(2, 2, 8, 11)
    torch.testing.assert_close(operator.adjoint(y), back, rtol=0, atol=1e-12)
    derived = LinearOperator.adjoint(operator, y)
    torch.testing.assert_close(operator.adjoint(y), derived, rtol=0, atol=1e-12)
    expected = (y.flatten(1) @ torch.linalg.pinv(matrix).T).view(2, 2, 8, 11)
    torch.testing.assert_close(operator.pinv(y), expected, rtol=0, atol=1e-10)
    assert operator.norm() == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(3, 19, 17), (1, 16, 8), (2, 1, 5)], ids=str)
def test_the_contract_at_awkward_shapes(kind: type[AreaDownsample], shape: tuple[int, ...]) -> None:
    check_operator(kind(shape, factor=1.9))


@pytest.mark.parametrize("kind", KINDS)
def test_a_factor_of_one_changes_nothing_and_grey_stays_grey(kind: type[AreaDownsample]) -> None:
    x = _images(1, 3, 7, 9)
    torch.testing.assert_close(kind((3, 7, 9), factor=1)(x), x, rtol=0, atol=1e-14)
    measured = kind((3, 7, 9), factor=2.2)(torch.full_like(x, 0.3))
    torch.testing.assert_close(measured, torch.full_like(measured, 0.3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (0.5, "factor must be at least 1, got 0.5"),
        (-2, "factor must be at least 1"),
        (math.nan, "factor must be a finite number"),
        (math.inf, "factor must be a finite number"),
        (30, "factor 30.* leaves nothing of the height of 8 pixels; use at most 8"),
        ("two", "factor must be a number"),
    ],
)
def test_factors_that_cannot_be_used(kind: type[AreaDownsample], factor: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        kind((3, 8, 30), factor=factor)


def test_images_have_three_axes() -> None:
    with pytest.raises(ArgumentError, match="channels, height, width"):
        AreaDownsample((64,), factor=2)
