"""Sinograms: which axis is which, angles from files, averaged detector pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from invprob.errors import ArgumentError, FileError
from invprob.formats.angles import angles_of
from invprob.formats.sinogram import Sinogram, read_sinogram
from invprob.formats.stored import Loaded
from invprob.formats.wanted import Wanted
from invprob.operators import CT

VIEWS, CELLS = 7, 9
VALUES = np.random.default_rng(0).normal(size=(VIEWS, CELLS))


def read(values: np.ndarray, views: int | None = VIEWS, **wanted: Any) -> Sinogram:
    return read_sinogram(Loaded("s", values), views, Wanted(**wanted))


def test_the_axis_of_the_views_is_that_with_as_many_places_as_angles() -> None:
    for values in (VALUES, VALUES.T):
        found = read(values)
        assert np.array_equal(found.values, VALUES[None])
        assert found.words[:2] == ("views 7", "detectors 9")
    assert any("exchanged" in word for word in read(VALUES.T).words)
    stack = np.stack([k * VALUES for k in range(5)])
    assert np.array_equal(read(stack, slice=3).values, 3 * VALUES[None])
    assert np.array_equal(read(stack.transpose(1, 0, 2)).values, 2 * VALUES[None])
    assert np.array_equal(read(stack.transpose(0, 2, 1), slice=1).values, VALUES[None])
    assert np.array_equal(read(stack[:3]).values, stack[:3])  # three colours
    square = np.ones((7, 7, 9))
    with pytest.raises(FileError, match="--axes 'slices views detectors'"):
        read(square)
    named = read(square, axes="views slices detectors")
    assert named.values.shape == (1, 7, 9)
    assert "whole numbers may be counts" in " ".join(read(VALUES.astype(int)).words)


def test_what_does_not_fit() -> None:
    with pytest.raises(FileError, match="no axis has a place for each of the 8 angles"):
        read(VALUES, 8)
    with pytest.raises(ArgumentError, match="--angles FILE, or --views 7"):
        read(VALUES, None)
    with pytest.raises(FileError, match="is complex"):
        read(VALUES + 1j)
    with pytest.raises(ArgumentError, match="--axes 'views' must name each of the 2 axes"):
        read(VALUES, axes="views")
    with pytest.raises(FileError, match="a sinogram has two axes"):
        read(VALUES.ravel())


def test_angles_from_files_and_arrays(tmp_path: Path) -> None:
    degrees = np.linspace(0, 180, 11, endpoint=False)
    arrays = {"scan/Theta": Loaded("scan/Theta", degrees[None]), "s": Loaded("s", VALUES)}
    found, source = angles_of(None, arrays)
    assert found is not None and np.array_equal(found, degrees) and "scan/Theta" in source
    np.save(tmp_path / "a.npy", degrees)
    (tmp_path / "a.txt").write_text("\n".join(map(str, degrees)))
    (tmp_path / "a.csv").write_text(",".join(map(str, degrees)))
    for name in ("a.npy", "a.txt", "a.csv"):
        found, source = angles_of(str(tmp_path / name), {})
        assert found is not None and np.array_equal(found, degrees) and name in source
    assert angles_of(None, {"s": Loaded("s", VALUES)}) == (None, "")
    for radians in (np.radians(degrees), np.radians(2 * degrees)):
        with pytest.raises(ArgumentError, match="looks like radians"):
            angles_of("t", {"t": Loaded("t", radians)})
    few, _ = angles_of("t", {"t": Loaded("t", np.array([0.0, 1.0, 2.0]))})
    assert few is not None and few.tolist() == [0, 1, 2]
    with pytest.raises(FileError, match="no such file, and no such array among s"):
        angles_of("nowhere", {"s": Loaded("s", VALUES)})
    (tmp_path / "bad.txt").write_text("0 1 two")
    with pytest.raises(FileError, match="it must hold numbers alone"):
        angles_of(str(tmp_path / "bad.txt"), {})
    with pytest.raises(ArgumentError, match="finite numbers along one axis"):
        angles_of("t", {"t": Loaded("t", np.array([0.0, np.nan]))})


@pytest.mark.parametrize("cells", [192, 193, 194, 195, 196, 197])
@pytest.mark.parametrize("axis", [0.0, 2.5])
def test_averaged_detector_pixels_see_the_same_image(cells: int, axis: float) -> None:
    """A smooth image on a grid three times as coarse, seen by pixels three times as wide."""
    fine, count = 132, 3
    y, x = np.mgrid[:fine, :fine] - (fine - 1) / 2
    image = np.exp(-((x - 6) ** 2 + (y + 9) ** 2) / 400)
    coarse = image.reshape(44, 3, 44, 3).mean((1, 3))
    degrees = [0.0, 20.0, 90.0, 130.0]
    full = CT((1, fine, fine), degrees=degrees, detectors=cells, axis=axis)
    values = full(torch.from_numpy(image)[None, None])[0].numpy()
    found, moved = Sinogram(values, ()).binned(count)
    small = CT(
        (1, 44, 44),
        degrees=degrees,
        detectors=found.values.shape[2],
        axis=(axis + moved) / count,
    )
    expected = small(torch.from_numpy(coarse)[None, None])[0].numpy()
    apart = np.linalg.norm(found.values - expected) / np.linalg.norm(expected)
    assert apart < 0.01, apart
