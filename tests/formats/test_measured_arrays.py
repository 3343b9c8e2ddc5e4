"""Arrays in files of NumPy, HDF5 and MATLAB: the part that is asked for, and bad files."""

import io
import pickle
import resource
import struct
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image

from invprob.errors import FileError
from invprob.formats.opened import open_arrays
from invprob.formats.stored import MOST_BYTES
from invprob.formats.wanted import Wanted, choose

VALUES = np.random.default_rng(0).normal(size=(4, 5, 6))
COMPLEX = VALUES + 1j * VALUES[::-1]


def read(path: Path, at: dict[int, int] | None = None, dataset: str | None = None) -> np.ndarray:
    with open_arrays(path) as held:
        return choose(held.arrays, Wanted(dataset), path.name).part(at)


def refused(path: Path, dataset: str | None = None) -> str:
    with pytest.raises(FileError) as error:
        read(path, dataset=dataset)
    assert "\n" not in str(error.value) and path.name.split(".")[0] in str(error.value)
    return str(error.value)


def write(path: Path, values: np.ndarray) -> None:
    kind = path.stem.split("-")[0]
    if kind == "npy":
        np.save(path, values)
    elif kind == "npyf":
        np.save(path, np.asfortranarray(values))
    elif kind == "npz":
        np.savez_compressed(path, only=values)
    elif kind == "npzf":
        np.savez(path, only=np.asfortranarray(values))
    elif kind == "mat":
        scipy.io.savemat(path, {"only": values}, do_compression=True)
    elif kind == "mat73":
        with h5py.File(path, "w", userblock_size=512) as file:
            pairs = np.dtype([("real", "f8"), ("imag", "f8")])
            stored = values.T.astype(complex).view(pairs) if np.iscomplexobj(values) else values.T
            file["only"] = stored
            file["only"].attrs["MATLAB_class"] = np.bytes_("double")
            file["#refs#/a"] = stored
        with path.open("r+b") as raw:
            raw.write(b"MATLAB 7.3 MAT-file, as MATLAB writes it")
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset("group/only", data=values, compression="gzip", chunks=(1, 5, 6))


@pytest.mark.parametrize("values", [VALUES, COMPLEX, (100 * VALUES).astype(np.int16)])
@pytest.mark.parametrize(
    "name", ["npy.npy", "npyf.npy", "npz.npz", "npzf.npz", "mat.mat", "mat73.mat", "h5.h5"]
)
def test_what_was_written_is_read_whole_and_in_parts(
    tmp_path: Path, name: str, values: np.ndarray
) -> None:
    path = tmp_path / name
    write(path, values)
    whole = read(path)
    assert np.array_equal(whole, values) and np.iscomplexobj(whole) == np.iscomplexobj(values)
    assert np.array_equal(read(path, {0: 2}), values[2])
    assert np.array_equal(read(path, {2: 1}), values[:, :, 1])
    assert np.array_equal(read(path, {0: 3, 2: 5}), values[3, :, 5])


def test_frames_of_a_tiff_file(tmp_path: Path) -> None:
    frames = [Image.fromarray(plane) for plane in VALUES.astype(np.float32)]
    frames[0].save(tmp_path / "t.tif", save_all=True, append_images=frames[1:])
    assert np.array_equal(read(tmp_path / "t.tif", {0: 2}), VALUES[2].astype(np.float32))
    assert np.array_equal(read(tmp_path / "t.tif"), VALUES.astype(np.float32))
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "rgb.tif")
    assert "not one number each" in refused(tmp_path / "rgb.tif")


def test_several_arrays_are_listed(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", kspace=VALUES, maps=VALUES[0], theta=VALUES[0, 0])
    said = refused(tmp_path / "two.npz")
    assert "--dataset NAME: kspace (4, 5, 6), maps (5, 6), theta (6,)" in said
    assert np.array_equal(read(tmp_path / "two.npz", dataset="maps"), VALUES[0])
    assert "Did you mean 'kspace'?" in refused(tmp_path / "two.npz", dataset="kspac")
    np.savez(tmp_path / "one.npz", kspace=VALUES, theta=VALUES[0, 0])
    assert np.array_equal(read(tmp_path / "one.npz"), VALUES)


def test_only_the_part_that_is_asked_for_is_read(tmp_path: Path) -> None:
    """The whole would be larger than what is read at once; the holes of the file take no disk."""
    rows = MOST_BYTES // 8 // 1000 + 1
    path = tmp_path / "large.npy"
    large = np.lib.format.open_memmap(path, "w+", np.float64, (2, rows, 1000))
    large[1, 7] = 3
    large.flush()
    with h5py.File(tmp_path / "large.h5", "w") as file:
        data = file.create_dataset("large", (2, rows, 1000), "f8", chunks=(1, 100, 1000))
        data[1, 7] = 3
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name in ("large.npy", "large.h5"):
        found = read(tmp_path / name, {0: 1, 1: 7})
        assert found.shape == (1000,) and (found == 3).all()
        assert "choose a part" in refused(tmp_path / name)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 100_000  # KiB


def header(shape: tuple[int, ...], dtype: str = "<f8") -> bytes:
    file = io.BytesIO()
    about = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, about)
    return file.getvalue()


def test_zip_bombs_are_not_unpacked(tmp_path: Path) -> None:
    zeros = b"\0" * (1 << 24)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("honest.npy", "w", force_zip64=True) as entry:
            entry.write(header((2**14, 2**14)))
            for _ in range(64):
                entry.write(zeros)
        with archive.open("lying.npy", "w", force_zip64=True) as entry:
            entry.write(header((4, 4)))
            for _ in range(64):
                entry.write(zeros)
        archive.writestr("short.npy", header((4, 4)) + b"\0" * 8)
        archive.writestr("huge.npy", header((2**60, 2**60)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = tmp_path / "bomb.npz"
    assert "would take 2,048 MiB" in refuse_in(path, "honest")
    assert np.array_equal(read(path, dataset="lying"), np.zeros((4, 4)))
    assert "ends early" in refuse_in(path, "short")
    assert "would take" in refuse_in(path, "huge")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 50_000  # KiB


def refuse_in(path: Path, dataset: str) -> str:
    with pytest.raises(FileError) as error:
        read(path, dataset=dataset)
    return str(error.value)


def test_a_matlab_variable_that_unpacks_to_too_much(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "good.mat", {"only": VALUES})
    start = (tmp_path / "good.mat").read_bytes()[:128]
    packer, packed = zlib.compressobj(9), b""
    packed += packer.compress(struct.pack("<II", 14, 2**30))
    for _ in range(64):
        packed += packer.compress(b"\0" * (1 << 24))
    packed += packer.flush()
    path = tmp_path / "bomb.mat"
    path.write_bytes(start + struct.pack("<II", 15, len(packed)) + packed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileError, match="unpacks to more than 512 MiB"):
        read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


class Evil:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._path,)


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    evil = np.array([Evil(tmp_path / "done")], object)
    np.save(tmp_path / "evil.npy", evil, allow_pickle=True)
    np.savez(tmp_path / "evil.npz", evil=evil)
    (tmp_path / "evilraw.npy").write_bytes(pickle.dumps(evil))
    assert "pickled objects" in refused(tmp_path / "evil.npy")
    assert "'evil' holds object elements" in refused(tmp_path / "evil.npz")
    assert "of no kind that is read" in refused(tmp_path / "evilraw.npy")
    assert not (tmp_path / "done").exists()


def test_damaged_and_other_files(tmp_path: Path) -> None:
    for name in ("npy.npy", "npz.npz", "mat.mat", "mat73.mat", "h5.h5"):
        path = tmp_path / name
        write(path, VALUES)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        refused(path)
    (tmp_path / "text.h5").write_text("not HDF5")
    assert "of no kind that is read" in refused(tmp_path / "text.h5")
    assert "no such file" in refused(tmp_path / "none.mat")
    scipy.io.savemat(tmp_path / "struct.mat", {"s": {"a": VALUES}, "c": np.array([{}, 1], object)})
    assert "holds no array of numbers" in refused(tmp_path / "struct.mat")


def test_an_hdf5_file_leads_to_no_other_file(tmp_path: Path) -> None:
    write(tmp_path / "h5.h5", VALUES)
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["away"] = h5py.ExternalLink(str(tmp_path / "h5.h5"), "/group/only")
        layout = h5py.VirtualLayout((4, 5, 6), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "h5.h5"), "group/only", (4, 5, 6))
        file.create_virtual_dataset("virtual", layout)
    assert "keeps its numbers in other files" in refuse_in(tmp_path / "link.h5", "virtual")
