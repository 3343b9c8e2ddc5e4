"""Lines of k-space: what was measured, fewer pixels, coil maps."""

import numpy as np
import pytest
from scanner_files import coil_maps, padded, phantom, transformed

from invprob.errors import ArgumentError, FileError
from invprob.formats.kspace import KSpace, measured_lines

HEIGHT, WIDTH = 32, 40


def whole(image: np.ndarray) -> KSpace:
    return KSpace(
        transformed(image).astype(np.complex64), np.arange(image.shape[2]), image.shape[2]
    )


def test_zeros_and_nan_are_not_measured() -> None:
    values = transformed(coil_maps(3, HEIGHT, WIDTH) * phantom(HEIGHT, WIDTH))
    values[:, :, 1::2] = 0
    values[:, :4, 20] = 0
    values[1, 5, 8] = np.nan
    values[2] = np.nan
    found = measured_lines(values, ["coils 3"])
    assert found.lines.tolist() == [column for column in range(0, WIDTH, 2) if column != 8]
    assert len(found.values) == 2 and np.isfinite(found.values).all()
    assert found.seen is not None and int((~found.seen).sum()) == 4
    assert found.seen[:4, 9].sum() == 0
    said = ", ".join(found.words)
    assert "coil 2 without finite numbers, left out" in said
    assert "column 8 with NaN, taken as not measured" in said and "19 of 40 columns" in said
    with pytest.raises(FileError, match="nothing was measured"):
        measured_lines(np.zeros((1, 4, 4), complex), [])


@pytest.mark.parametrize("rows", [15, 16, 30])
def test_oversampling_is_cropped_in_the_image(rows: int) -> None:
    image = coil_maps(2, rows, WIDTH) * phantom(rows, WIDTH)
    for full in (2 * rows, 2 * rows + 1):
        found = whole(padded(image, full)).without_oversampling(rows)
        assert np.abs(found.values - transformed(image)).max() < 1e-6
        assert np.abs(found.zero_filled() - image).max() < 1e-6


def test_the_middle_of_k_space_is_as_bright_and_in_its_place() -> None:
    """A band-limited image at fewer pixels is the same function, read at other places."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    grid = np.mgrid[:16, :16]

    def waves(down: np.ndarray, right: np.ndarray) -> np.ndarray:
        return 0.5 + 0.3 * np.cos(2 * np.pi * 3 * down + 1) + 0.2 * np.sin(2 * np.pi * 5 * right)

    large = waves((y - HEIGHT // 2) / HEIGHT, (x - WIDTH // 2) / WIDTH)
    small = waves((grid[0] - 8) / 16, (grid[1] - 8) / 16)
    found = whole(large[None].astype(complex)).middle(16)
    assert np.abs(found.zero_filled()[0] - small).max() < 1e-5


def test_maps_of_the_middle_lines_make_the_image_real() -> None:
    image = phantom(HEIGHT, WIDTH) + 0.05
    y, x = np.mgrid[-1 : 1 : 1j * HEIGHT, -1 : 1 : 1j * WIDTH]
    maps = coil_maps(4, HEIGHT, WIDTH) * np.exp(1j * (0.7 + x - 0.5 * y))
    power = np.sqrt((np.abs(maps) ** 2).sum(0))
    found = whole(maps * image)
    assert found.calibration() == WIDTH - 1
    few = KSpace(found.values[:, :, 10:31], np.arange(10, 31), WIDTH)
    assert few.calibration() == 21
    estimated = few.maps()
    inside = image > 0.1
    apart = np.abs(estimated - maps / power)[:, inside]
    assert apart.max() < 0.15 and apart.mean() < 0.02
    combined = (estimated.conj() * maps * image).sum(0)
    assert np.abs(combined.imag).max() < 0.05 * np.abs(combined).max()
    sparse = KSpace(found.values[:, :, ::4], np.arange(0, WIDTH, 4), WIDTH)
    assert sparse.calibration() == 1
    with pytest.raises(ArgumentError, match="--sensitivities FILE"):
        sparse.maps()
