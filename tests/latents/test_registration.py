"""Registration by SciPy finds known angles, factors and grey levels."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from invprob.errors import ArgumentError, ShapeError, UnknownNameError
from invprob.latents.registration import (
    Curve,
    MeanGrey,
    Rotation,
    Zoom,
    attribute,
    measure_curve,
)
from invprob.run.samples import load_sample, samples


def warped(image: Tensor, matrix: list[list[float]]) -> Tensor:
    """By torch's own resampling, which neither SciPy nor our operators share; 0 outside."""
    grid = functional.affine_grid(
        torch.tensor([[*matrix[0], 0], [*matrix[1], 0]], dtype=image.dtype)[None],
        [1, *image.shape],
        align_corners=False,
    )
    return functional.grid_sample(image[None], grid, mode="bilinear", align_corners=False)[0]


def rotated(image: Tensor, degrees: float) -> Tensor:
    """Counter-clockwise, as seen: the picture at a place is that of the place turned back."""
    angle = np.radians(degrees)
    return warped(image, [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def zoomed(image: Tensor, factor: float) -> Tensor:
    return warped(image, [[1 / factor, 0], [0, 1 / factor]])


def sample(name: str, size: int = 96) -> Tensor:
    return load_sample(name, size=size)[0]


@pytest.mark.parametrize("name", samples())
@pytest.mark.parametrize("degrees", [0.0, 3.3, 22.5, 45.0, 101.0, -30.0, 175.0])
def test_an_angle_is_found_within_half_a_degree(name: str, degrees: float) -> None:
    image = sample(name)
    assert abs(Rotation().between(image, rotated(image, degrees)) - degrees) < 0.5


def test_a_quarter_turn_is_that_of_numpy() -> None:
    image = sample("cat")
    turned = torch.from_numpy(np.rot90(image.numpy(), axes=(1, 2)).copy())  # counter-clockwise
    assert abs(Rotation().between(image, turned) - 90) < 0.1


@pytest.mark.parametrize("name", samples())
@pytest.mark.parametrize("factor", [1.0, 1.03, 1.25, 1.75, 0.8, 0.6])
def test_a_factor_is_found_within_one_percent(name: str, factor: float) -> None:
    image = sample(name)
    found = Zoom().between(image, zoomed(image, factor))
    assert abs(found / factor - 1) < 0.01


@pytest.mark.parametrize(("factor", "degrees"), [(1.25, 0.0), (1.0, 20.0)])
def test_neither_light_nor_noise_changes_what_is_found(factor: float, degrees: float) -> None:
    image = sample("retina")
    changed = 0.5 * rotated(zoomed(image, factor), degrees) - 0.3
    changed += 0.1 * torch.randn(changed.shape, generator=torch.Generator().manual_seed(1))
    assert abs(Zoom().between(image, changed) / factor - 1) < 0.02 or degrees
    assert abs(Rotation().between(image, changed) - degrees) < 1 or factor != 1


def test_grey_levels_are_means_of_light() -> None:
    image = torch.full((3, 16, 16), -0.5)  # a quarter of white
    assert MeanGrey().between(image, torch.full((3, 16, 16), 0.5)) == pytest.approx(3)
    assert MeanGrey().between(image, torch.full((3, 16, 16), 7.0)) == pytest.approx(4)  # cut off


def test_what_is_known_of_two_values() -> None:
    assert Rotation().known(10, 45) == 35
    assert Zoom().known(0.5, 1.5) == 3
    assert MeanGrey().known(0.5, 1.5) == 3


def test_a_curve_by_hand() -> None:
    curve = Curve("x", "of it", [-1, 0, 1, 2, 3], [5, 0, 1.3, 2, 1], [0, 2], [0, 2], [0, 2.5])
    assert curve.monotonic(0, 2) and not curve.monotonic(0, 3) and not curve.monotonic(-1, 1.9)
    assert curve.errors == [0, -0.5]
    # The least-squares line through (0, 0), (1, 1.3), (2, 2) is 0.1 + x: it misses by 0.1 and 0.2.
    assert curve.off_the_line == pytest.approx(0.2)
    told = curve.to_json()
    assert told["largest_error"] == 0.5
    assert told["monotonic_between_learned_scales"] and not told["monotonic"]


def test_a_traversal_of_true_rotations_is_monotonic() -> None:
    image = sample("cat", 64)
    scales = [0.0, 1.0, 2.0, 3.0]
    pictures = torch.stack([rotated(image, 10 * scale) for scale in scales])
    curve = measure_curve(Rotation(), scales, pictures, [0, 3], pictures[[0, 3]], pictures[[0, 3]])
    assert curve.values == pytest.approx([0, 10, 20, 30], abs=0.5)
    assert curve.monotonic(0, 3) and curve.off_the_line < 0.5 and max(curve.errors) == 0


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'rotation'"):
        attribute("rotatoin")
    image = torch.zeros(3, 32, 32)
    for one in (Rotation(), Zoom(), MeanGrey()):
        with pytest.raises(ShapeError, match="both be"):
            one.between(image, torch.zeros(3, 32, 33))
        with pytest.raises(ShapeError, match="16 pixels or more"):
            one.between(torch.zeros(3, 8, 8), torch.zeros(3, 8, 8))
        with pytest.raises(ArgumentError, match="NaN"):
            one.between(image, image.fill_(torch.nan))
        image = torch.zeros(3, 32, 32)
