"""Line integrals against closed formulas, scikit-image and a plain loop over Joseph's samples."""

import math

import numpy as np
import pytest
import torch
from skimage.transform import iradon, radon

from invprob.errors import ArgumentError
from invprob.operators import CT
from invprob.testing import check_operator, dense

# Centre x and y, variances along x and y, height; the image reaches from -1 to 1.
BLOBS = ((0.2, 0.1, 0.03, 0.015, 1.0), (-0.3, -0.25, 0.02, 0.03, 0.7))
ANGLES = [float(angle) for angle in range(0, 180, 4)]


def _phantom(size: int) -> np.ndarray:
    places = (np.arange(size) - (size - 1) / 2) / (size / 2)
    x, y = np.meshgrid(places, -places)
    return np.sum(
        [h * np.exp(-((x - p) ** 2) / a - (y - q) ** 2 / b) for p, q, a, b, h in BLOBS], axis=0
    )


def _integrals(degrees: list[float], cells: int, size: int) -> np.ndarray:
    """The integrals of Gaussian blobs along lines, in closed form: (views, cells)."""
    t = np.deg2rad(degrees)[:, None]
    s = (np.arange(cells) - (cells - 1) / 2) / (size / 2)
    views = np.zeros((len(degrees), cells))
    for p, q, a, b, h in BLOBS:
        spread = a * np.cos(t) ** 2 + b * np.sin(t) ** 2
        middle = p * np.cos(t) + q * np.sin(t)
        views += h * np.sqrt(math.pi * a * b / spread) * np.exp(-((s - middle) ** 2) / spread)
    return views * size / 2


def _disc(size: int) -> np.ndarray:
    places = np.arange(size) - (size - 1) / 2
    return np.hypot(places, places[:, None]) <= (size - 1) / 2


def _as_image(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array)[None, None]


def _relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize(("size", "bound"), [(31, 0.025), (64, 0.006), (127, 0.0015)])
def test_smooth_images_approach_their_exact_integrals(size: int, bound: float) -> None:
    # Linear interpolation: half the pixel, a quarter of the error.
    degrees = [*ANGLES, -30.0, 200.0, 359.5]
    operator = CT((1, size, size), degrees=degrees)
    measured = operator(_as_image(_phantom(size)))[0, 0].numpy()
    assert _relative(measured, _integrals(degrees, measured.shape[1], size)) < bound


def test_it_agrees_with_scikit_image() -> None:
    phantom = _phantom(65) * _disc(65)  # odd, so that its rotation centre is ours
    expected = radon(phantom, ANGLES, circle=True).T
    measured = CT((1, 65, 65), degrees=ANGLES, detectors=65)(_as_image(phantom))[0, 0].numpy()
    assert _relative(measured, expected) < 0.005


def test_axes_are_sums_of_columns_and_rows() -> None:
    x = torch.rand(2, 3, 5, 7, dtype=torch.float64)
    along = CT((3, 5, 7), degrees=[0.0, 180.0], detectors=7)(x)
    np.testing.assert_allclose(along[:, :, 0], x.sum(2), atol=1e-12)
    np.testing.assert_allclose(along[:, :, 1], x.sum(2).flip(2), atol=1e-12)
    upwards = CT((3, 5, 7), degrees="90", detectors=5)(x)[:, :, 0]
    np.testing.assert_allclose(upwards, x.sum(3).flip(2), atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 6, 5), (2, 4, 7)], ids=str)
def test_it_is_josephs_matrix(shape: tuple[int, ...]) -> None:
    operator = CT(shape, degrees=[0, 17, 45, 80, 90, 120, 163, 271])
    (_, height, width), (_, _, cells) = shape, operator.measurement_shape
    matrix = np.zeros((len(operator.degrees), cells, height, width))
    for view, angle in enumerate(operator.degrees):
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        for cell in range(cells):
            s = cell - (cells - 1) / 2
            upright = abs(cos) > abs(sin) - 1e-9
            for step in range(height if upright else width):
                if upright:
                    up = (height - 1) / 2 - step
                    place = (s - up * sin) / cos + (width - 1) / 2
                else:
                    across = step - (width - 1) / 2
                    place = (height - 1) / 2 - (s - across * cos) / sin
                for pixel in range(width if upright else height):
                    weight = max(0.0, 1 - abs(place - pixel)) / max(abs(cos), abs(sin))
                    row, column = (step, pixel) if upright else (pixel, step)
                    matrix[view, cell, row, column] += weight
    one = matrix.reshape(-1, height * width)
    expected = np.kron(np.eye(shape[0]), one)
    np.testing.assert_allclose(dense(operator), expected, atol=1e-9)
    y = torch.randn(2, *operator.measurement_shape, dtype=torch.float64)
    back = operator.adjoint(y).flatten(1)
    np.testing.assert_allclose(back, y.flatten(1).numpy() @ expected, atol=1e-9)


def test_filtered_back_projection_is_as_good_as_scikit_images() -> None:
    disc = _disc(65)  # theirs is zero outside
    phantom = _phantom(65) * disc
    operator = CT((1, 65, 65), views=90, detectors=65)
    sinogram = operator(_as_image(phantom))
    theirs = iradon(sinogram[0, 0].numpy().T, operator.degrees, circle=True)
    ours = operator.fbp(sinogram)[0, 0].numpy() * disc
    assert _relative(ours, phantom) < 1.05 * _relative(theirs, phantom)
    assert _relative(ours, theirs) < 0.01


def test_uneven_views_are_weighed() -> None:
    phantom = _phantom(65)
    crowded = [*np.linspace(0, 45, 60, endpoint=False), *np.linspace(45, 180, 60, endpoint=False)]
    operator = CT((1, 65, 65), degrees=[float(angle) + 360 for angle in crowded[::-1]])
    image = operator.fbp(operator(_as_image(phantom)))[0, 0].numpy()
    assert _relative(image, phantom) < 0.04


def test_each_view_weighs_half_the_angle_between_its_neighbours() -> None:
    operator = CT((1, 6, 6), degrees=[0, 90, 10])
    for view, arc in enumerate((50, 85, 45)):
        sinogram = torch.zeros(1, *operator.measurement_shape, dtype=torch.float64)
        sinogram[:, :, view] = torch.rand(operator.measurement_shape[2], dtype=torch.float64)
        alone = CT((1, 6, 6), degrees=[operator.degrees[view]])  # stands for 180 degrees
        expected = alone.fbp(sinogram[:, :, view : view + 1]) * arc / 180
        np.testing.assert_allclose(operator.fbp(sinogram), expected, atol=1e-12)


def test_filtered_back_projection_of_a_rectangle_is_cut_from_that_of_the_square() -> None:
    tall, square = (CT(shape, views=6, detectors=25) for shape in ((1, 20, 14), (1, 20, 20)))
    sinogram = square(_as_image(_phantom(20)))
    np.testing.assert_allclose(tall.fbp(sinogram), square.fbp(sinogram)[..., 3:-3], atol=1e-12)


def test_the_pseudo_inverse_beats_back_projection() -> None:
    phantom = _phantom(33)
    operator = CT((1, 33, 33), views=24)
    sinogram = operator(_as_image(phantom))
    least_squares = operator.pinv(sinogram)[0, 0].numpy()
    assert _relative(least_squares, phantom) < _relative(
        operator.fbp(sinogram)[0, 0].numpy(), phantom
    )
    np.testing.assert_allclose(operator(_as_image(least_squares)), sinogram, atol=1e-3)


def test_nothing_of_the_size_of_a_matrix_is_kept() -> None:
    operator = CT((3, 64, 64), views=60)
    assert list(operator.buffers()) == []
    x = torch.rand(1, 3, 64, 64, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t), lambda t: t):
        operator(x)
    assert saved == []


@pytest.mark.parametrize(
    "operator",
    [
        CT((3, 19, 17), views=5),
        CT((1, 16, 8), degrees="0 45 90 135"),
        CT((1, 7, 6), views=3, detectors=4),
        CT((1, 1, 1), views=1),
        CT((2, 1, 4), views=3),
    ],
    ids=repr,
)
def test_the_contract_at_other_shapes(operator: CT) -> None:
    check_operator(operator)


def test_words_and_lists_are_the_same_angles() -> None:
    assert CT((1, 4, 4), degrees="0 22.5 -90").degrees == (0.0, 22.5, -90.0)
    assert CT((1, 4, 4), views=4).degrees == (0.0, 45.0, 90.0, 135.0)
    assert CT.from_spec(CT((1, 4, 4), degrees=[1, 2]).spec()).measurement_shape == (1, 2, 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either views or degrees"),
        ({"views": 3, "degrees": [1.0]}, "either views or degrees"),
        ({"views": 0}, "views must be at least 1"),
        ({"degrees": []}, "degrees must hold at least one number"),
        ({"degrees": "  "}, "degrees must hold at least one number"),
        ({"degrees": "0 ten"}, "degrees must hold finite numbers only, got 'ten'"),
        ({"degrees": [0.0, math.nan]}, "degrees must hold finite numbers only, got nan"),
        ({"views": 3, "detectors": 0}, "detectors must be at least 1"),
    ],
)
def test_bad_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        CT((1, 8, 8), **options)  # type: ignore[arg-type]
