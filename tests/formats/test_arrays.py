"""Arrays as images: NumPy and HDF5, what they are cut to, and what is refused."""

import gzip
import json
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import matplotlib
import numpy as np
import pytest

from invprob.errors import ArgumentError, FileError
from invprob.formats.scan import Derivation, Placement, Selection
from invprob.formats.table import read_scan
from invprob.formats.window import Window
from invprob.run.images import load_image

RNG = np.random.default_rng(0)
STACK = RNG.normal(100, 30, (5, 6, 7)).astype(np.float32)


def saved(path: Path, values: np.ndarray) -> Path:
    np.save(path, values)
    return path


def stored(path: Path, **datasets: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name.replace("__", "/")] = values
    return path


@pytest.mark.parametrize("plane", [None, "0", "1", "2"])
def test_a_stack_is_cut_along_the_axis(plane: str | None, tmp_path: Path) -> None:
    expected = np.take(STACK, 3, int(plane or 0))
    for path in (saved(tmp_path / "a.npy", STACK), stored(tmp_path / "a.h5", scan=STACK)):
        scan = read_scan(path, Selection(plane=plane, index=3))
        np.testing.assert_array_equal(scan.planes, expected[None])
        image = load_image(path, plane=plane, index=3, window="70 130")
        wanted = (expected.clip(70, 130) - 100) / 30
        np.testing.assert_allclose(image[0, 2].numpy(), wanted, atol=1e-6)


def test_planes_and_colours(tmp_path: Path) -> None:
    colours = RNG.integers(0, 256, (8, 9, 3)).astype(np.uint8)
    last = load_image(saved(tmp_path / "a.npy", colours))
    first = load_image(saved(tmp_path / "b.npy", np.moveaxis(colours, -1, 0)))
    np.testing.assert_allclose(
        (last[0].numpy() + 1) * 127.5, np.moveaxis(colours, -1, 0), atol=1e-4
    )
    assert bool((last == first).all())
    mask = load_image(saved(tmp_path / "c.npy", colours[..., 0] > 99))
    assert set(mask.unique().tolist()) == {-1.0, 1.0}
    big = load_image(saved(tmp_path / "d.npy", STACK[0].astype(">f8")))
    np.testing.assert_array_equal(big, load_image(saved(tmp_path / "e.npy", STACK[0])))


def test_the_raw_slice_of_matplotlib(tmp_path: Path) -> None:
    path = Path(matplotlib.get_data_path()) / "sample_data" / "s1045.ima.gz"
    if not path.is_file():
        pytest.skip("this matplotlib ships no s1045.ima.gz")
    raw = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint16).reshape(256, 256)
    saved(tmp_path / "head.npy", raw)
    scan = read_scan(tmp_path / "head.npy")
    np.testing.assert_array_equal(scan.planes[0], raw)
    window = scan.choose_window(None, "head.npy")
    assert (window.low, window.high) == tuple(np.percentile(raw, (0.5, 99.5)))


def test_datasets_are_named_where_there_are_several(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.h5", group__one=STACK[0], two=STACK[1], few=STACK[0, 0])
    with pytest.raises(FileError, match="holds group/one, two; name one: --dataset group/one"):
        read_scan(path)
    np.testing.assert_array_equal(
        read_scan(path, Selection(dataset="group/one")).planes[0], STACK[0]
    )
    with pytest.raises(FileError, match="no dataset 'three', but group/one, two"):
        read_scan(path, Selection(dataset="three"))
    with pytest.raises(FileError, match="no dataset of rows and columns"):
        read_scan(stored(tmp_path / "b.h5", few=STACK[0, 0]))


def test_bad_arrays_are_refused_in_one_line(tmp_path: Path) -> None:
    np.save(tmp_path / "pickle.npy", np.array([{}], object), allow_pickle=True)
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "cut.npy").write_bytes(saved(tmp_path / "a.npy", STACK).read_bytes()[:-9])
    (tmp_path / "text.h5").write_text("no file of that kind")
    saved(tmp_path / "complex.npy", STACK[0] * 1j)
    saved(tmp_path / "four.npy", STACK[None])
    saved(tmp_path / "line.npy", STACK[0, 0])
    saved(tmp_path / "empty.npy", STACK[0, :0])
    stored(tmp_path / "complex.h5", a=STACK[0] * 1j)
    with zipfile.ZipFile(tmp_path / "zip.npy", "w") as archive:
        archive.writestr("a", "b")
    cases = {
        "zip.npy": "no array of NumPy",
        "pickle.npy": "no array of NumPy",
        "text.npy": "no array of NumPy",
        "cut.npy": "no array of NumPy, or a part of one",
        "text.h5": "cannot be read as HDF5",
        "complex.npy": "complex64, but an image has real numbers",
        "complex.h5": "no dataset of rows and columns",
        "four.npy": r"shape \(1, 5, 6, 7\)",
        "line.npy": r"shape \(7,\)",
        "empty.npy": "without pixels",
        "a.npy": "holds 5 slices along axis 0; name one from 0 to 4: --index 2",
    }
    for name, message in cases.items():
        with pytest.raises(FileError, match=message) as error:
            load_image(tmp_path / name)
        assert "\n" not in str(error.value) and name in str(error.value)
    with pytest.raises(ArgumentError, match="does not say how a body lies in it"):
        load_image(tmp_path / "a.npy", plane="axial", index=1)


def test_only_the_slice_is_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    large = np.lib.format.open_memmap(path, "w+", np.float32, (500, 256, 256))  # 131 MB
    large[321] = STACK[0, 0, 0]
    large.flush()
    del large
    with h5py.File(tmp_path / "large.h5", "w") as file:
        made = file.create_dataset("a", (500, 256, 256), "f4", chunks=(1, 256, 256), fillvalue=0)
        made[321] = STACK[0, 0, 0]
    for name in ("large.npy", "large.h5"):
        tracemalloc.start()
        scan = read_scan(tmp_path / name, Selection(index=321))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert bool((scan.planes == STACK[0, 0, 0]).all()) and peak < 5e6


def test_a_chunk_that_unpacks_beyond_its_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("a", (64, 64), "f4", chunks=(32, 64), compression="gzip")
        made[:32] = 1
        packed = zlib.compress(bytes(200 << 20), 9)
        made.id.write_direct_chunk((32, 0), packed)
    tracemalloc.start()
    with pytest.raises(FileError, match="unpacks to more than its header says"):
        read_scan(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6


def test_they_are_written_as_they_are_read(tmp_path: Path) -> None:
    derivation = Derivation("Restored.", Window(0, 200))
    place = Placement(1, 2, 0.5, 0.5)
    for path in (saved(tmp_path / "a.npy", STACK), stored(tmp_path / "a.h5", part__scan=STACK)):
        scan = read_scan(path, Selection(index=2))
        out = tmp_path / f"restored{scan.writer.suffix}"
        scan.writer.write(out, scan.planes, place, derivation)
        np.testing.assert_array_equal(read_scan(out).planes[0], STACK[2])
    with h5py.File(tmp_path / "restored.h5") as file:
        about: Any = file["part/scan"].attrs
        assert "not for diagnosis" in about["derivation"]
        assert json.loads(about["placement"])["top"] == 1
        assert Window.from_json(json.loads(about["window"])) == derivation.window
