"""Each kind of picture file, against the array that was written, as an image and as a mask.

Files are written by tifffile and Pillow, and where neither writes a kind, byte by byte.
"""

import re
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
import skimage.color
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image

from invprob.arrays import read_plane
from invprob.errors import ArgumentError, FileError
from invprob.run.images import load_image

Array = NDArray[Any]

RNG = np.random.default_rng(0)
SHAPE = (24, 16)  # a tile of a TIFF is a multiple of 16
BITS = RNG.integers(0, 2, SHAPE).astype(bool)
GREY = RNG.integers(0, 256, SHAPE, dtype=np.uint8)
DEEP = RNG.integers(0, 65536, SHAPE, dtype=np.uint16)
COLOUR = RNG.integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
COLOUR_16 = RNG.integers(0, 65536, (*SHAPE, 3), dtype=np.uint16)
ALPHA = RNG.integers(0, 256, SHAPE, dtype=np.uint8)
FLOAT = RNG.random(SHAPE).astype(np.float32)
PALETTE = RNG.integers(0, 65536, (3, 256), dtype=np.uint16)
INK = RNG.integers(0, 256, (*SHAPE, 4), dtype=np.uint8)


def tiff(pixels: Array, photometric: str = "minisblack", **options: Any) -> Callable[[Path], Path]:
    """What writes a TIFF with tifffile."""

    def write(folder: Path) -> Path:
        path = folder / "a.tif"
        tifffile.imwrite(path, pixels, photometric=photometric, **options)
        return path

    return write


def planar(pixels: Array, photometric: str = "rgb", **options: Any) -> Callable[[Path], Path]:
    """What writes a TIFF whose planes follow one another."""
    planes = np.moveaxis(pixels, -1, 0)
    return tiff(planes, photometric, planarconfig="separate", **options)


def pillow(image: Image.Image, suffix: str = "png", **options: Any) -> Callable[[Path], Path]:
    """What writes a file with Pillow."""

    def write(folder: Path) -> Path:
        path = folder / f"a.{suffix}"
        image.save(path, **options)
        return path

    return write


def stored(content: bytes, suffix: str) -> Callable[[Path], Path]:
    """What writes bytes."""

    def write(folder: Path) -> Path:
        path = folder / f"a.{suffix}"
        path.write_bytes(content)
        return path

    return write


def packed(values: Array, bits: int) -> bytes:
    """Rows of numbers of so many bits each, filled up to whole bytes."""
    digits = (values[..., None].astype(int) >> np.arange(bits)[::-1]) & 1
    return np.packbits(digits.reshape(len(values), -1).astype(np.uint8), axis=1).tobytes()


def raw_png(rows: bytes, bits: int, colour: int, clear: bytes = b"") -> Callable[[Path], Path]:
    """A PNG of any depth, perhaps with a transparent value."""
    height, width = SHAPE
    per_row = len(rows) // height
    lines = b"".join(b"\0" + rows[at : at + per_row] for at in range(0, len(rows), per_row))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))]
    chunks += [(b"tRNS", clear)] if clear else []
    chunks += [(b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return stored(b"\x89PNG\r\n\x1a\n" + body, "png")


def raw_tiff(data: bytes, tags: dict[int, int]) -> Callable[[Path], Path]:
    """A little-endian TIFF of one strip, with the tags that are given."""
    height, width = SHAPE
    strip = {256: width, 257: height, 259: 1, 273: 8, 278: height, 279: len(data)}
    entries = b"".join(
        struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, value)
        for tag, value in sorted({**strip, **tags}.items())
    )
    head = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    count = struct.pack("<H", len(strip | tags))
    return stored(head + data + count + entries + bytes(4), "tif")


def alpha_over(pixels: Array, alpha: Array = ALPHA) -> Array:
    """Pixels of 8 bits and their alpha, side by side."""
    return np.concatenate([pixels.reshape(*SHAPE, -1), alpha[..., None]], -1)


FEW = {bits: RNG.integers(0, 2**bits, SHAPE) for bits in (2, 4, 12)}
CYAN_TO_BLACK = INK.astype(float) / 255
SEEN = alpha_over(COLOUR)
EVEN = np.full((*SHAPE, 3), [90, 120, 230], np.uint8)
# Values from 0 (black) to 1 (white), and how near the decoded ones have to be.
SHARES: dict[str, tuple[Callable[[Path], Path], Array, float]] = {
    "1 bit": (tiff(BITS), BITS, 0),
    "1 bit, 0 is white": (tiff(BITS, "miniswhite"), ~BITS, 0),
    "8 bits": (tiff(GREY), GREY / 255, 0),
    "8 bits, 0 is white": (tiff(GREY, "miniswhite"), 1 - GREY / 255, 0),
    "8 bits in tiles": (tiff(GREY, tile=(16, 16)), GREY / 255, 0),
    "2 bits": (raw_png(packed(FEW[2], 2), 2, 0), FEW[2] / 3, 0),
    "4 bits": (raw_png(packed(FEW[4], 4), 4, 0), FEW[4] / 15, 0),
    "12 bits": (
        raw_tiff(packed(FEW[12], 12), {258: 12, 262: 1, 277: 1}),
        FEW[12] / 4095,
        0,
    ),
    "16 bits": (tiff(DEEP), DEEP / 65535, 0),
    "16 bits, big-endian": (tiff(DEEP, byteorder=">"), DEEP / 65535, 0),
    "16 bits, 0 is white": (tiff(DEEP, "miniswhite"), 1 - DEEP / 65535, 0),
    "16 bits, compressed": (
        tiff(DEEP, compression="deflate", predictor=True),
        DEEP / 65535,
        0,
    ),
    "16 bits, compressed, 0 is white": (
        tiff(DEEP, "miniswhite", compression="deflate"),
        1 - DEEP / 65535,
        0,
    ),
    "16 bits, compressed, big-endian": (
        tiff(DEEP, compression="deflate", byteorder=">"),
        DEEP / 65535,
        0,
    ),
    "16 bits, PNG": (pillow(Image.fromarray(DEEP)), DEEP / 65535, 0),
    "signed 16 bits": (tiff((DEEP >> 1).astype(np.int16)), (DEEP >> 1) / 32767, 0),
    "32 bits": (tiff(DEEP.astype(np.int32)), DEEP / 65535, 0),
    "unsigned 32 bits": (tiff(DEEP.astype(np.uint32)), DEEP / 65535, 0),
    "colour": (tiff(COLOUR, "rgb"), COLOUR / 255, 0),
    "colour in planes": (planar(COLOUR), COLOUR / 255, 0),
    "colour in planes, compressed": (planar(COLOUR, compression="deflate"), COLOUR / 255, 0),
    "colour in planes in tiles": (planar(COLOUR, tile=(16, 16)), COLOUR / 255, 0),
    "colour and something": (
        tiff(SEEN, "rgb", extrasamples=["unspecified"]),
        COLOUR / 255,
        0,
    ),
    "16-bit colour": (tiff(COLOUR_16, "rgb"), COLOUR_16 / 65535, 1 / 255),
    "16-bit colour, big-endian": (
        tiff(COLOUR_16, "rgb", byteorder=">"),
        COLOUR_16 / 65535,
        1 / 255,
    ),
    "16-bit colour in planes, compressed": (
        planar(COLOUR_16, compression="deflate"),
        COLOUR_16 / 65535,
        1 / 255,
    ),
    "16-bit colour, PNG": (
        raw_png(COLOUR_16.astype(">u2").tobytes(), 16, 2),
        COLOUR_16 / 65535,
        1 / 255,
    ),
    "palette": (
        tiff(GREY, "palette", colormap=PALETTE),
        PALETTE.T[GREY] / 65535,
        1 / 255,
    ),
    "CMYK": (
        tiff(INK, "separated"),
        (1 - CYAN_TO_BLACK[..., :3]) * (1 - CYAN_TO_BLACK[..., 3:]),
        1 / 255,
    ),
    "CMYK in planes": (
        planar(INK, "separated"),
        (1 - CYAN_TO_BLACK[..., :3]) * (1 - CYAN_TO_BLACK[..., 3:]),
        1 / 255,
    ),
    "YCbCr": (
        pillow(Image.fromarray(COLOUR).convert("YCbCr"), "tif"),
        COLOUR / 255,
        4 / 255,
    ),
    "CMYK in a JPEG": (
        pillow(Image.fromarray(EVEN).convert("CMYK"), "jpg", quality=95),
        EVEN / 255,
        4 / 255,
    ),
}

# Colours, alpha from 0 to 1, and how near the picture over white has to be.
TRANSPARENT: dict[str, tuple[Callable[[Path], Path], Array, Array, float]] = {
    "grey and alpha, TIFF": (
        tiff(
            alpha_over(GREY),
            planarconfig="contig",
            extrasamples=["unassalpha"],
        ),
        GREY / 255,
        ALPHA / 255,
        1e-6,
    ),
    "grey times alpha": (
        tiff(
            alpha_over((GREY * (ALPHA / 255)).round().astype(np.uint8)),
            planarconfig="contig",
            extrasamples=["assocalpha"],
        ),
        GREY / 255,
        ALPHA / 255,
        1.1 / 255,
    ),
    "colour and alpha": (
        tiff(SEEN, "rgb", extrasamples=["unassalpha"]),
        COLOUR / 255,
        ALPHA / 255,
        1e-6,
    ),
    "colour and alpha in planes": (
        planar(SEEN, extrasamples=["unassalpha"]),
        COLOUR / 255,
        ALPHA / 255,
        1e-6,
    ),
    "colour times alpha": (
        tiff(
            alpha_over((COLOUR * (ALPHA[..., None] / 255)).round().astype(np.uint8)),
            "rgb",
            extrasamples=["assocalpha"],
        ),
        COLOUR / 255,
        ALPHA / 255,
        1.1 / 255,
    ),
    "grey and alpha, PNG": (
        pillow(Image.fromarray(alpha_over(GREY))),
        GREY / 255,
        ALPHA / 255,
        1e-6,
    ),
    "16-bit grey and alpha": (
        raw_png(np.stack([DEEP, ALPHA.astype(np.uint16) * 257], -1).astype(">u2").tobytes(), 16, 4),
        DEEP / 65535,
        ALPHA / 255,
        1 / 255,
    ),
    "a transparent grey": (
        raw_png(GREY.tobytes(), 8, 0, struct.pack(">H", int(GREY[0, 0]))),
        GREY / 255,
        GREY[0, 0] != GREY,
        1e-6,
    ),
    "a transparent grey of 2 bits": (
        raw_png(packed(FEW[2], 2), 2, 0, struct.pack(">H", 1)),
        FEW[2] / 3,
        FEW[2] != 1,
        1e-6,
    ),
    "a transparent grey of 4 bits": (
        raw_png(packed(FEW[4], 4), 4, 0, struct.pack(">H", 9)),
        FEW[4] / 15,
        FEW[4] != 9,
        1e-6,
    ),
    "a transparent grey of 16 bits": (
        raw_png(DEEP.astype(">u2").tobytes(), 16, 0, struct.pack(">H", int(DEEP[3, 4]))),
        DEEP / 65535,
        DEEP[3, 4] != DEEP,
        1e-6,
    ),
    "a transparent colour": (
        raw_png(COLOUR.tobytes(), 8, 2, struct.pack(">HHH", *COLOUR[3, 4].tolist())),
        COLOUR / 255,
        (COLOUR[3, 4] != COLOUR).any(-1),
        1e-6,
    ),
}

REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "16-bit colour and alpha in planes": (
        planar(
            np.concatenate([COLOUR_16, COLOUR_16[..., :1]], -1),
            extrasamples=["unassalpha"],
        ),
        "one after another.*side by side",
    ),
    "signed 8 bits": (tiff(GREY.view(np.int8)), "signed 8-bit"),
    "32 bits, too large": (tiff(DEEP.astype(np.uint32) << 16), "does not say which|up to 4"),
    "negative": (tiff(DEEP.view(np.int16)), "but 0 is black; add"),
    "32 bits, compressed, big-endian": (
        tiff(DEEP.astype(np.int32), compression="deflate", byteorder=">"),
        "Pillow garbles; save it little-endian",
    ),
    "floating point, compressed, big-endian": (
        tiff(FLOAT, compression="deflate", byteorder=">"),
        "Pillow garbles; save it little-endian",
    ),
    "floating-point colour": (tiff(COLOUR.astype(np.float32), "rgb"), "TIFF.*not read; save it"),
    "16-bit grey and alpha in a TIFF": (
        tiff(
            np.stack([DEEP, DEEP], -1),
            planarconfig="contig",
            extrasamples=["unassalpha"],
        ),
        "TIFF.*not read; save it",
    ),
    "CIELAB": (
        tiff(skimage.color.rgb2lab(COLOUR).astype(np.int8).view(np.uint8), "cielab"),
        "CIELAB.*save RGB",
    ),
    "YCbCr with fewer colours": (
        raw_tiff(bytes(24 * 16 * 3), {258: 8, 262: 6, 277: 3, 530: 2 + (2 << 16)}),
        "fewer colours than pixels",
    ),
    "a transparent colour of 16 bits": (
        raw_png(COLOUR_16.astype(">u2").tobytes(), 16, 2, struct.pack(">HHH", 1, 2, 3)),
        "of which one is transparent",
    ),
}


def image_of(path: Path) -> Array:
    """What `load_image` reads, from 0 to 1, (height, width, 3)."""
    return (load_image(path)[0].permute(1, 2, 0).double().numpy() + 1) / 2


def mixed(shares: Array) -> Array:
    """Grey by ITU-R BT.601."""
    return shares @ [0.299, 0.587, 0.114] if shares.ndim == 3 else shares.astype(float)


def coloured(shares: Array) -> Array:
    """Three equal channels for a grey picture."""
    return shares if shares.ndim == 3 else np.repeat(shares.astype(float)[..., None], 3, -1)


# Kinds that some versions of Pillow refuse, which is right as well.
OFTEN_REFUSED = ("YCbCr", "grey times alpha")
NEWEST = int(PIL.__version__.partition(".")[0]) >= 13


def refused_by_an_older_pillow(kind: str, path: Path) -> bool:
    if NEWEST or kind not in OFTEN_REFUSED:
        return False
    with pytest.raises(FileError):
        load_image(path)
    return True


@pytest.mark.parametrize("kind", SHARES)
def test_both_doors_read_what_was_written(kind: str, tmp_path: Path) -> None:
    write, shares, bound = SHARES[kind]
    path = write(tmp_path)
    if refused_by_an_older_pillow(kind, path):
        return
    np.testing.assert_allclose(image_of(path), coloured(shares), rtol=0, atol=bound + 1e-6)
    grey = read_plane("mask", str(path))
    np.testing.assert_allclose(grey, mixed(shares), rtol=0, atol=bound + 1e-12)


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_transparency_is_laid_over_white_and_no_mask(kind: str, tmp_path: Path) -> None:
    write, shares, alpha, bound = TRANSPARENT[kind]
    path = write(tmp_path)
    if refused_by_an_older_pillow(kind, path):
        return
    over = 1 - (1 - coloured(shares)) * alpha[..., None]
    np.testing.assert_allclose(image_of(path), over, rtol=0, atol=bound)
    with pytest.raises(ArgumentError, match=r"transparent pixels.*getchannel\('A'\)") as error:
        read_plane("mask", str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", REFUSED)
def test_both_doors_refuse_in_one_line(kind: str, tmp_path: Path) -> None:
    write, message = REFUSED[kind]
    path = write(tmp_path)
    with pytest.raises(FileError, match=message) as error:
        load_image(path)
    with pytest.raises(ArgumentError) as other:
        read_plane("kernel", str(path))
    for one in (error, other):
        assert "\n" not in str(one.value)
        assert str(path) in str(one.value)


def test_without_tifffile_16_bit_colour_in_planes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = planar(COLOUR_16)(tmp_path)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(FileError, match=r"one after another.*side by side") as error:
        load_image(path)
    assert "\n" not in str(error.value)


def test_an_opaque_alpha_is_no_transparency(tmp_path: Path) -> None:
    solid = np.full(SHAPE, 255, np.uint8)
    path = pillow(Image.fromarray(alpha_over(GREY, solid)))(tmp_path)
    np.testing.assert_array_equal(read_plane("mask", path), GREY / 255)


UPRIGHT: dict[int, Callable[[Array], Array]] = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.T,
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].T,
    8: lambda x: np.rot90(x, 1),
}


@pytest.mark.parametrize("turn", UPRIGHT)
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "webp"])
def test_both_doors_turn_a_picture_upright(suffix: str, turn: int, tmp_path: Path) -> None:
    pixels = np.zeros((64, 48), np.uint8)
    pixels[:16, :24] = 255
    exif = Image.Exif()
    exif[0x0112] = turn
    path = pillow(Image.fromarray(pixels), suffix, exif=exif)(tmp_path)
    upright = UPRIGHT[turn](pixels) > 127
    np.testing.assert_array_equal(image_of(path)[..., 0] > 0.5, upright)
    np.testing.assert_array_equal(read_plane("mask", path) > 0.5, upright)


@pytest.mark.parametrize("turn", UPRIGHT)
@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize(
    ("photometric", "byteorder"),
    [("minisblack", "<"), ("minisblack", ">"), ("miniswhite", "<")],  # what Pillow can read
)
def test_deep_tiffs_are_turned_upright(
    photometric: str, compression: str | None, byteorder: str, turn: int, tmp_path: Path
) -> None:
    path = tiff(
        DEEP,
        photometric,
        byteorder=byteorder,
        compression=compression,
        extratags=[(274, "H", 1, turn, True)],
    )(tmp_path)
    shares = UPRIGHT[turn](DEEP) / 65535
    shares = 1 - shares if photometric == "miniswhite" else shares
    np.testing.assert_allclose(image_of(path)[..., 0], shares, rtol=0, atol=1e-6)
    np.testing.assert_allclose(read_plane("mask", path), shares, rtol=0, atol=1e-12)


# ---------------------------------------------------------------------------------- what is white


def test_the_number_that_is_white_can_be_said(tmp_path: Path) -> None:
    twelve = DEEP >> 4
    for pixels in (twelve, twelve.astype(np.int32), twelve.astype(np.float32)):
        path = tiff(pixels)(tmp_path)
        read = load_image(path, white=4095)
        expected = torch.from_numpy(twelve / 2047.5 - 1).float().expand(1, 3, -1, -1)
        torch.testing.assert_close(read, expected, rtol=0, atol=1e-6)
    inverted = load_image(tiff(twelve, "miniswhite")(tmp_path), white=4095)
    torch.testing.assert_close(inverted, -expected, rtol=0, atol=1e-6)


def test_more_than_white_is_white_and_said(tmp_path: Path) -> None:
    pixels = np.array([[0, 100], [200, 250]], np.uint8)
    with pytest.warns(UserWarning, match=r"up to 250; those above 200 become white \(25 %"):
        read = load_image(tiff(pixels)(tmp_path), white=200)
    assert read[0, 0].tolist() == [[-1, 0], [1, 1]]


def ramp(most: int, kind: str) -> Array:
    """Numbers from 0 to `most`."""
    return np.linspace(0, most, 24 * 16).reshape(SHAPE).astype(kind)


@pytest.mark.parametrize(
    ("pixels", "photometric", "note"),
    [
        (ramp(4080, "u2"), "minisblack", "4080 of 65535 .*black (12 bits?).*--white 4095 .*16"),
        (ramp(1023, "u2"), "minisblack", "1023 of 65535 .*(10 bits?).*--white 1023 .*64.06"),
        (ramp(16383, "u2"), "minisblack", "16383 of 65535 .*(14 bits?).*--white 16383 .*of 4"),
        (ramp(255, "u2"), "minisblack", "255 of 65535 .*(8 bits?).*--white 255 .*257"),
        (ramp(4095, "i4"), "minisblack", "4095 of 65535 .*(12 bits?)"),
        (ramp(4095, "i2"), "minisblack", "4095 of 32767 .*(12 bits?)"),
        (ramp(4095, "u2"), "miniswhite", "4095 of 65535 .*nearly white (12 bits?)"),
        (ramp(1, "u1"), "minisblack", "1 of 255 .*(a mask?).*--white 1 .*255"),
        (ramp(20, "u1"), "minisblack", "20 of 255 and is nearly black; .*--white 20 .*12.75"),
    ],
)  # fmt: skip
def test_a_range_that_is_hardly_used_is_said(
    pixels: Array, photometric: str, note: str, tmp_path: Path
) -> None:
    pattern = re.escape(note).replace(r"\.\*", ".*")
    with pytest.warns(UserWarning, match=pattern) as caught:
        load_image(tiff(pixels, photometric)(tmp_path))
    assert len(caught) == 1


WIDE: dict[str, Callable[[Path], Path]] = {
    "side by side": tiff(COLOUR_16, "rgb"),
    "big-endian": tiff(COLOUR_16, "rgb", byteorder=">"),
    "deflated": tiff(COLOUR_16, "rgb", compression="deflate"),
    "in planes": planar(COLOUR_16),
    "in planes, deflated": planar(COLOUR_16, compression="deflate"),
}


@pytest.mark.parametrize("kind", WIDE)
def test_tifffile_keeps_all_bits_of_colours(kind: str, tmp_path: Path) -> None:
    path = WIDE[kind](tmp_path)
    np.testing.assert_allclose(image_of(path), COLOUR_16 / 65535, rtol=0, atol=1e-6)
    with pytest.warns(UserWarning, match="those above 4095 become white"):
        scaled = load_image(path, white=4095)
    expected = torch.from_numpy(COLOUR_16.astype(np.float32).clip(0, 4095) / 2047.5 - 1)
    torch.testing.assert_close(scaled[0], expected.permute(2, 0, 1))


def test_colour_of_which_half_the_bits_are_read_cannot_be_stretched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiff(COLOUR_16 >> 4, "rgb")(tmp_path)
    monkeypatch.setitem(sys.modules, "tifffile", None)  # as where it is not installed
    with pytest.warns(UserWarning, match="uses 15 of 255.*multiply its values by 17, because of"):
        load_image(path)
    with pytest.raises(FileError, match="white=4095, because of its 16 bits"):
        load_image(path, white=4095)
    monkeypatch.undo()
    path = tiff(INK, "separated")(tmp_path)
    with pytest.raises(FileError, match="white=255, because its colours are CMYK"):
        load_image(path, white=255)


@pytest.mark.parametrize("most", [64, 200, 255])
def test_usual_ranges_are_not_spoken_of(most: int, tmp_path: Path) -> None:
    load_image(tiff(ramp(most, "u1"))(tmp_path))
    load_image(tiff(ramp(most * 257, "u2"))(tmp_path))
    load_image(tiff(ramp(0, "u2"))(tmp_path))  # black all over


@pytest.mark.parametrize(
    ("scale", "white"), [(1, 1), (255, 255), (4000, 4095), (60000, 65535), (70000, 70000)]
)
def test_floating_point_needs_to_be_told_what_is_white(
    scale: int, white: int, tmp_path: Path
) -> None:
    pixels = FLOAT / FLOAT.max() * np.float32(scale)
    path = tiff(pixels)(tmp_path)
    with pytest.raises(FileError, match=rf"floating-point values.*--white {white} \(in Python"):
        load_image(path)
    expected = torch.from_numpy(pixels / (white / 2) - 1).float().expand(1, 3, -1, -1)
    torch.testing.assert_close(load_image(path, white=white), expected, rtol=0, atol=1e-6)


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    for bad in (np.nan, np.inf):
        pixels = FLOAT.copy()
        pixels[3, 4] = bad
        with pytest.raises(FileError, match="not finite"):
            load_image(tiff(pixels)(tmp_path), white=1)
    with pytest.raises(FileError, match=r"from -0\.5 to .*but 0 is black; add 0\.5"):
        load_image(tiff(np.full((4, 4), -0.5, np.float32) + np.eye(4, dtype="f4"))(tmp_path))
    for white in (0, -1, float("nan")):
        with pytest.raises(ArgumentError, match="white must be a number above 0"):
            load_image(tiff(GREY)(tmp_path), white=white)
