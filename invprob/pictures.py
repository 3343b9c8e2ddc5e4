"""Picture files become planes of numbers: the one decoder, of images, masks and kernels alike.

PNG, JPEG, TIFF and WebP can be read, and of several frames the first one. The orientation that a
camera recorded is applied, a colour profile is not. CMYK, YCbCr and palettes become RGB. What
Pillow would decode wrongly is refused.
"""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from invprob.errors import FileError
from invprob.files import file_error

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP")
MOST_PIXELS = 150_000_000  # of one file; read from its header, before anything is decoded

Plane: TypeAlias = NDArray[Any]
Alpha: TypeAlias = NDArray[np.uint8]

_BITS, _PHOTOMETRIC, _PLANAR, _SAMPLE_FORMAT, _SUBSAMPLING = 258, 262, 284, 339, 530
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_COLOURS = {"P": "those of a palette", "PA": "those of a palette", "CMYK": "CMYK", "YCbCr": "YCbCr"}
_REDUCED = "of its 16 bits of colour only the upper eight are read"


@dataclass(frozen=True)
class Picture:
    """The first frame of a picture file, upright.

    Args:
        name: the file, for messages.
        planes: grey, or red, green and blue, each (height, width). They hold the numbers of the
            file, because floats of a large picture would take much memory.
        white: the number that stands for white; None where the file does not say it.
        inverted: whether 0 is white in this file, and `white` stands for black.
        alpha: how opaque each pixel is, from 0 to 255, (height, width); None if all are.
        fixed: why no other number can stand for white, such as "its colours are CMYK", or "".
        mode: Pillow's name of the file's mode, such as "RGB".
    """

    name: str
    planes: tuple[Plane, ...]
    white: int | None
    inverted: bool
    alpha: Alpha | None
    fixed: str
    mode: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, upright."""
        height, width = self.planes[0].shape
        return width, height

    def most(self) -> float:
        """The largest number in the file.

        Raises:
            FileError: a number is negative or not finite.
        """
        ends = [(float(plane.min()), float(plane.max())) for plane in self.planes]
        if not np.isfinite(ends).all():
            raise FileError(
                f"{self.name!r} holds numbers that are not finite; replace NaN and infinity first"
            )
        least, most = min(low for low, _ in ends), max(high for _, high in ends)
        if least < 0:
            raise FileError(
                f"{self.name!r} holds values from {least:.10g} to {most:.10g}, but 0 is black; add "
                f"{-least:.10g} to all of them first"
            )
        return most


def read_picture(path: str | os.PathLike[str], *, most_pixels: int = MOST_PIXELS) -> Picture:
    """Decode a picture file.

    Args:
        path: a PNG, JPEG, TIFF or WebP file.
        most_pixels: how many pixels it may have by its header.

    Raises:
        FileError: there is no such file, it is no whole picture of a known kind, it is too large,
            or it is of a kind that would be decoded wrongly.
    """
    name = os.fspath(path)
    if Path(path).is_dir():
        raise FileError(f"{name!r} is a folder; name an image in it")
    if Path(path).exists() and not Path(path).is_file():
        raise FileError(f"{name!r} is not an ordinary file; name an image")
    try:
        with Path(path).open("rb") as file, warnings.catch_warnings():
            # Pillow warns of odd metadata and of large sizes; the first is harmless here, and the
            # second is checked below.
            warnings.simplefilter("ignore")
            return _decode(name, _open(repr(name), file, most_pixels))
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise file_error(path, error, "read") from error


def _open(name: str, file: IO[bytes], most_pixels: int) -> Image.Image:
    """Read the header, and refuse what should not be decoded."""
    try:
        image = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError:
        raise _too_large(name, most_pixels) from None
    except UnidentifiedImageError:
        raise _unknown(name, file) from None
    except Exception as error:  # a damaged header makes Pillow raise nearly anything
        raise _damaged(name, error) from error
    width, height = image.size
    if width < 1 or height < 1:
        raise FileError(f"{name} is an image without pixels ({width} x {height})")
    if width * height > most_pixels:
        raise _too_large(name, most_pixels, f" ({width} x {height})")
    return image


def _unknown(name: str, file: IO[bytes]) -> FileError:
    file.seek(0)
    start = file.read(4)
    if start in _TIFF:
        return FileError(
            f"{name} is a damaged TIFF, or one of a kind that is not read; save it as grey or RGB "
            "of 8 or 16 bits, with the channels of a pixel side by side; an image of floats is read"
            " with --window LOW HIGH"
        )
    what = "is no image" if start else "is empty, not an image"
    return FileError(
        f"{name} {what} that can be read (PNG, JPEG, TIFF, WebP; an image may also be DICOM, "
        "NIfTI, NumPy or HDF5)"
    )


def _too_large(name: str, most_pixels: int, size: str = "") -> FileError:
    return FileError(f"{name} holds more than {most_pixels:,} pixels{size}; make it smaller first")


def _damaged(name: str, error: Exception) -> FileError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return FileError(f"{name} cannot be decoded, it may be truncated or damaged: {first}")


def _decode(path: str, image: Image.Image) -> Picture:
    """Decode the first frame of an open file."""
    name, mode, clear = repr(path), image.mode, image.info.get("transparency")
    try:
        coding = _coding(image)
        if not coding.trouble:
            image.load()
            image = ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception as error:  # damaged data make Pillow and its decoders raise nearly anything
        raise _damaged(name, error) from error
    if coding.trouble:
        raise FileError(f"{name} {coding.trouble}")
    if mode[0] in "IF":
        planes, alpha = _wide(image, clear, unsigned=coding.unsigned)
    elif mode == "L" and isinstance(clear, int):
        values = np.asarray(image)
        planes, alpha = [values], _opaque(values != coding.step * clear)
    else:
        planes, alpha = _bytes(image)
    if coding.inverted and mode in ("1", "L"):  # which Pillow has turned round already
        planes = [255 - plane for plane in planes]
    return Picture(path, tuple(planes), coding.white, coding.inverted, alpha, coding.fixed, mode)


def _wide(image: Image.Image, clear: object, *, unsigned: bool) -> tuple[list[Plane], Alpha | None]:
    """Grey of more than 8 bits, of which Pillow does not make transparent what should be."""
    values = np.asarray(image)
    if unsigned:  # Pillow has no mode of 32 bits without a sign
        values = values.view(np.uint32)
    return [values], _opaque(values != clear) if isinstance(clear, int) else None


def _bytes(image: Image.Image) -> tuple[list[Plane], Alpha | None]:
    """Planes of 8 bits: grey, or red, green and blue."""
    grey = image.mode in ("1", "L", "LA", "La")
    if not image.has_transparency_data:
        return [np.asarray(band) for band in image.convert("L" if grey else "RGB").split()], None
    *bands, alpha = image.convert("LA" if grey else "RGBA").split()
    return [np.asarray(band) for band in bands], np.asarray(alpha)


def _opaque(seen: NDArray[np.bool_]) -> Alpha:
    return np.where(seen, np.uint8(255), np.uint8(0))


# ---------------------------------------------------------------- what the header says of numbers


class _Coding(NamedTuple):
    """How a file's numbers are to be understood.

    `trouble` says why they cannot be, where Pillow would decode them wrongly or not at all.
    `step` is what one step of the file becomes in Pillow's bytes; Pillow scales grey of 2 and 4
    bits, and does not scale the value that is transparent.
    """

    white: int | None = 255
    inverted: bool = False
    fixed: str = ""
    unsigned: bool = False
    step: int = 1
    trouble: str = ""


def _coding(image: Image.Image) -> _Coding:
    """Read it from the header, before anything is decoded."""
    mode = image.mode
    if mode == "LAB":
        return _Coding(trouble="holds CIELAB colours, whose white point is not read; save RGB")
    coding = _Coding(fixed=f"its colours are {_COLOURS[mode]}" if mode in _COLOURS else "")
    if isinstance(image, TiffImageFile):
        return _tiff(image, coding)
    if mode[0] == "I":
        return coding._replace(white=65535)
    raw = _raw_mode(image)
    if raw in ("L;2", "L;4"):
        return coding._replace(step=85 if raw == "L;2" else 17)
    if raw.endswith(";16B"):
        if isinstance(image.info.get("transparency"), tuple):
            return _Coding(
                trouble="has 16-bit colours of which one is transparent; save it with an alpha "
                "channel"
            )
        return coding._replace(fixed=_REDUCED)
    return coding


def _tiff(image: TiffImageFile, coding: _Coding) -> _Coding:
    """How a TIFF's numbers are to be understood, by its tags."""
    tags, mode = image.tag_v2, image.mode
    bits = max(tags.get(_BITS, (1,)))
    signed = 2 in tags.get(_SAMPLE_FORMAT, (1,))
    raw = image.tile[0][0] != "libtiff"
    if bits > 8 and raw and tags.get(_PLANAR) == 2:
        return _Coding(
            trouble=f"stores planes of {bits} bits one after another, which Pillow garbles; save "
            "it with the channels of a pixel side by side (planarconfig='contig')"
        )
    if bits == 8 and signed:
        return _Coding(trouble="holds signed 8-bit numbers, which Pillow garbles; save 0 ... 255")
    if mode in ("I", "F") and not raw and tags.prefix == b"MM":
        return _Coding(
            trouble="holds compressed big-endian numbers, which Pillow garbles; save it "
            "little-endian, or without compression"
        )
    if tags.get(_PHOTOMETRIC) == 6 and raw and tuple(tags.get(_SUBSAMPLING, (1, 1))) != (1, 1):
        return _Coding(trouble="holds YCbCr with fewer colours than pixels; save RGB")
    if mode[0] not in "IF":
        fixed = _REDUCED if bits > 8 and not coding.fixed else coding.fixed
        coding = coding._replace(fixed=fixed)
    elif mode == "F":
        coding = coding._replace(white=None)
    else:
        white = 4095 if bits == 12 else 32767 if bits == 16 and signed else 65535
        coding = coding._replace(white=white, unsigned=bits == 32 and not signed)
    grey = mode in ("1", "L", "F") or mode[0] == "I"
    return coding._replace(inverted=grey and tags.get(_PHOTOMETRIC, 0) == 0)


def _raw_mode(image: Image.Image) -> str:
    """What Pillow calls the layout of the stored numbers, such as "L;2"."""
    arguments = image.tile[0][3] if isinstance(image, ImageFile.ImageFile) and image.tile else ""
    raw = arguments[0] if isinstance(arguments, tuple) else arguments
    return raw if isinstance(raw, str) else ""
