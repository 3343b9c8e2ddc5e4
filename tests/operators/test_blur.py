"""Blur against SciPy's filters and convolutions, at every border, with odd and even kernels."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch
from numpy.typing import NDArray
from PIL import Image

from invprob.errors import ArgumentError
from invprob.operators import Blur, GaussianBlur, LinearOperator, MotionBlur, Operator
from invprob.operators.blur import motion_kernel
from invprob.operators.convolution import Border
from invprob.testing import check_operator, dense

BORDERS: tuple[Border, ...] = ("periodic", "reflect", "valid")
SCIPY_MODES = {"periodic": "wrap", "reflect": "mirror"}
Array = NDArray[np.float64]
ELSE: Any = "zero"


def _images(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def _kernel(rows: int, columns: int) -> Array:
    return np.random.default_rng(rows * 31 + columns).normal(size=(rows, columns))


def _by_definition(images: Array, kernel: Array, border: Border) -> Array:
    """Sum_j kernel[j] x[i + centre - j], pixel by pixel on a NumPy-padded image."""
    rows, columns = kernel.shape
    top, left = rows - 1 - rows // 2, columns - 1 - columns // 2
    margins = ((0, 0), (0, 0), (top, rows // 2), (left, columns // 2))
    modes: dict[str, Any] = {"periodic": "wrap", "reflect": "reflect"}
    padded = images if border == "valid" else np.pad(images, margins, mode=modes[border])
    return np.stack(
        [
            np.stack([scipy.signal.convolve2d(plane, kernel, mode="valid") for plane in image])
            for image in padded
        ]
    )


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("size", [(9, 7), (8, 12), (5, 5)], ids=str)
@pytest.mark.parametrize(
    "kernel", [(1, 1), (3, 3), (5, 3), (2, 2), (4, 3), (3, 4), (1, 5), (5, 5)], ids=str
)
def test_it_is_a_convolution(
    kernel: tuple[int, int], size: tuple[int, int], border: Border
) -> None:
    weights = _kernel(*kernel)
    operator = Blur((2, *size), kernel=weights, border=border, normalise="none")
    x = _images(2, 2, *size)
    expected = _by_definition(x.numpy(), weights, border)
    assert operator.measurement_shape == expected.shape[1:]
    np.testing.assert_allclose(operator(x), expected, atol=1e-12)
    y = _images(2, *operator.measurement_shape)
    matrix = dense(operator)
    back = (y.flatten(1) @ matrix).view(x.shape)
    torch.testing.assert_close(operator.adjoint(y), back, rtol=0, atol=1e-12)
    derived = LinearOperator.adjoint(operator, y)
    torch.testing.assert_close(operator.adjoint(y), derived, rtol=0, atol=1e-12)


@pytest.mark.parametrize("border", ["periodic", "reflect"])
@pytest.mark.parametrize("kernel", [(3, 3), (5, 3), (1, 7)], ids=str)
def test_odd_kernels_agree_with_scipys_filter(kernel: tuple[int, int], border: Border) -> None:
    weights = _kernel(*kernel)
    x = _images(1, 1, 9, 8)
    expected = scipy.ndimage.convolve(x[0, 0].numpy(), weights, mode=SCIPY_MODES[border])
    operator = Blur((1, 9, 8), kernel=weights, border=border, normalise="none")
    np.testing.assert_allclose(operator(x)[0, 0], expected, atol=1e-12)


@pytest.mark.parametrize("border", ["periodic", "reflect"])
@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 1.7])
def test_the_gaussian_is_scipys(sigma: float, border: Border) -> None:
    x = _images(1, 1, 17, 15)
    expected = scipy.ndimage.gaussian_filter(
        x[0, 0].numpy(), sigma, mode=SCIPY_MODES[border], truncate=4.0
    )
    measured = GaussianBlur((1, 17, 15), sigma=sigma, border=border)(x)
    np.testing.assert_allclose(measured[0, 0], expected, atol=1e-12)


@pytest.mark.parametrize(
    ("length", "degrees"), [(3.0, 0.0), (2.0, 30.0), (5.5, 45.0), (4.0, 60.0), (7.3, 101.0)]
)
def test_the_motion_is_the_integral_of_bilinear_weights(length: float, degrees: float) -> None:
    kernel = motion_kernel(length, degrees).numpy()
    middle = (np.array(kernel.shape) - 1) / 2
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def weight(t: float, row: float, column: float) -> float:
        x, y = t * cos - column, t * sin + row  # rows run downwards
        return max(0.0, 1 - abs(x)) * max(0.0, 1 - abs(y))

    for (i, j), value in np.ndenumerate(kernel):
        place = (i - middle[0], j - middle[1])
        nodes = np.linspace(-length / 2, length / 2, 20001)
        mean = np.mean([weight(t, *place) for t in (nodes[1:] + nodes[:-1]) / 2])
        assert value == pytest.approx(mean, abs=1e-7)
    assert kernel.sum() == pytest.approx(1.0, abs=1e-14)


def test_straight_motions_by_hand() -> None:
    row = np.array([[0.125, 0.875, 1, 0.875, 0.125]]) / 3
    np.testing.assert_allclose(motion_kernel(3.0, 0.0), row, atol=1e-15)
    np.testing.assert_allclose(motion_kernel(3.0, 180.0), row, atol=1e-15)
    np.testing.assert_allclose(motion_kernel(3.0, 90.0), row.T, atol=1e-15)
    np.testing.assert_allclose(motion_kernel(3.0, -90.0), row.T, atol=1e-15)
    rising = motion_kernel(6.0, 30.0)  # from the lower left to the upper right
    assert float(rising[0, -2]) > 0 == float(rising[0, 1])
    np.testing.assert_allclose(motion_kernel(6.0, 150.0), rising.flip(1), atol=1e-14)


def test_a_point_becomes_the_kernel() -> None:
    x = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    x[0, 0, 4, 4] = 1
    weights = np.abs(_kernel(3, 3))
    measured = Blur((1, 9, 9), kernel=weights)(x)[0, 0, 3:6, 3:6]
    np.testing.assert_allclose(measured, weights / weights.sum(), atol=1e-14)


@pytest.mark.parametrize("border", BORDERS)
def test_grey_stays_grey(border: Border) -> None:
    for operator in (
        GaussianBlur((1, 16, 16), sigma=1.3, border=border),
        MotionBlur((1, 16, 16), length=5, degrees=20, border=border),
        Blur((1, 16, 16), kernel=[[1, 2], [3, 5]], border=border),
    ):
        measured = operator(torch.full((1, 1, 16, 16), 0.3, dtype=torch.float64))
        torch.testing.assert_close(measured, torch.full_like(measured, 0.3))


def test_division_by_the_spectrum_is_the_pseudo_inverse() -> None:
    for weights in (_kernel(3, 3), np.ones((2, 2)), np.ones((1, 3))):  # the second is singular
        operator = Blur((1, 6, 8), kernel=weights, border="periodic", normalise="none")
        matrix = dense(operator)
        y = _images(2, 1, 6, 8)
        expected = y.flatten(1) @ torch.linalg.pinv(matrix, rtol=1e-9).T
        torch.testing.assert_close(operator.pinv(y).flatten(1), expected, rtol=0, atol=1e-9)
        assert operator.norm() == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)))


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("shape", [(3, 19, 17), (1, 16, 8)], ids=str)
def test_the_contract_at_awkward_shapes(shape: tuple[int, ...], border: Border) -> None:
    check_operator(GaussianBlur(shape, sigma=0.7, border=border))
    check_operator(MotionBlur(shape, length=4, degrees=75, border=border))
    check_operator(Blur(shape, kernel=_kernel(4, 6), border=border, normalise="none"))


def test_single_and_half_precision() -> None:
    operator = GaussianBlur((3, 12, 10), sigma=1.0)
    x = 0.3 * _images(2, 3, 12, 10)
    expected = operator(x)
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float16, 2e-3), (torch.bfloat16, 1e-2)):
        measured = operator(x.to(dtype))
        assert measured.dtype == operator.adjoint(measured).dtype == dtype
        torch.testing.assert_close(measured.double(), expected, rtol=0, atol=tolerance)
    assert torch.equal(operator.half().double()(x), expected)


def test_a_kernel_is_rebuilt_without_its_file(tmp_path: Path) -> None:
    weights = np.abs(_kernel(3, 5))
    np.save(tmp_path / "kernel.npy", weights)
    grey = (weights / weights.max() * 255).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "kernel.png")
    x = _images(1, 1, 9, 9)
    for name, values in (("kernel.npy", weights), ("kernel.png", grey.astype(float))):
        operator = Blur((1, 9, 9), kernel=str(tmp_path / name))
        expected = Blur((1, 9, 9), kernel=(values / values.sum()).tolist(), normalise="none")(x)
        torch.testing.assert_close(operator(x), expected, rtol=0, atol=1e-12)
        spec = json.dumps(operator.spec())
        (tmp_path / name).unlink()
        rebuilt = Operator.from_spec(json.loads(spec))
        assert torch.equal(rebuilt(x), operator(x))
        assert rebuilt.fingerprint() == operator.fingerprint()
    assert operator.fingerprint() != Blur((1, 9, 9), kernel=weights).fingerprint()


def test_changing_the_callers_array_changes_nothing() -> None:
    weights = np.abs(_kernel(3, 3))
    operator = Blur((1, 9, 9), kernel=weights, normalise="none")
    x = _images(1, 1, 9, 9)
    before = operator(x).clone()
    weights[:] = 0
    assert torch.equal(Operator.from_spec(operator.spec())(x), before)
    assert torch.equal(operator(x), before)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Blur((3, 8, 8), kernel=np.ones((9, 3))), "kernel has 9 x 3 pixels; cut it.*8 x 8"),
        (lambda: Blur((3, 8, 8), kernel=[[1, math.nan]]), "kernel holds 1 values that are not"),
        (lambda: Blur((3, 8, 8), kernel=[[0, 0]]), "zero everywhere"),
        (lambda: Blur((3, 8, 8), kernel=[[1, -1]]), "sums to 0 .*normalise='none'"),
        (lambda: Blur((3, 8, 8), kernel="none.npy"), "kernel names 'none.npy', and there is no"),
        (lambda: Blur((8,), kernel=[[1]]), "channels, height, width"),
        (lambda: GaussianBlur((3, 8, 8), sigma=0), "sigma must be above 0"),
        (lambda: GaussianBlur((3, 8, 8), sigma=math.nan), "sigma must be a finite number"),
        (lambda: GaussianBlur((3, 8, 8), sigma=0.9), r"sigma 0.9 makes .*use one below 0.875"),
        (lambda: GaussianBlur((3, 8, 8), sigma=1e12), r"sigma 1e\+12 makes too large"),
        (lambda: MotionBlur((3, 8, 8), length=0), "length must be above 0"),
        (lambda: MotionBlur((3, 8, 8), length=9), "length 9 makes too large .*use a shorter"),
        (
            lambda: MotionBlur((3, 8, 8), length=1e12, degrees=44),
            r"length 1e\+12 makes too large",
        ),
        (lambda: MotionBlur((3, 8, 8), length=2, degrees=math.inf), "degrees must be a finite"),
        (lambda: GaussianBlur((3, 8, 8), 0.5, border=ELSE), "border must be one of 'periodic'"),
    ],
)
def test_arguments_that_cannot_be_used(build: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        build()
    assert GaussianBlur((3, 8, 8), sigma=0.87).kernel.shape == (7, 7)
