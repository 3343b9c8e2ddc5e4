"""Files of scanners on the command line: imported, restored, and refused where they are wrong."""

import json
from pathlib import Path

import ismrmrd
import numpy as np
import pytest
import scipy.io
import torch
from safetensors.torch import load_file
from scanner_files import (
    RawFile,
    coil_maps,
    header,
    padded,
    phantom,
    transformed,
    write_cfl,
    write_fastmri,
)
from skimage.transform import radon

from invprob.measurements import Measurements
from invprob.operators import CT

ROWS, COLUMNS = 32, 24
IMAGE = phantom(ROWS, COLUMNS) / 2
COILS = coil_maps(4, ROWS, COLUMNS) * IMAGE
LINES = [column for column in range(COLUMNS) if column % 2 == 0 or abs(column - 12) < 6]
MULTI = ("--operator", "multicoil-mri")
QUICK = ("--method", "tv", "--steps", 40)


def raw_file(name: str) -> str:
    """Four coils, twice oversampled, two slices, with a noise scan."""
    file = RawFile(Path(name), header(2 * ROWS, COLUMNS, ROWS))
    full = transformed(padded(COILS, 2 * ROWS))
    file.add(np.ones((4, 16)), flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT])
    for number in (0, 1):
        for line in reversed(LINES):
            file.add(full[:, :, line] * number, line, slice=number)
    file.close()
    return name


def restored(run: str) -> np.ndarray:
    """The luminance, which is what was measured, in its units."""
    colours = load_file(f"{run}/solution.safetensors")["image"][0].double()
    colours = Measurements.load(f"{run}/measurements.safetensors").physical(colours)
    image: np.ndarray = np.tensordot((0.299, 0.587, 0.114), colours.numpy(), 1)
    return image


def test_raw_data_are_imported_and_restored(call, place: Path) -> None:
    done = call("import-measurements", raw_file("raw.h5"), *MULTI, "--out", "y.st")
    assert done.status == 0, done
    for part in ("1 noise scan left out", "slice 1 of 2", "coils 4, rows 32 (readout, 64 with"):
        assert part in done.err
    assert "coil maps are estimated from the 13 middle lines" in done.err
    assert "luminance makes one of the image's three" in done.err
    saved = Measurements.load("y.st")
    assert saved.image_shape == (3, ROWS, COLUMNS)
    assert call("solve", "--measurements", "y.st", *QUICK, "--out", "run").status == 0
    power = np.sqrt((np.abs(COILS) ** 2).sum(0))
    assert np.abs(restored("run") - power).mean() < 0.005
    direct = call("solve", "--measured", "raw.h5", *MULTI, *QUICK, "--out", "direct")
    assert direct.status == 0 and "1 noise scan" in direct.err
    assert torch.equal(Measurements.load("direct/measurements.safetensors").values, saved.values)
    again = call("solve", "--config", "direct/config.toml", "--out", "again")
    assert again.status == 0
    assert np.array_equal(restored("again"), restored("direct"))


def test_a_generator_sees_the_middle_of_k_space(call, refuse, place: Path) -> None:
    kspace = transformed(np.pad(COILS, ((0, 0), (8, 8), (12, 12))))
    write_fastmri(Path("f.h5"), kspace[None], header(48, 48, 48))
    done = call("solve", "--measured", "f.h5", *MULTI, "--steps", 2, "--out", "run")
    assert done.status == 0, done
    assert "the middle 32 x 32 of 48 x 48 in k-space are kept" in done.err
    assert "3 x 3 mm" in done.err
    assert Measurements.load("run/measurements.safetensors").image_shape == (3, 32, 32)
    assert "--size 48 or less" in refuse(
        "import-measurements", "f.h5", *MULTI, "--size", 64, "--out", "y.st"
    )


def test_lines_of_a_file_are_thinned_out_and_not_drawn(call, refuse, place: Path) -> None:
    words = ("import-measurements", raw_file("raw.h5"), *MULTI, "--out", "y.st")
    assert "leave --acceleration and --centre-fraction out" in refuse(*words, "--acceleration", 2)
    assert "lines names column 1, which the file does not hold" in refuse(*words, "--lines", "1 2")
    assert call(*words, "--lines", "8 9 10 11 12 13 14 15 16 2").status == 0
    lines = Measurements.load("y.st").operator_spec["operators"][0]["lines"]
    assert lines == [2, 8, 9, 10, 11, 12, 13, 14, 15, 16]
    write_fastmri(Path("f.h5"), transformed(COILS)[None], header(ROWS, COLUMNS, ROWS))
    fast = ("import-measurements", "f.h5", *MULTI, "--out", "z.st")
    assert "of which kspace is read" in refuse(*fast, "--dataset", "kspce")
    other = ("--operator", "circulant", "--ratio", 0.1, "--out", "z.st")
    assert "raw data of a scanner" in refuse("import-measurements", "raw.h5", *other)


def test_the_same_k_space_in_other_formats(call, place: Path) -> None:
    kspace = transformed(COILS)
    kspace[:, :, [column for column in range(COLUMNS) if column not in LINES]] = 0
    np.save("k.npy", kspace)
    np.savez("k.npz", kspace=kspace.astype(np.complex64))
    scipy.io.savemat("k.mat", {"kspace": kspace.transpose(1, 2, 0)})
    write_cfl(Path("k"), kspace.transpose(1, 2, 0)[:, :, None])
    np.save("turned.npy", kspace.transpose(2, 0, 1))
    values = []
    for name in ("k.npy", "k.npz", "k.mat", "k.cfl", "turned.npy"):
        axes = ("--axes", "columns coils rows") if name == "turned.npy" else ()
        done = call("import-measurements", name, *MULTI, *axes, "--out", "y.st", "--overwrite")
        assert done.status == 0, done
        assert "coils 4, rows 32 (readout)" in done.err and "18 of 24 columns" in done.err
        values.append(Measurements.load("y.st").values)
        operator = Measurements.load("y.st").operator_spec["operators"][0]
        assert operator["lines"] == LINES
    for other in values[1:]:
        torch.testing.assert_close(other, values[0], rtol=1e-5, atol=1e-6)


def test_one_coil(call, refuse, place: Path) -> None:
    np.save("one.npy", transformed(IMAGE.astype(complex)))
    done = call("import-measurements", "one.npy", "--operator", "mri", "--out", "y.st")
    assert done.status == 0 and "phase" not in done.err.replace("phase encoding", "")
    np.save("turned.npy", transformed(IMAGE * np.exp(1j)))
    done = call("import-measurements", "turned.npy", "--operator", "mri", "--out", "z.st")
    assert "the image has a phase (84% of its norm is imaginary)" in done.err
    np.save("coils.npy", transformed(COILS)[None])
    said = refuse("import-measurements", "coils.npy", "--operator", "mri", "--out", "w.st")
    assert "--axes" in said
    said = refuse("import-measurements", raw_file("raw.h5"), "--operator", "mri", "--out", "w.st")
    assert "raw.h5 has 4 coils, and mri reads one: --operator multicoil-mri" in said


def test_a_sinogram_with_dead_pixels(call, refuse, place: Path) -> None:
    size, degrees = 33, np.arange(0, 180, 4.0)
    image = phantom(size, size) * (np.hypot(*(np.mgrid[:size, :size] - 16)) < 15)
    sinogram = radon(image, degrees)  # (detectors, views)
    damaged = sinogram.copy()
    damaged[20] = np.nan
    np.savez("s.npz", data=damaged, theta=degrees)
    done = call("import-measurements", "s.npz", "--operator", "ct", "--out", "y.st")
    assert done.status == 0, done
    assert "views 45, detectors 33, the two are exchanged" in done.err
    assert "angles of 'theta'" in done.err and "images are 33 x 33 pixels" in done.err
    assert (
        "45 of 1485 numbers are missing (3.03%), within (all, all, 20) of (1, 45, 33)" in done.err
    )
    saved = Measurements.load("y.st")
    seen = saved.operator().observed()[0, 0].numpy()
    assert not seen[:, 20].any() and seen.sum() == seen.size - 45
    assert np.abs(saved.values[0, 0].numpy() - np.where(seen, sinogram.T, 0)).max() < 1e-5
    assert call("solve", "--measurements", "y.st", *QUICK, "--out", "run").status == 0
    np.save("zeros.npy", np.nan_to_num(damaged))
    np.save("whole.npy", sinogram)
    for name in ("zeros", "whole"):
        words = ("--measured", f"{name}.npy", "--operator", "ct", "--views", 45)
        assert call("solve", *words, *QUICK, "--out", name).status == 0
    errors = {run: np.abs(restored(run) - image).mean() for run in ("run", "zeros", "whole")}
    assert errors["run"] < 1.2 * errors["whole"] < 3 * errors["whole"] < errors["zeros"], errors
    angles = ("--angles", "angles.txt")
    np.savetxt("angles.txt", np.radians(degrees))
    np.save("s.npy", sinogram)
    words = ("import-measurements", "s.npy", "--operator", "ct", "--out", "z.st")
    assert "looks like radians" in refuse(*words, *angles)
    np.savetxt("angles.txt", degrees[1:])
    assert "no axis has a place for each of the 44 angles" in refuse(*words, *angles)
    assert "--angles was given beside --views" in refuse(*words, *angles, "--views", 45)
    assert "--angles FILE" in refuse(*words)
    assert "--detectors 50 asks for others" in refuse(*words, "--views", 45, "--detectors", 50)
    np.savetxt("angles.txt", degrees)
    done = call(*words, *angles, "--size", 11)
    assert done.status == 0 and "3 detector pixels are averaged to one" in done.err
    operator = Measurements.load("z.st").operator()
    assert isinstance(operator.leaves()[0], CT)
    assert operator.measurement_shape == (1, 45, 11)


def test_a_picture_with_missing_elements(call, place: Path) -> None:
    values = np.linspace(-1, 1, 3 * 32 * 32).reshape(3, 32, 32)
    values[:, 3, 4] = np.nan
    np.save("y.npy", values)
    words = ("--operator", "identity", "--size", 32, "--out", "y.st")
    done = call("import-measurements", "y.npy", *words)
    assert done.status == 0 and "3 of 3072 numbers are missing" in done.err
    assert not Measurements.load("y.st").operator().observed()[0, :, 3, 4].any()


@pytest.mark.parametrize("name", ["bad.h5", "bad.npz", "bad.mat", "bad.cfl", "bad.tif", "bad.npy"])
def test_what_is_damaged_is_refused_in_one_line(refuse, place: Path, name: str) -> None:
    Path(name).write_bytes(b"\x89HDF\r\n\x1a\n" if name == "bad.h5" else b"PK\3\4 and no more")
    operator = ("--operator", "ct", "--views", 4) if name == "bad.tif" else MULTI
    assert "bad" in refuse("import-measurements", name, *operator, "--out", "y.st")
    assert "bad" in refuse("solve", "--measured", name, *operator, "--method", "tv")


def test_json_stays_json(call, place: Path) -> None:
    done = call("import-measurements", raw_file("raw.h5"), *MULTI, "--out", "y.st", "--json")
    assert json.loads(done.out)["image_shape"] == [3, ROWS, COLUMNS] and done.err == ""
