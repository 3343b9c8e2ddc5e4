"""Raw data that the package `ismrmrd` writes, against NumPy's transform of a known image."""

from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
import pytest
from scanner_files import RawFile, coil_maps, header, padded, phantom, transformed

from invprob.errors import ArgumentError, FileError
from invprob.formats.ismrmrd_raw import read_raw
from invprob.formats.kspace import KSpace
from invprob.formats.opened import open_arrays
from invprob.formats.wanted import Wanted

ROWS, COLUMNS, COILS = 20, 18, 3
IMAGE = coil_maps(COILS, ROWS, COLUMNS) * phantom(ROWS, COLUMNS)
LINES = [0, 3, 5, 6, 7, 8, 9, 10, 11, 14, 17]


def read(path: Path, **wanted: Any) -> KSpace:
    with open_arrays(path) as held:
        assert held.file is not None
        return read_raw(held.file, path, Wanted(**wanted))


def write(path: Path, text: str, samples: np.ndarray, lines: list[int], **more: Any) -> None:
    file = RawFile(path, text)
    for line in lines:
        file.add(samples[:, :, line], line, **more)
    file.close()


def same(found: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.abs(found - expected).max() < 1e-6 * np.abs(expected).max())


def test_shuffled_lines_of_an_oversampled_readout_with_other_scans(tmp_path: Path) -> None:
    path = tmp_path / "raw.h5"
    file = RawFile(path, header(2 * ROWS, COLUMNS, ROWS))
    rng = np.random.default_rng(1)
    full = transformed(padded(IMAGE, 2 * ROWS))
    file.add(rng.normal(size=(COILS, 256)), flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT])
    for number in (0, 1, 2):
        for line in rng.permutation(LINES):
            file.add((number + 1) * full[:, :, line], int(line), slice=number)
    file.add(rng.normal(size=(COILS, 30)), 2, flags=[ismrmrd.ACQ_IS_NAVIGATION_DATA], slice=1)
    file.add(rng.normal(size=(COILS, 40)), 2, flags=[ismrmrd.ACQ_IS_DUMMYSCAN_DATA], slice=1)
    file.close()
    middle = read(path)
    assert middle.lines.tolist() == LINES and middle.width == COLUMNS
    expected = transformed(IMAGE)[:, :, LINES]
    assert middle.values.shape == expected.shape
    assert same(middle.values, 2 * expected) and middle.seen is None
    assert middle.pixel == (2.0, 2.0)
    said = ", ".join(middle.words)
    for part in (
        "1 noise scan left out",
        "1 navigator left out",
        "1 dummy scan left out",
        "slice 1 of 3, the middle one (--slice N takes another)",
        "coils 3, rows 20 (readout, 40 with oversampling), columns (phase encoding)",
        "11 of 18 columns measured",
    ):
        assert part in said
    assert same(read(path, slice=2).values, 3 * expected)
    with pytest.raises(ArgumentError, match="--slice 3 is not there: the file has 3 slices"):
        read(path, slice=3)


def test_the_middle_of_lines_is_that_of_the_header(tmp_path: Path) -> None:
    """Partial Fourier: lines are counted from the first one measured, of which few lie below."""
    path, full = tmp_path / "raw.h5", transformed(IMAGE)
    file = RawFile(path, header(ROWS, COLUMNS, ROWS, middle=3))
    for column in range(COLUMNS // 2 - 3, COLUMNS):
        file.add(full[:, :, column], column - (COLUMNS // 2 - 3))
    file.close()
    found = read(path)
    assert found.lines.tolist() == list(range(6, COLUMNS))
    assert same(found.values, full[:, :, 6:])


def test_partial_echoes_and_averages(tmp_path: Path) -> None:
    path, full = tmp_path / "raw.h5", transformed(IMAGE)
    file = RawFile(path, header(ROWS, COLUMNS, ROWS))
    for column in range(COLUMNS):
        part = full[:, 6:, column]
        for number, factor in enumerate((0.5, 1.5)):
            file.add(factor * part, column, centre=ROWS // 2 - 6, average=number, contrast=0)
        file.add(part, column, contrast=1)  # without a word where its middle is
    file.close()
    found = read(path)
    assert same(found.values[:, 6:], full[:, 6:]) and not found.values[:, :6].any()
    assert found.seen is not None
    assert found.seen[6:].all() and not found.seen[:6].any()
    assert "lines measured 2 times are averaged" in found.words
    with pytest.raises(FileError, match="lines have 14 samples with number 0 in the middle"):
        read(path, contrast=1)


def test_reversed_lines_are_turned(tmp_path: Path) -> None:
    full = transformed(IMAGE)
    path = tmp_path / "raw.h5"
    file = RawFile(path, header(ROWS, COLUMNS, ROWS))
    for column in range(COLUMNS):
        odd = column % 2
        samples = full[:, ::-1, column] if odd else full[:, :, column]
        file.add(samples, column, flags=[ismrmrd.ACQ_IS_REVERSE] if odd else [])
    file.close()
    assert same(read(path).values, full)


def test_what_contradicts_the_header_is_refused(tmp_path: Path) -> None:
    full = transformed(IMAGE)
    lines = list(range(COLUMNS))

    def refused(text: str, samples: np.ndarray = full, **wanted: Any) -> str:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.h5"
        write(path, text, samples, lines)
        with pytest.raises(FileError) as error:
            read(path, **wanted)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "lines have 20 samples" in refused(header(24, COLUMNS, 24))
    assert "numbered 0 to 17 around 5, which leaves the 10 columns" in refused(
        header(ROWS, 10, ROWS)
    )
    assert "the trajectory is radial" in refused(header(ROWS, COLUMNS, ROWS, trajectory="radial"))
    assert "no XML" in refused("<ismrmrdHeader")
    assert "no encoding" in refused("<ismrmrdHeader></ismrmrdHeader>")
    bomb = '<!DOCTYPE x [<!ENTITY a "b">]>' + header(ROWS, COLUMNS, ROWS)[39:]
    assert "is not read" in refused(bomb)
    assert "holds no raw data 'other'; it holds dataset" in refused(
        header(ROWS, COLUMNS, ROWS), dataset="other"
    )


def test_a_file_of_noise_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.h5"
    flags = [ismrmrd.ACQ_IS_NOISE_MEASUREMENT]
    write(path, header(ROWS, COLUMNS, ROWS), transformed(IMAGE), [0, 1], flags=flags)
    with pytest.raises(FileError, match="no line of an image: 2 noise scans left out"):
        read(path)
