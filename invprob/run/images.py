"""Image files become tensors in [-1, 1], and tensors become image files, here and nowhere else.

PNG, JPEG, TIFF and WebP can be read, and of several frames the first one. 8 bits a channel and
16-bit grey keep their precision; of 16-bit colour Pillow keeps the upper eight bits. Transparent
pixels are laid over white, and CMYK and palettes become RGB. The orientation that a camera recorded
is applied, a colour profile is not.
"""

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional

from invprob.ambient import own_precision, undisturbed
from invprob.errors import ArgumentError, FileError, ShapeError
from invprob.files import atomic_write, file_error
from invprob.registry import suggest
from invprob.types import Images

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP")
MOST_PIXELS = 150_000_000  # of one file; read from its header, before anything is decoded


@dataclass(frozen=True)
class LoadedImage:
    """An image and what its file was like.

    Args:
        tensor: the image, (1, 3, height, width), float32 in [-1, 1].
        grey: whether all three channels are equal, whatever the file's mode.
        size: the size of the picture in the file, (width, height), upright.
        mode: Pillow's name of the file's mode, such as "RGB".
    """

    tensor: Images
    grey: bool
    size: tuple[int, int]
    mode: str


def load_image(
    path: str | os.PathLike[str], *, size: int | None = None, fit: str = "crop"
) -> Images:
    """Read an image file.

    Args:
        path: a PNG, JPEG, TIFF or WebP file of at most 150 million pixels.
        size: the side of the square to bring it to, in pixels. None: the size stays.
        fit: how it becomes square: "crop" takes the central square, "pad" fills up with mid-grey,
            "stretch" changes its proportions.

    Returns:
        The image, (1, 3, height, width), float32 in [-1, 1]. A grey one has three equal channels.

    Raises:
        FileError: there is no such file, or it is no whole picture of a known kind, or too large.
        ArgumentError: the size is below 1, or the fit is not known.
    """
    return read_image(path, size=size, fit=fit).tensor


@undisturbed()
def read_image(
    path: str | os.PathLike[str], *, size: int | None = None, fit: str = "crop"
) -> LoadedImage:
    """Read an image file, and what it was like; arguments and errors as `load_image`."""
    _check_fit(size, fit)
    if Path(path).is_dir():
        raise FileError(f"{os.fspath(path)!r} is a folder; name an image in it")
    if Path(path).exists() and not Path(path).is_file():
        raise FileError(f"{os.fspath(path)!r} is not an ordinary file; name an image")
    try:
        with Path(path).open("rb") as file, warnings.catch_warnings():
            # Pillow warns of odd metadata and of large sizes; the first is harmless here, and the
            # second is checked below.
            warnings.simplefilter("ignore")
            image = _open(path, file)
            mode = image.mode
            planes, white, alpha = _decode(path, image)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise file_error(path, error, "read") from error
    channels = [_plane(plane, white, alpha, size, fit) for plane in planes]
    height, width = planes[0].shape
    grey = all(np.array_equal(planes[0], plane) for plane in planes[1:])
    tensor = torch.cat(channels, 1).expand(1, 3, -1, -1).contiguous()
    return LoadedImage(tensor, grey, (width, height), mode)


def save_image(image: Tensor, path: str | os.PathLike[str]) -> None:
    """Write an image as a PNG of 8 bits a channel.

    Args:
        image: (channel, height, width) or (1, channel, height, width), with one or three channels,
            in [-1, 1]. Values outside become the nearer end.
        path: a name that ends in .png; a file of that name is replaced.

    Raises:
        ShapeError: the shape is another one.
        ArgumentError: the image holds NaN.
        FileError: the name ends otherwise, or the file cannot be written. Then there is no half of
            it.
    """
    if Path(path).suffix.lower() != ".png":
        raise FileError(f"{os.fspath(path)!r} must end in .png, the one format that is written")
    with atomic_write(path) as temporary:
        to_pillow(image).save(temporary, format="PNG")


@undisturbed()
def to_pillow(image: Tensor) -> Image.Image:
    """The Pillow image, in mode L or RGB, of an image as `save_image` takes it; raises as that."""
    shape = tuple(image.shape)
    if image.ndim == 4 and shape[0] == 1:
        image = image[0]
    if image.ndim != 3 or image.shape[0] not in (1, 3) or not image.numel():
        raise ShapeError(f"an image to save must be (1 or 3, height, width), got {shape}")
    levels = image.detach().cpu().double().clamp(-1, 1).add(1).mul(127.5).round()
    if bool(levels.isnan().any()):
        raise ArgumentError("the image to save holds NaN")
    pixels = levels.to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if len(image) == 1 else pixels))


# ---------------------------------------------------------------------------------------- fitting


@own_precision()
def fit_image(image: Images, size: int, fit: str = "crop") -> Images:
    """Bring images to a square, bicubic with antialiasing.

    Args:
        image: the images, (batch, channel, height, width) in [-1, 1].
        size: the side of the square, in pixels.
        fit: how they become square, as in `load_image`.

    Returns:
        The images, (batch, channel, size, size) in [-1, 1]; those that have the size are returned
        as they are.

    Raises:
        ArgumentError: the size is below 1, or the fit is not known.
    """
    _check_fit(size, fit)
    return FITS[fit](image, size)


def _crop(image: Images, size: int) -> Images:
    height, width = image.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return _resize(image[..., top : top + side, left : left + side], size, size)


def _pad(image: Images, size: int) -> Images:
    longer = max(image.shape[2:])
    height, width = (max(1, round(side * size / longer)) for side in image.shape[2:])
    top, left = (size - height) // 2, (size - width) // 2
    border = (left, size - width - left, top, size - height - top)
    return functional.pad(_resize(image, height, width), border)


def _stretch(image: Images, size: int) -> Images:
    return _resize(image, size, size)


FITS: Mapping[str, Callable[[Images, int], Images]] = {
    "crop": _crop,
    "pad": _pad,
    "stretch": _stretch,
}


def _resize(image: Images, height: int, width: int) -> Images:
    if image.shape[2:] == (height, width):
        return image
    resized = functional.interpolate(image, (height, width), mode="bicubic", antialias=True)
    return resized.clamp(-1, 1)  # cubic weights overshoot at edges


def _check_fit(size: int | None, fit: str) -> None:
    if size is not None and size < 1:
        raise ArgumentError(f"size must be at least 1 pixel, got {size}")
    if fit not in FITS:
        raise ArgumentError(
            f"fit must be one of {', '.join(FITS)}, got {fit!r}.{suggest(fit, FITS)}"
        )


# --------------------------------------------------------------------------------------- decoding


def _open(path: str | os.PathLike[str], file: IO[bytes]) -> Image.Image:
    """Read the header, and refuse what should not be decoded."""
    name = repr(os.fspath(path))
    try:
        image = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError:
        raise _too_large(name) from None
    except UnidentifiedImageError:
        what = "is no image" if file.seek(0, os.SEEK_END) else "is empty, not an image"
        raise FileError(f"{name} {what} that can be read (PNG, JPEG, TIFF, WebP)") from None
    except Exception as error:  # a damaged header makes Pillow raise nearly anything
        raise _damaged(name, error) from error
    width, height = image.size
    if width < 1 or height < 1:
        raise FileError(f"{name} is an image without pixels ({width} x {height})")
    if width * height > MOST_PIXELS:
        raise _too_large(name, f" ({width} x {height})")
    return image


def _too_large(name: str, size: str = "") -> FileError:
    limit = f"{MOST_PIXELS // 1_000_000} million"
    return FileError(f"{name} holds more than {limit} pixels{size}; make it smaller first")


def _damaged(name: str, error: Exception) -> FileError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return FileError(f"{name} cannot be decoded, it may be truncated or damaged: {first}")


Plane = NDArray[np.generic]


def _decode(
    path: str | os.PathLike[str], image: Image.Image
) -> tuple[list[Plane], int, Plane | None]:
    """Decode the first frame: one or three planes, the value of white, and alpha if there is any.

    The planes hold the file's integers, because floats of a large picture would take much memory.
    """
    name = repr(os.fspath(path))
    if image.mode == "F":
        raise FileError(
            f"{name} holds floating-point values, whose white is unknown; save 8 or 16 bits"
        )
    try:
        image.load()
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):
            return [_sixteen_bits(name, np.asarray(image))], 65535, None
        grey = image.mode in ("1", "L", "LA")
        if image.has_transparency_data:
            *bands, alpha = image.convert("LA" if grey else "RGBA").split()
            return [np.asarray(band) for band in bands], 255, np.asarray(alpha)
        bands = list(image.convert("L" if grey else "RGB").split())
        return [np.asarray(band) for band in bands], 255, None
    except (FileError, MemoryError):
        raise
    except Exception as error:  # damaged data make Pillow and its decoders raise nearly anything
        raise _damaged(name, error) from error


def _sixteen_bits(name: str, values: Plane) -> Plane:
    """Check that integers wider than sixteen bits hold no more than sixteen."""
    if int(values.min()) < 0 or int(values.max()) > 65535:
        raise FileError(f"{name} holds values outside 0 ... 65535; save 8 or 16 bits")
    return values


def _plane(plane: Plane, white: int, alpha: Plane | None, size: int | None, fit: str) -> Tensor:
    """One plane as a fitted (1, 1, height, width) in [-1, 1], laid over white where transparent."""
    tensor = torch.from_numpy(plane.astype(np.float32)).div_(white / 2).sub_(1)[None, None]
    if alpha is not None:
        tensor = 1 + (tensor - 1) * torch.from_numpy(alpha.astype(np.float32) / 255)
    return tensor if size is None else fit_image(tensor, size, fit)
