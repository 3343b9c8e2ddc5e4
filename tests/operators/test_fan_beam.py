"""Fans of lines against integrals in closed form, ASTRA, a far source, and geometry by hand."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from invprob.errors import ArgumentError
from invprob.operators import CT, FanBeam, Operator
from invprob.testing import check_operator

# Centre x and y, squared width and height of Gaussian blobs, in pixels from the rotation axis.
BLOBS = ((9.0, 5.0, 60.0, 1.0), (-15.0, 20.0, 90.0, 0.5))
GEOMETRIES: list[dict[str, Any]] = [
    {},
    {"source_distance": 75.0, "detector_distance": 40.0, "detector_width": 1.3, "axis": 2.5},
    {"source_distance": 90.0, "detector_distance": 0.0, "detector_width": 0.7},
    {"axis": -1.5, "origin": "3 -2"},
]


def _phantom(height: int, width: int, right: float = 0.0, below: float = 0.0) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    x = columns - (width - 1) / 2 - right
    y = below - (rows - (height - 1) / 2)
    return np.sum([h * np.exp(-((x - p) ** 2 + (y - q) ** 2) / a) for p, q, a, h in BLOBS], axis=0)


def _integrals(operator: FanBeam) -> np.ndarray:
    """Of a Gaussian blob whose middle has the distance d from a line: h √(πa) exp(-d²/a)."""
    _, views, cells = operator.measurement_shape
    sinogram = np.zeros((views, cells))
    for view, degrees in enumerate(operator.degrees):
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        source = operator.source_distance * np.array([sin, -cos])
        for cell in range(cells):
            t = (cell - (cells - 1) / 2 - operator.axis) * operator.detector_width
            pixel = operator.detector_distance * np.array([-sin, cos]) + t * np.array([cos, sin])
            along = (pixel - source) / np.linalg.norm(pixel - source)
            for p, q, a, h in BLOBS:
                x, y = np.array([p, q]) - source
                apart = x * along[1] - y * along[0]
                sinogram[view, cell] += h * math.sqrt(math.pi * a) * math.exp(-(apart**2) / a)
    return sinogram


def _as_image(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array)[None, None]


def _relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("options", GEOMETRIES, ids=str)
def test_smooth_images_have_nearly_their_exact_integrals(options: dict[str, Any]) -> None:
    degrees = [0.0, 20.0, 63.0, 90.0, 151.0, 180.0, 245.0, 330.0]
    operator = FanBeam((1, 96, 90), degrees=degrees, **options)
    image = _phantom(96, 90, *operator.origin)
    assert _relative(operator(_as_image(image))[0, 0].numpy(), _integrals(operator)) < 0.004


@pytest.mark.parametrize("options", GEOMETRIES[:3], ids=str)
def test_it_agrees_with_astra(options: dict[str, Any]) -> None:
    astra = pytest.importorskip("astra", reason="astra-toolbox is heavy, and no part of the tests")
    size = 64
    symmetric: dict[str, Any] = {**options, "axis": 0.0}
    operator = FanBeam((1, size, size), views=40, **symmetric)
    image = _phantom(size, size)
    detector = (operator.detector_width, operator.measurement_shape[2])
    angles = np.deg2rad(operator.degrees)
    scanner = astra.create_proj_geom(
        "fanflat", *detector, angles, operator.source_distance, operator.detector_distance
    )
    grid = astra.create_vol_geom(size, size)
    projector = astra.create_projector("line_fanflat", scanner, grid)
    _, theirs = astra.create_sino(image, projector)
    ours = operator(_as_image(image))[0, 0].numpy()
    # Theirs weigh pixels by the length of a line within them, ours interpolate.
    assert _relative(ours, theirs) < 0.01
    assert _relative(ours[:, ::-1], theirs) > 0.1  # an orientation that is not theirs


def test_astra_shifts_the_detector_by_minus_the_axis() -> None:
    astra = pytest.importorskip("astra", reason="astra-toolbox is heavy, and no part of the tests")
    size, shift = 64, 2.5
    image, grid = _phantom(size, size), astra.create_vol_geom(size, size)
    fan = FanBeam((1, size, size), views=40, detectors=150, axis=-shift)
    parallel = CT((1, size, size), views=40, detectors=101, axis=-shift)
    distances = (fan.source_distance, fan.detector_distance)
    scanners = {
        "line_fanflat": (fan, ("fanflat", fan.detector_width, 150), distances),
        "linear": (parallel, ("parallel", 1.0, 101), ()),
    }
    for kind, (operator, detector, rest) in scanners.items():
        centred = astra.create_proj_geom(*detector, np.deg2rad(operator.degrees), *rest)
        shifted = astra.geom_postalignment(centred, shift)
        _, theirs = astra.create_sino(image, astra.create_projector(kind, shifted, grid))
        assert _relative(operator(_as_image(image))[0, 0].numpy(), theirs) < 0.01


def test_from_far_away_lines_are_parallel() -> None:
    rng = np.random.default_rng(3)
    image = _as_image(rng.normal(size=(9, 12)))
    degrees = [0.0, 31.0, 90.0, 200.0]
    far = FanBeam(
        (1, 9, 12),
        degrees=degrees,
        source_distance=1e7,
        detector_distance=0.0,
        detector_width=1.0,
        detectors=17,
        axis=0.5,
        origin="1 2",
    )
    parallel = CT((1, 9, 12), degrees=degrees, detectors=17, axis=0.5, origin="1 2")
    np.testing.assert_allclose(far(image), parallel(image), atol=1e-4)


def test_the_source_is_below_the_image_and_turns_counter_clockwise() -> None:
    image = np.zeros((31, 31))
    image[5, 15] = 1.0  # above the middle: far from a source below, near to one above
    operator = FanBeam((1, 31, 31), degrees=[0, 180], source_distance=40, detectors=91)
    below, above = operator(_as_image(image))[0, 0].numpy()
    assert int(below.argmax()) == int(above.argmax()) == 45  # both see it in the middle
    image[5, 15], image[5, 20] = 0.0, 1.0  # five pixels to the right
    below, above = operator(_as_image(image))[0, 0].numpy()
    # Similar triangles: 5 · 80/(40 + 10) pixels of the image on a detector with pixels of 2.
    assert int(below.argmax()) == 45 + 5 * 80 / (40 + 10) / 2
    assert int(above.argmax()) == round(45 - 5 * 80 / (40 - 10) / 2)
    east = FanBeam((1, 31, 31), degrees=[90], source_distance=40, detectors=91)
    image = np.zeros((31, 31))
    image[15, 25] = 1.0  # towards the source, which is to the right now
    image[10, 25] = 2.0  # above that: at a higher number, 5 · 80/30 /2 further
    view = east(_as_image(image))[0, 0, 0].numpy()
    assert view[45] > 0.5 and int(view.argmax()) == round(45 + 5 * 80 / 30 / 2)


def test_an_opposite_view_measures_a_line_again() -> None:
    """The line at fan angle α of view θ is that at -α of view θ + 180° + 2α."""
    image = _as_image(_phantom(40, 40))
    there = FanBeam((1, 40, 40), degrees=[25.0], source_distance=50, detectors=41)
    sinogram = there(image)[0, 0, 0]
    for cell in (6, 20, 33):
        t = (cell - 20) * there.detector_width
        back = 25.0 + 180 - 2 * math.degrees(math.atan2(t, 100.0))
        opposite = FanBeam((1, 40, 40), degrees=[back], source_distance=50, detectors=41)
        again = opposite(image)[0, 0, 0]
        assert float(again[40 - cell]) == pytest.approx(float(sinogram[cell]), rel=1e-6)


@pytest.mark.parametrize("options", [{}, {"axis": 2.5, "source_distance": 300.0}, GEOMETRIES[3]])
def test_back_projection_restores_a_smooth_image(options: dict[str, Any]) -> None:
    operator = FanBeam((1, 96, 96), views=180, **options)
    image = _phantom(96, 96, *operator.origin)
    restored = operator.fbp(operator(_as_image(image)))[0, 0].numpy()
    assert _relative(restored, image) < 0.02
    assert _relative(operator.fbp(operator(_as_image(image)).float())[0, 0].numpy(), image) < 0.02


def test_back_projection_refuses_a_short_scan_and_the_pseudo_inverse_takes_it() -> None:
    degrees = [float(angle) for angle in np.linspace(0, 240, 60)]
    operator = FanBeam((1, 40, 40), degrees=degrees)
    image = _phantom(40, 40)
    sinogram = operator(_as_image(image))
    with pytest.raises(ArgumentError, match=r"fbp needs views all around.* 120 degrees apart"):
        operator.fbp(sinogram)
    assert _relative(operator.pinv(sinogram)[0, 0].numpy(), image) < 0.02


def test_the_whole_image_is_seen_by_default() -> None:
    operator = FanBeam((1, 33, 20), views=90)
    wide = FanBeam((1, 33, 20), views=90, detectors=operator.measurement_shape[2] + 20)
    image = torch.ones(1, 1, 33, 20, dtype=torch.float64)
    # A line reads pixels up to a pixel away, which is two or three pixels of the detector.
    sinogram = wide(image)
    assert float(sinogram[..., :7].max()) == float(sinogram[..., -7:].max()) == 0.0
    assert float(sinogram[..., 10:14].max()) > 0.0


def test_a_transposed_sinogram_is_doubted() -> None:
    operator = FanBeam((1, 48, 48), views=97, detectors=97)
    sinogram = operator(_as_image(_phantom(48, 48)))
    assert operator.doubts(sinogram) == ()
    (doubt,) = operator.doubts(sinogram.mT)
    assert doubt.startswith("the sinogram looks transposed: fan-beam reads")


@pytest.mark.parametrize(
    "operator",
    [
        FanBeam((2, 9, 7), degrees="0 45 135 300", axis=1.5, origin="1 -0.5"),
        FanBeam((1, 6, 16), views=5, source_distance=9.5, detector_distance=0, detectors=30),
        FanBeam((1, 1, 1), views=1),
    ],
    ids=repr,
)
def test_the_contract_at_other_geometries(operator: FanBeam) -> None:
    check_operator(operator)
    again = Operator.from_spec(operator.spec())
    assert again.fingerprint() == operator.fingerprint()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "fan-beam needs either views or degrees.*360 degrees"),
        ({"views": 0}, "views must be at least 1"),
        ({"views": 3, "source_distance": 5.0}, "source_distance must be above 5.657.*got 5"),
        ({"views": 3, "source_distance": 6.0, "origin": "2 0"}, "source_distance must be above"),
        ({"views": 3, "source_distance": math.nan}, "source_distance must be a finite number"),
        ({"views": 3, "detector_distance": -1.0}, "detector_distance must be at least 0, got -1"),
        ({"views": 3, "detector_width": 0.0}, "detector_width must be above 0"),
        ({"views": 3, "detectors": 0}, "detectors must be at least 1"),
        ({"views": 3, "axis": 99.0}, "axis 99 and origin 0 0 leave the image beside the"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        FanBeam((1, 8, 8), **options)
