"""Files with the keys that fastMRI documents, against NumPy's transform."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scanner_files import coil_maps, header, padded, phantom, transformed, write_fastmri

from invprob.errors import FileError
from invprob.formats.fastmri import is_fastmri, read_fastmri
from invprob.formats.kspace import KSpace
from invprob.formats.opened import open_arrays
from invprob.formats.wanted import Wanted

ROWS, COLUMNS = 16, 18
IMAGE = coil_maps(2, ROWS, COLUMNS) * phantom(ROWS, COLUMNS)
FULL = transformed(padded(IMAGE, 2 * ROWS))
SLICES = np.stack([FULL, 2 * FULL, 3 * FULL])
TEXT = header(2 * ROWS, COLUMNS, ROWS)


def read(path: Path, **wanted: Any) -> KSpace:
    with open_arrays(path) as held:
        assert held.file is not None and is_fastmri(held.file)
        return read_fastmri(held.file, path, Wanted(**wanted))


def test_slices_of_several_coils_and_of_one(tmp_path: Path) -> None:
    expected = transformed(IMAGE)
    write_fastmri(tmp_path / "multi.h5", SLICES, TEXT)
    found = read(tmp_path / "multi.h5", slice=2)
    assert np.abs(found.values - 3 * expected).max() < 1e-5
    assert "rows 16 (readout, 32 with oversampling)" in found.words
    write_fastmri(tmp_path / "single.h5", SLICES[:, 0], TEXT)
    single = read(tmp_path / "single.h5")
    assert np.abs(single.values - 2 * expected[:1]).max() < 1e-5
    assert "one coil" in single.words


def test_the_mask_says_what_was_measured(tmp_path: Path) -> None:
    mask = (np.arange(COLUMNS) % 3 == 0).astype(np.float32)
    write_fastmri(tmp_path / "test.h5", SLICES * mask, TEXT, mask)
    lines = np.flatnonzero(mask).tolist()
    assert read(tmp_path / "test.h5").lines.tolist() == lines
    write_fastmri(tmp_path / "full.h5", SLICES, TEXT, mask)  # of all columns these are to be used
    assert read(tmp_path / "full.h5").lines.tolist() == lines
    write_fastmri(tmp_path / "none.h5", SLICES * mask, TEXT)
    assert read(tmp_path / "none.h5").lines.tolist() == lines


def test_what_contradicts_itself(tmp_path: Path) -> None:
    path = tmp_path / "wrong.h5"
    write_fastmri(path, SLICES, header(2 * ROWS, COLUMNS + 2, ROWS))
    with pytest.raises(FileError, match="32 rows and 18 columns, but its header encodes 32 x 20"):
        read(path)
    write_fastmri(path, SLICES, TEXT, np.ones(COLUMNS - 1))
    with pytest.raises(FileError, match=r"mask has the shape \(17,\), but k-space has 18 columns"):
        read(path)
    write_fastmri(path, SLICES.real, TEXT)
    with pytest.raises(FileError, match="header is no XML"):
        write_fastmri(path, SLICES, "no header")
        read(path)
