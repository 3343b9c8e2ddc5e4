"""Where the rotation axis lies: closed geometry, scikit-image's convention, and files."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from skimage.transform import radon

from invprob.errors import ArgumentError
from invprob.operators import CT, Operator
from invprob.testing import check_operator

ANGLES = [float(angle) for angle in range(0, 180, 5)]


def _images(height: int, width: int, channels: int = 1) -> torch.Tensor:
    rng = torch.Generator(device="cpu").manual_seed(3)
    return torch.rand(1, channels, height, width, generator=rng, dtype=torch.float64) - 0.3


def _blobs(height: int, width: int) -> np.ndarray:
    """Gaussian blobs off the middle, so smooth that interpolation hardly matters."""
    y, x = np.mgrid[:height, :width] - np.array([height // 2, width // 2])[:, None, None]
    return np.exp(-((x - 7) ** 2 + (y + 4) ** 2) / 30) + np.exp(-((x + 8) ** 2 + (y - 6) ** 2) / 50)


def _relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def _as_scikit_image(height: int, width: int, cells: int, degrees: list[float]) -> CT:
    """Their axis is pixel length // 2, both of the image and of the detector."""
    right, below = (0.5 * (length % 2 == 0) for length in (width, height))
    axis = 0.5 * (cells % 2 == 0)
    return CT(
        (1, height, width), degrees=degrees, detectors=cells, axis=axis, origin=(right, below)
    )


@pytest.mark.parametrize(
    ("size", "circle"),
    [
        ((48, 48), True),
        ((49, 49), True),
        ((48, 48), False),
        ((49, 49), False),
        ((48, 40), False),
        ((40, 49), False),
    ],
)
def test_sinograms_of_scikit_image_are_restored(size: tuple[int, int], circle: bool) -> None:
    degrees = [float(angle) for angle in np.arange(0, 180, 3.6)]
    blobs = _blobs(*size)
    rows, columns = np.mgrid[: size[0], : size[1]] - np.array(size)[:, None, None] // 2
    disc = np.hypot(rows, columns) < min(size) // 2
    blobs = blobs * disc
    truth = torch.from_numpy(blobs)[None, None]
    theirs = torch.from_numpy(radon(blobs, degrees, circle=circle).T)[None, None]
    operator = _as_scikit_image(*size, theirs.shape[3], degrees)
    assert _relative(operator(truth), theirs) < 0.003
    assert _relative(operator.pinv(theirs, iterations=30), truth) < 0.02
    assert _relative(operator.fbp(theirs) * torch.from_numpy(disc), truth) < 0.03
    if size == (48, 48):  # what it is when the axis is left in the middle
        centred = CT((1, *size), degrees=degrees, detectors=theirs.shape[3])
        assert _relative(centred(truth), theirs) > 0.05
        assert _relative(centred.pinv(theirs, iterations=30), truth) > 0.1


def test_every_kind_of_angle_agrees_with_scikit_image() -> None:
    degrees = [-30.0, 0.0, 44.9, 45.0, 90.0, 133.0, 180.0, 271.0]
    blobs = _blobs(32, 32)
    theirs = torch.from_numpy(radon(blobs, degrees, circle=False).T)
    found = _as_scikit_image(32, 32, theirs.shape[1], degrees)(torch.from_numpy(blobs)[None, None])
    for view in range(len(degrees)):
        assert _relative(found[0, 0, view], theirs[view]) < 0.005


def test_the_axis_moves_what_every_view_sees_towards_higher_numbers() -> None:
    image = _images(9, 9)
    moved = CT((1, 9, 9), degrees=ANGLES, detectors=13, axis=2.0)(image)
    # Four detector pixels more at the end put the middle two further.
    longer = CT((1, 9, 9), degrees=ANGLES, detectors=17)(image)
    np.testing.assert_allclose(moved, longer[..., :13], atol=1e-12)
    back = CT((1, 9, 9), degrees=ANGLES, detectors=13, axis=-2.0)(image)
    np.testing.assert_allclose(back, longer[..., 4:], atol=1e-12)


@pytest.mark.parametrize("axis", [0.5, -1.5, 3.0])
def test_opposite_views_are_mirrored_about_the_axis(axis: float) -> None:
    image, cells = _images(11, 8), 24
    operator = CT((1, 11, 8), degrees=[25.0, 205.0], detectors=cells, axis=axis)
    there, back = operator(image)[0, 0]
    for j in range(cells):
        mirrored = round(2 * ((cells - 1) / 2 + axis) - j)
        if 0 <= mirrored < cells:
            assert float(there[j]) == pytest.approx(float(back[mirrored]), abs=1e-10)


def test_the_origin_is_the_point_about_which_the_image_turns() -> None:
    image = torch.nn.functional.pad(_images(8, 7), (3, 3, 3, 3))
    operator = CT((1, 14, 13), degrees=ANGLES, origin="2 -1")
    # The point two pixels to the right and one above the middle, brought to the middle.
    expected = CT((1, 14, 13), degrees=ANGLES)(image.roll((1, -2), (2, 3)))
    np.testing.assert_allclose(operator(image), expected, atol=1e-12)


def test_integrals_are_those_of_the_closed_formula() -> None:
    size, axis, right, below = 96, 3.3, 1.7, -2.4
    degrees = [0.0, 20.0, 63.0, 90.0, 151.0, 245.0]
    places = np.arange(size) - (size - 1) / 2
    x, y = np.meshgrid(places - right, below - places)  # to the right of the axis, and above it
    p, q, spread = 9.0, 5.0, 60.0
    image = np.exp(-((x - p) ** 2 + (y - q) ** 2) / spread)
    operator = CT((1, size, size), degrees=degrees, detectors=101, axis=axis, origin=[right, below])
    t = np.deg2rad(degrees)[:, None]
    s = np.arange(101) - 50 - axis
    middle = p * np.cos(t) + q * np.sin(t)
    expected = math.sqrt(math.pi * spread) * np.exp(-((s - middle) ** 2) / spread)
    found = operator(torch.from_numpy(image)[None, None])[0, 0].numpy()
    assert np.linalg.norm(found - expected) / np.linalg.norm(expected) < 0.005
    fbp = CT((1, size, size), views=90, detectors=140, axis=axis, origin=[right, below])
    again = fbp.fbp(fbp(torch.from_numpy(image)[None, None]))[0, 0].numpy()
    assert np.linalg.norm(again - image) / np.linalg.norm(image) < 0.03


@pytest.mark.parametrize(
    "operator",
    [
        CT((2, 9, 8), views=5, axis=1.25),
        CT((1, 8, 11), degrees="0 45 90 200", detectors=7, axis=-3.0, origin="0.5 -2"),
        CT((1, 1, 1), views=2, axis=0.25),
        CT((1, 6, 6), degrees="0 10", detectors=4, axis=4.5),
    ],
    ids=repr,
)
def test_the_contract_holds_wherever_the_axis_is(operator: CT) -> None:
    check_operator(operator)


def test_files_keep_the_axis_and_old_ones_stay_valid() -> None:
    operator = CT((1, 8, 8), views=3, axis=0.5, origin=(0.5, 0.25))
    again = Operator.from_spec(operator.spec())
    assert isinstance(again, CT)
    assert (again.axis, again.origin) == (0.5, (0.5, 0.25))
    assert again.fingerprint() == operator.fingerprint()
    plain = CT((1, 8, 8), views=3, axis=0)
    assert not {"axis", "origin"} & set(plain.spec())
    prints = {
        plain.fingerprint(),
        CT((1, 8, 8), views=3, axis=0.5).fingerprint(),
        CT((1, 8, 8), views=3, origin="0.5 0").fingerprint(),
        operator.fingerprint(),
    }
    assert len(prints) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axis": math.nan}, "axis must be a finite number"),
        ({"axis": 1e30}, "axis 1e[+]30 and origin 0 0 leave the image beside the 12 detector"),
        ({"axis": -13}, "in every view"),
        ({"axis": "left"}, "axis must be a number"),
        ({"origin": "1"}, "origin must be two numbers"),
        ({"origin": [0.0, math.inf]}, "origin must hold finite numbers"),
        ({"origin": "0 99"}, "leave the image beside"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        CT((1, 8, 8), degrees=[90.0], **options)


@pytest.mark.parametrize(
    ("side", "origin"), [(63, (-0.5, -0.5)), (64, (0.5, 0.5)), (128, (0.0, 0.0))]
)
def test_sinograms_of_deepinv_are_ours_with_an_origin(
    side: int, origin: tuple[float, float]
) -> None:
    """It pads the image by a whole number of pixels, which moves it where that number is odd."""
    deepinv = pytest.importorskip("deepinv")
    down, right = np.mgrid[:side, :side] - (side - 1) / 2
    blobs = np.exp(-((right - 8) ** 2 + (down + 5) ** 2) / 30)
    blobs += np.exp(-((right + 9) ** 2 + (down - 9) ** 2) / 50)
    image = torch.from_numpy(blobs).float()[None, None]
    angles = torch.arange(0, 180, 15.0)
    physics = deepinv.physics.Tomography(
        angles=angles, img_width=side, circle=False, normalize=False
    )
    theirs = physics(image)[0, 0].T  # (views, detectors)
    operator = CT(
        (1, side, side), degrees=angles.tolist(), detectors=theirs.shape[1], origin=origin
    )
    apart = (operator(image)[0, 0] - theirs).abs().max() / theirs.max()
    assert apart < 0.005  # half a pixel would be 0.1
