"""Files of BART: written by the tool itself, and in the layout that it publishes."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scanner_files import coil_maps, phantom, transformed, write_cfl

from invprob.errors import FileError
from invprob.formats.kspace import KSpace
from invprob.formats.kspace_arrays import BART, read_kspace
from invprob.formats.opened import open_arrays
from invprob.formats.wanted import Wanted, choose


def read(path: Path, **wanted: Any) -> KSpace:
    with open_arrays(path) as held:
        return read_kspace(choose(held.arrays, Wanted(), path.name), Wanted(**wanted), BART)


def test_the_published_layout(tmp_path: Path) -> None:
    rows, columns = 12, 10
    kspace = transformed(coil_maps(3, rows, columns) * phantom(rows, columns))
    kspace[:, :, 1] = 0
    stored = np.zeros((rows, columns, 1, 3, *[1] * 9, 2), complex)  # axis 13 has the slices
    stored[:, :, 0, :, ..., 0] = np.moveaxis(kspace, 0, -1)[(..., *[None] * 9)]
    stored[..., 1] = 2 * stored[..., 0]
    write_cfl(tmp_path / "k", stored)
    for name in ("k.cfl", "k.hdr", "k"):
        found = read(tmp_path / name, slice=0)
        assert found.lines.tolist() == [0, *range(2, columns)]
        assert np.abs(found.values - kspace[:, :, found.lines]).max() < 1e-6
    usual = read(tmp_path / "k.cfl")
    assert np.abs(usual.values - 2 * kspace[:, :, usual.lines]).max() < 1e-6
    assert "coils 3" in usual.words and "9 of 10 columns measured" in usual.words


def test_what_the_tool_itself_writes(tmp_path: Path) -> None:
    if shutil.which("bart") is None:
        pytest.skip("the program bart is not installed")

    def bart(*words: str) -> None:
        subprocess.run(["bart", *words], cwd=tmp_path, check=True, capture_output=True)

    bart("phantom", "-s", "4", "-x", "32", "images")
    bart("fft", "-u", "3", "images", "kspace")
    bart("show", "images")
    found = read(tmp_path / "kspace")
    with open_arrays(tmp_path / "images.cfl") as held:
        images = next(iter(held.arrays.values())).part().squeeze()
    assert images.shape == (32, 32, 4) and found.values.shape == (4, 32, 32)
    apart = found.zero_filled() - np.moveaxis(images, -1, 0)
    assert np.abs(apart).max() < 1e-5 * np.abs(images).max()


def test_files_that_contradict_each_other(tmp_path: Path) -> None:
    def refused(name: str) -> str:
        with pytest.raises(FileError) as error:
            read(tmp_path / name)
        assert "\n" not in str(error.value)
        return str(error.value)

    write_cfl(tmp_path / "k", np.ones((4, 5), complex))
    header = tmp_path / "k.hdr"
    header.write_text("# Dimensions\n4 6 1\n")
    assert "k.hdr says 4 x 6, which takes 192 bytes, but k.cfl has 160" in refused("k.cfl")
    for text in ("nothing", "# Dimensions\n", "# Dimensions\n4 -5", "# Dimensions\n4 0", "\xff"):
        header.write_text(text, "latin-1")
        assert "no header of BART" in refused("k.cfl")
    header.unlink()
    assert "k.hdr' cannot be read: no such file" in refused("k.cfl")
