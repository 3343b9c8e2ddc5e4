"""TIFF files of numbers that Pillow does not keep, against tifffile."""

import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from invprob.errors import FileError
from invprob.formats.scan import Derivation, Placement, Selection
from invprob.formats.table import TIFF, read_scan
from invprob.formats.window import Window
from invprob.run.images import load_image

RNG = np.random.default_rng(0)
DEEP = RNG.integers(0, 65536, (20, 24), dtype=np.uint16)
COLOUR = RNG.integers(0, 65536, (20, 24, 3), dtype=np.uint16)
KINDS: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "16 bits": (DEEP, {}),
    "16 bits, big-endian, deflated": (DEEP, {"byteorder": ">", "compression": "deflate"}),
    "16 bits, signed": (DEEP.view(np.int16), {}),
    "8 bits, signed": (DEEP.astype(np.int8), {}),
    "floats": (DEEP.astype(np.float32) / 7 - 900, {}),
    "doubles, deflated": (DEEP / 7 - 900, {"compression": "deflate"}),
    "16-bit colour": (COLOUR, {"photometric": "rgb"}),
    "16-bit colour in tiles": (COLOUR, {"photometric": "rgb", "tile": (16, 16)}),
    "floating-point colour": (COLOUR.astype(np.float32), {"photometric": "rgb"}),
}


def written(folder: Path, pixels: np.ndarray, **options: Any) -> Path:
    path = folder / "a.tif"
    tifffile.imwrite(path, pixels, **{"photometric": "minisblack", **options})
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_with_a_window_all_numbers_are_kept(kind: str, tmp_path: Path) -> None:
    pixels, options = KINDS[kind]
    path = written(tmp_path, pixels, **options)
    planes = np.moveaxis(np.atleast_3d(pixels), -1, 0).astype(float)
    np.testing.assert_array_equal(read_scan(path, form=TIFF).planes, planes)
    low, high = np.percentile(planes, (2, 98))
    expected = 2 * (planes.clip(low, high) - low) / (high - low) - 1
    image = load_image(path, window="percentiles 2 98")[0].numpy()
    np.testing.assert_allclose(image, np.broadcast_to(expected, image.shape), atol=1e-6)


def test_planes_pages_and_negatives(tmp_path: Path) -> None:
    path = written(tmp_path, np.moveaxis(COLOUR, -1, 0), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_scan(path).planes, np.moveaxis(COLOUR, -1, 0))
    path = written(tmp_path, np.stack([DEEP, DEEP // 2, DEEP // 3]))
    scan = read_scan(path, Selection(frame=2))
    np.testing.assert_array_equal(scan.planes[0], DEEP // 3)
    assert scan.part == "page 2 of 0 to 2"
    with pytest.raises(FileError, match="holds 3 pages, and none numbered 3"):
        load_image(path, frame=3)
    plain = load_image(written(tmp_path, DEEP), window="0 65535").numpy()
    turned = load_image(written(tmp_path, DEEP, photometric="miniswhite"), window="0 65535")
    np.testing.assert_array_equal(turned.numpy(), -plain)


def test_bad_files_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "text.tif"
    path.write_text("no picture")
    with pytest.raises(FileError, match="cannot be decoded"):
        load_image(path, window="0 1")
    whole = written(tmp_path, DEEP).read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[:200])
    with pytest.raises(FileError, match=r"cut\.tif") as error:
        load_image(tmp_path / "cut.tif", window="0 1")
    assert "\n" not in str(error.value)
    alpha = np.concatenate([COLOUR, COLOUR[..., :1]], -1)
    path = written(tmp_path, alpha, photometric="rgb", extrasamples=["unassalpha"])
    with pytest.raises(FileError, match="holds RGB of 4 samples a pixel; with a window"):
        load_image(path, window="0 1")
    with pytest.raises(FileError, match="cannot be read: no such file"):
        load_image(tmp_path / "missing.tif", window="0 1")


def test_a_strip_that_unpacks_beyond_its_size_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, DEEP, compression="deflate")
    with tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        tags = {tag.name: tag.valueoffset for tag in page.tags}
    packed = zlib.compress(bytes(300 << 20), 9)
    with path.open("r+b") as file:
        file.seek(0, 2)
        at = file.tell()
        file.write(packed)
        for name, value in (("StripOffsets", at), ("StripByteCounts", len(packed))):
            file.seek(tags[name])
            file.write(value.to_bytes(4, "little"))
    tracemalloc.start()
    with pytest.raises(FileError, match="unpacks to more than its header says"):
        load_image(path, window="0 1")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


def test_the_restored_file_has_floats_and_a_finer_resolution(tmp_path: Path) -> None:
    path = written(tmp_path, DEEP, resolution=(100, 50), resolutionunit="CENTIMETER")
    scan = read_scan(path)
    out = tmp_path / "restored.tif"
    values = RNG.normal(size=(1, 40, 48))
    scan.writer.write(out, values, Placement(0, 0, 0.5, 0.25), Derivation("So.", Window(0, 9)))
    with tifffile.TiffFile(out) as file:
        page: Any = file.pages[0]
        np.testing.assert_array_equal(page.asarray(), values[0].astype(np.float32))
        assert page.get_resolution("CENTIMETER") == (400, 100)
        assert "not for diagnosis. So. window 0 to 9" in page.description
