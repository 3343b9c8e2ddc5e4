"""TIFF files of any numbers, read and written by tifffile; Pillow reads the usual ones."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from invprob.errors import FileError
from invprob.files import atomic_write
from invprob.formats.arrays import inflates_beyond
from invprob.formats.scan import (
    Derivation,
    Placement,
    Planes,
    Scan,
    Selection,
    Writer,
    check_size,
    missing,
    pick,
    real_values,
    told,
)
from invprob.formats.window import Window
from invprob.pictures import Picture

TAKES = ("window", "frame")
_DEFLATE = (8, 32946)
_UNPACKED = (1, 32773)  # without compression, PackBits: these cannot unpack to much more


def read_tiff(path: Path, selection: Selection) -> Scan:
    """Read one page of a TIFF file: grey or RGB, integers or floats, side by side or in planes.

    Args:
        path: the file.
        selection: the window and the page (`frame`); without it the first.

    Raises:
        FileError: the file is none, or of a kind that is not read.
    """
    name = repr(str(path))
    try:
        import tifffile
    except ImportError as error:
        raise missing(
            name, "a TIFF with a window or a frame", "tifffile", "medical", error
        ) from None
    with (
        told(f"{name} cannot be read", f"{name} cannot be decoded"),
        tifffile.TiffFile(path) as file,
    ):
        count = len(file.pages)
        number = pick(name, "pages", "frame", count, selection.frame or 0)
        page = file.pages[number]
        if not isinstance(page, tifffile.TiffPage):
            raise FileError(f"{name} has pages that are described together; save them anew")
        _check(name, page)
        pixels = page.asarray()
        axes = page.axes
        writer = TiffWriter(
            tuple(float(one) for one in page.resolution),
            int(page.resolutionunit),
        )
        white_is_zero = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
    if axes.endswith("S") and pixels.ndim == 3:
        pixels = np.moveaxis(pixels, -1, 0)
    planes = real_values(name, pixels)
    planes = np.ascontiguousarray(planes[None] if planes.ndim == 2 else planes)
    part = f"page {number} of 0 to {count - 1}" if count > 1 else ""
    proposed = None
    if pixels.dtype.kind == "u":
        bits = 8 * pixels.dtype.itemsize
        proposed = Window(0.0, 2.0**bits - 1, f"the range of its {bits} bits")
    return Scan("TIFF", planes, writer, proposed=proposed, inverted=white_is_zero, part=part)


def read_wide_colour(path: Path) -> Picture | None:
    """Read a TIFF of 16-bit colour, of which Pillow would keep half the bits, or none.

    Args:
        path: the file.

    Returns:
        The picture; None for any other file, and where tifffile is not installed or cannot read it.

    Raises:
        FileError: the file is too large, or unpacks to more than its header says.
    """
    try:
        import tifffile
    except ImportError:
        return None
    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            wide = page.photometric == tifffile.PHOTOMETRIC.RGB and page.dtype == np.uint16
            turned = "Orientation" in page.tags and page.tags["Orientation"].value != 1
            if not wide or turned or page.samplesperpixel != 3:
                return None
            _check(repr(str(path)), page)
            pixels = page.asarray()
            planes = np.moveaxis(pixels, -1, 0) if page.axes.endswith("S") else pixels
    except (FileError, MemoryError):
        raise
    except Exception:  # a damaged file, of which Pillow says in one line what is wrong
        return None
    return Picture(str(path), tuple(planes), 65535, False, None, "", "RGB")


def _check(name: str, page: Any) -> None:
    """See from the header that the page is one that is read, and that it is not too large."""
    import tifffile

    photometric = tifffile.PHOTOMETRIC
    check_size(name, int(page.imagelength), int(page.imagewidth))
    samples = int(page.samplesperpixel)
    grey = page.photometric in (photometric.MINISBLACK, photometric.MINISWHITE) and samples == 1
    colour = page.photometric == photometric.RGB and samples == 3
    if not (grey or colour) or page.imagedepth != 1:
        what = getattr(page.photometric, "name", str(page.photometric))
        raise FileError(
            f"{name} holds {what} of {samples} samples a pixel; with a window or a frame, grey and "
            "RGB without transparency are read"
        )
    compression = int(page.compression)
    if compression in _UNPACKED:
        return
    if compression not in _DEFLATE:
        return  # those codecs write into a buffer of the size that the header says
    bound = 2 * int(np.prod(page.chunks)) * page.dtype.itemsize + 4096
    handle = page.parent.filehandle
    for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        handle.seek(offset)
        if inflates_beyond(handle.read(size), bound, zlib.MAX_WBITS):
            raise FileError(f"{name} unpacks to more than its header says; it is damaged")


@final
@dataclass(frozen=True)
class TiffWriter(Writer):
    """Writes TIFF files of 32-bit floats.

    Args:
        resolution: pixels per unit, across and down; (1, 1) where it is not known.
        unit: TIFF's number of that unit.
    """

    resolution: tuple[float, ...]
    unit: int
    suffix = ".tif"

    def write(self, path: Path, planes: Planes, place: Placement, derivation: Derivation) -> None:
        import tifffile

        pixels: NDArray[Any] = planes[0] if len(planes) == 1 else np.moveaxis(planes, 0, -1)
        across, down = self.resolution
        with atomic_write(path) as temporary:
            tifffile.imwrite(
                temporary,
                np.ascontiguousarray(pixels, np.float32),
                photometric="minisblack" if len(planes) == 1 else "rgb",
                resolution=(across / place.column_step, down / place.row_step),
                resolutionunit=self.unit,
                description=derivation.sentence(),
                software="invprob",
                metadata=None,
            )
