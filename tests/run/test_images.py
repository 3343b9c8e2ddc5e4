"""Every kind of picture file against the pixels that were put into it, and every bad one."""

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from invprob.errors import ArgumentError, FileError, ShapeError
from invprob.pictures import read_picture
from invprob.run.images import fit_image, load_image, read_image, save_image

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (12, 10, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (12, 10), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (12, 10), dtype=np.uint16)


def expected(pixels: np.ndarray, white: int = 255) -> Tensor:
    """Scale (height, width) or (height, width, 3) integers to (1, 3, height, width) in [-1, 1]."""
    values = pixels.astype(np.float64) / white * 2 - 1
    values = values[..., None].repeat(3, 2) if pixels.ndim == 2 else values
    return torch.from_numpy(values).permute(2, 0, 1).unsqueeze(0).float()


def written(path: Path, pixels: np.ndarray, mode: str | None = None, **options: Any) -> Path:
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


# ---------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
def test_colour_is_read_exactly(suffix: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    path = written(tmp_path / f"a.{suffix}", COLOUR, **options)
    loaded = read_image(path)
    assert loaded.tensor.shape == (1, 3, 12, 10)
    assert loaded.tensor.dtype == torch.float32
    assert (loaded.grey, loaded.size, loaded.mode) == (False, (10, 12), "RGB")
    torch.testing.assert_close(loaded.tensor, expected(COLOUR), rtol=0, atol=1e-6)


def test_jpeg_is_read(tmp_path: Path) -> None:
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8)[:, None, None], (1, 64, 3))
    path = written(tmp_path / "a.jpg", smooth, quality=95)
    torch.testing.assert_close(load_image(path), expected(smooth), rtol=0, atol=0.05)
    assert read_image(path).grey  # three equal channels, although the file's mode is RGB


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P"])
def test_grey_becomes_three_equal_channels(mode: str, tmp_path: Path) -> None:
    pixels = np.where(GREY > 127, 255, 0).astype(np.uint8) if mode == "1" else GREY
    loaded = read_image(written(tmp_path / "a.png", pixels, mode))
    assert loaded.grey
    torch.testing.assert_close(loaded.tensor, expected(pixels), rtol=0, atol=1e-6)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bits_are_kept(suffix: str, tmp_path: Path) -> None:
    loaded = read_image(written(tmp_path / f"a.{suffix}", DEEP))
    assert loaded.grey
    torch.testing.assert_close(loaded.tensor, expected(DEEP, 65535), rtol=0, atol=1e-6)
    assert len(loaded.tensor.unique()) > 100


def test_big_endian_and_32_bit_integers_are_scaled_as_sixteen(tmp_path: Path) -> None:
    wide = written(tmp_path / "wide.tiff", DEEP.astype(np.int32))
    torch.testing.assert_close(load_image(wide), expected(DEEP, 65535), rtol=0, atol=1e-6)
    path = tmp_path / "big.tiff"
    path.write_bytes(big_endian_tiff(DEEP))
    torch.testing.assert_close(load_image(path), expected(DEEP, 65535), rtol=0, atol=1e-6)


def big_endian_tiff(pixels: np.ndarray) -> bytes:
    """Write the smallest 16-bit grey TIFF with Motorola byte order."""
    height, width = pixels.shape
    data = pixels.astype(">u2").tobytes()
    short, long = 3, 4
    tags = [
        (256, short, width << 16), (257, short, height << 16), (258, short, 16 << 16),
        (259, short, 1 << 16), (262, short, 1 << 16), (273, long, 8), (277, short, 1 << 16),
        (278, short, height << 16), (279, long, len(data)),
    ]  # fmt: skip
    entries = b"".join(struct.pack(">HHII", tag, kind, 1, value) for tag, kind, value in tags)
    head = struct.pack(">2sHI", b"MM", 42, 8 + len(data))
    return head + data + struct.pack(">H", len(tags)) + entries + bytes(4)


def test_sixteen_bits_survive_a_resize(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(20000, 20064, dtype=np.uint16), (64, 1))  # a quarter of one 8-bit step
    small = load_image(written(tmp_path / "a.png", ramp), size=32)
    assert len(small[0, 0, 16].unique()) == 32
    centres = torch.arange(20000.5, 20064, 2) / 65535 * 2 - 1
    torch.testing.assert_close(small[0, 0, 16, 4:-4], centres[4:-4], rtol=0, atol=2e-6)


def test_colour_palette_and_its_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "solid.png")
    image.save(tmp_path / "clear.png", transparency=1)
    image.save(tmp_path / "bytes.png", transparency=b"\xff\x00")
    solid = np.array([[[255, 0, 0], [0, 0, 255]]], dtype=np.uint8)
    clear = np.array([[[255, 0, 0], [255, 255, 255]]], dtype=np.uint8)
    for name, pixels in (("solid", solid), ("clear", clear), ("bytes", clear)):
        torch.testing.assert_close(load_image(tmp_path / f"{name}.png"), expected(pixels))


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
def test_transparency_is_laid_over_white(suffix: str, tmp_path: Path) -> None:
    alpha = RNG.integers(0, 256, (12, 10, 1), dtype=np.uint8)
    pixels = np.concatenate((COLOUR, alpha), 2)
    options: dict[str, Any] = {"lossless": True, "exact": True} if suffix == "webp" else {}
    share = alpha / 255
    over = COLOUR * share + 255 * (1 - share)
    loaded = load_image(written(tmp_path / f"a.{suffix}", pixels, **options))
    torch.testing.assert_close(loaded, expected(over), rtol=0, atol=1e-5)


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    ink = np.zeros((4, 4, 4), dtype=np.uint8)
    ink[..., 1] = ink[..., 2] = 255  # magenta and yellow make red
    Image.fromarray(ink, mode="CMYK").save(tmp_path / "a.tiff")
    red = np.tile(np.array([255, 0, 0], dtype=np.uint8), (4, 4, 1))
    torch.testing.assert_close(load_image(tmp_path / "a.tiff"), expected(red))


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda x: x),
        (2, lambda x: x[:, ::-1]),
        (3, lambda x: x[::-1, ::-1]),
        (4, lambda x: x[::-1]),
        (5, lambda x: x.swapaxes(0, 1)),
        (6, lambda x: np.rot90(x, -1)),
        (7, lambda x: x[::-1, ::-1].swapaxes(0, 1)),
        (8, lambda x: np.rot90(x, 1)),
    ],
)
@pytest.mark.parametrize("pixels", [COLOUR, DEEP], ids=["colour", "deep"])
def test_orientation_is_applied(
    orientation: int, upright: Any, pixels: np.ndarray, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    loaded = read_image(written(tmp_path / "a.png", pixels, exif=exif))
    right = upright(pixels)
    white = 65535 if pixels.dtype == np.uint16 else 255
    assert loaded.size == (right.shape[1], right.shape[0])
    torch.testing.assert_close(loaded.tensor, expected(right.copy(), white), rtol=0, atol=1e-6)


def test_spoilt_metadata_does_not_matter(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jpg", COLOUR, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff rubbish")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_image(path).shape == (1, 3, 12, 10)


def test_the_first_of_several_frames_is_read(tmp_path: Path) -> None:
    frames = [Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)]
    lossless: dict[str, Any] = {"lossless": True}
    for name, options in (("a.png", {}), ("a.tiff", {}), ("a.webp", lossless)):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
        torch.testing.assert_close(load_image(tmp_path / name), expected(COLOUR))


# ---------------------------------------------------------------------------------------- fitting


def test_crop_takes_the_central_square() -> None:
    image = torch.rand(1, 3, 8, 14, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(fit_image(image, 8, "crop"), image[..., 3:11])
    torch.testing.assert_close(fit_image(image.mT, 8, "crop"), image.mT[..., 3:11, :])


def test_pad_keeps_everything_between_mid_grey() -> None:
    image = torch.ones(1, 3, 8, 16)
    padded = fit_image(image, 16, "pad")
    torch.testing.assert_close(padded[..., 4:12, :], image)
    assert not padded[..., :4, :].any()
    assert not padded[..., 12:, :].any()
    assert fit_image(torch.ones(1, 3, 1, 900), 4, "pad").shape == (1, 3, 4, 4)


def test_stretch_forgets_the_proportions() -> None:
    ramp = torch.linspace(-1, 1, 32).expand(1, 3, 8, 32)
    assert fit_image(ramp, 16, "stretch").shape == (1, 3, 16, 16)
    assert float(fit_image(ramp, 16, "stretch")[0, 0, 0, -1]) > 0.95


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_the_right_size_is_left_alone(fit: str) -> None:
    image = torch.rand(1, 3, 9, 9)
    assert torch.equal(fit_image(image, 9, fit), image)


def test_shrinking_does_not_alias() -> None:
    stripes = torch.ones(1, 3, 64, 64)
    stripes[..., ::2] = -1  # the finest stripes there are average to grey
    assert float(fit_image(stripes, 16)[..., 2:-2].abs().max()) < 0.05


def test_shrinking_agrees_with_pillow() -> None:
    image = torch.rand(1, 1, 61, 61, generator=torch.Generator().manual_seed(2)) * 1.2 - 0.6
    plane = Image.fromarray(image[0, 0].numpy())
    small = np.asarray(plane.resize((20, 20), Image.Resampling.BICUBIC))
    torch.testing.assert_close(
        fit_image(image, 20)[0, 0], torch.from_numpy(small.copy()), rtol=0, atol=1e-5
    )


def test_values_stay_in_range() -> None:
    edge = torch.ones(1, 3, 16, 16)
    edge[..., :8] = -1
    for size in (11, 40):
        assert float(fit_image(edge, size).abs().max()) <= 1


def test_unknown_fit_and_size_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", COLOUR)
    with pytest.raises(ArgumentError, match="Did you mean 'stretch'"):
        load_image(path, size=8, fit="strech")
    with pytest.raises(ArgumentError, match="at least 1"):
        load_image(path, size=0)


# -------------------------------------------------------------------------------------- bad files


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_without_pixels() -> bytes:
    """A picture of no columns and five rows."""
    header = struct.pack(">IIBBBBB", 0, 5, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(5))
    parts = chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def refused(path: Path, message: str) -> None:
    with warnings.catch_warnings(), pytest.raises(FileError, match=message) as error:
        warnings.simplefilter("error")
        load_image(path)
    assert path.name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    refused(tmp_path / "absent.png", "no such file")
    refused(tmp_path, "is a folder")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_truncated(suffix: str, share: float, tmp_path: Path) -> None:
    noise = RNG.integers(0, 256, (128, 128, 3), dtype=np.uint8)
    path = written(tmp_path / f"a.{suffix}", noise)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refused(path, "cannot be decoded|no image")


def test_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("hello")
    refused(path, "is no image")
    path.write_bytes(b"")
    refused(path, "is empty")
    written(tmp_path / "b.gif", GREY)
    refused(tmp_path / "b.gif", "PNG, JPEG, TIFF, WebP")


def test_a_picture_of_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused by its header. Both limits, ours and Pillow's, are lowered here."""
    path = written(tmp_path / "a.png", GREY)
    height, width = GREY.shape
    assert read_picture(path, most_pixels=width * height).size == (width, height)
    with pytest.raises(
        FileError, match=rf"a\.png' holds more than 9 pixels \({width} x {height}\)"
    ):
        read_picture(path, most_pixels=9)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9)
    refused(path, r"holds more than 150,000,000 pixels; make it smaller")


def test_no_pixels(tmp_path: Path) -> None:
    path = tmp_path / "none.png"
    path.write_bytes(png_without_pixels())
    refused(path, "without pixels|no image")


def test_unknown_white(tmp_path: Path) -> None:
    refused(written(tmp_path / "f.tiff", GREY.astype(np.float32)), "floating-point")
    refused(written(tmp_path / "i.tiff", GREY.astype(np.int32) * 65536), "up to 16646144")


def test_a_device_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "device.png"
    path.symlink_to("/dev/null")
    refused(path, "not an ordinary file")


# ----------------------------------------------------------------------------------------- saving


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_saved_pixels_come_back(tmp_path: Path) -> None:
    image = expected(COLOUR)
    save_image(image, tmp_path / "a.png")
    assert np.array_equal(pixels_of(tmp_path / "a.png"), COLOUR)
    save_image(image[0], tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_saving_rounds_and_clips(tmp_path: Path) -> None:
    levels = torch.tensor([-3.0, -1.0, 99.4, 99.6, 255.0]) / 127.5 - 1
    levels[0], levels[1] = -7.0, -1.0
    save_image(torch.cat((levels, torch.tensor([5.0]))).expand(3, 1, 6), tmp_path / "a.png")
    pixels = pixels_of(tmp_path / "a.png")[0, :, 0]
    assert pixels.tolist() == [0, 0, 99, 100, 255, 255]


def test_one_channel_is_saved_as_grey(tmp_path: Path) -> None:
    save_image(expected(GREY)[:, :1], tmp_path / "a.png")
    assert pixels_of(tmp_path / "a.png").tolist() == GREY.tolist()
    assert read_image(tmp_path / "a.png").grey


def test_what_cannot_be_saved_leaves_nothing_behind(tmp_path: Path) -> None:
    for bad in (torch.zeros(2, 3, 4, 4), torch.zeros(4, 4), torch.zeros(2, 4, 4)):
        with pytest.raises(ShapeError, match=r"\(1 or 3, height, width\)"):
            save_image(bad, tmp_path / "a.png")
    with pytest.raises(ArgumentError, match="NaN"):
        save_image(torch.full((3, 4, 4), torch.nan), tmp_path / "a.png")
    with pytest.raises(FileError, match=r"\.png"):
        save_image(torch.zeros(3, 4, 4), tmp_path / "a.jpg")
    with pytest.raises(FileError, match="folder"):
        save_image(torch.zeros(3, 4, 4), tmp_path / "absent" / "a.png")
    assert list(tmp_path.iterdir()) == []
