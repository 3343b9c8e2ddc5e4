"""Image files become tensors in [-1, 1], and tensors become image files.

`invprob.pictures` says which pictures can be read, and `invprob.formats` which files of scanners.
Of pictures, 8 bits a channel and 16-bit grey keep their precision; 16-bit colour does in a TIFF
where tifffile is installed, else Pillow keeps the upper eight bits. Transparent pixels are laid
over white.
"""

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from invprob.ambient import own_precision, undisturbed
from invprob.calls import checked
from invprob.errors import ArgumentError, FileError
from invprob.files import atomic_write
from invprob.formats.scan import Selection
from invprob.formats.table import TIFF
from invprob.formats.tiff import read_wide_colour
from invprob.pictures import Alpha, Picture, Plane, read_picture
from invprob.png import to_pillow as to_pillow
from invprob.registry import suggest
from invprob.run.scans import WindowedScan, read_windowed, scan_format
from invprob.types import Images

_ENDS = (255, 1023, 4095, 16383)  # what is white where 8, 10, 12 or 14 bits lie in a file of 16


@dataclass(frozen=True)
class LoadedImage:
    """An image and what its file was like.

    Args:
        tensor: the image, (1, 3, height, width), float32 in [-1, 1].
        grey: whether all three channels are equal, whatever the file's mode.
        size: the size of the picture in the file, (width, height), upright.
        mode: Pillow's name of the file's mode, such as "RGB".
        notes: what looks wrong with the range of its values, in sentences.
        alpha: how opaque each pixel of the file is, from 0 to 255; None if all are.
        scan: the physical values and their window, where the file is one of a scanner.
    """

    tensor: Images
    grey: bool
    size: tuple[int, int]
    mode: str
    notes: tuple[str, ...] = ()
    alpha: Alpha | None = None
    scan: WindowedScan | None = None


@checked
def load_image(
    path: str | os.PathLike[str],
    *,
    size: int | None = None,
    fit: str = "crop",
    white: float | None = None,
    window: str | None = None,
    frame: int | None = None,
    plane: str | None = None,
    index: int | None = None,
    volume: int | None = None,
    dataset: str | None = None,
) -> Images:
    """Read an image file; warn where its values hardly use the range from black to white.

    Args:
        path: a PNG, JPEG, TIFF or WebP file of at most 150 million pixels; or a DICOM, NIfTI,
            NumPy (.npy) or HDF5 file, of which one slice is read.
        size: the side of the square to bring it to, in pixels. None: the size stays.
        fit: how it becomes square: "crop" takes the central square, "pad" fills up with mid-grey,
            "stretch" changes its proportions.
        white: the number in the file that is white, such as 4095 for 12 bits in a file of 16; 0 is
            black. Larger numbers become white. None: the largest number that the file can hold. A
            file of floating-point numbers needs it.
        window: which physical values of a scan are black and white: two numbers such as
            "-160 240", "file", "percentiles", or "percentiles 2 98". None: the window that the
            file proposes, or else the percentiles 0.5 and 99.5.
        frame: the frame of a DICOM file of several, or the page of a TIFF, from 0.
        plane: the plane in which a volume is cut: "axial", "coronal", "sagittal", or "0", "1" or
            "2", the axis that it is across. None: axial, or 0 where the file knows no body.
        index: the slice along that axis, from 0. None: the middle one of a NIfTI file.
        volume: the volume of a NIfTI file of several, from 0.
        dataset: the dataset of an HDF5 file. None: the only one of rows and columns.

    Returns:
        The image, (1, 3, height, width), float32 in [-1, 1]. A grey one has three equal channels.

    Raises:
        FileError: there is no such file, or it is no whole picture of a known kind, or too large,
            or which of its values is white is not known, or cannot be chosen.
        ArgumentError: the size is below 1, the fit is not known, white is not above 0, or the file
            is of a format that does not take an argument.
    """
    selection = Selection(window, frame, plane, index, volume, dataset)
    loaded = read_image(path, size=size, fit=fit, white=white, selection=selection)
    for note in loaded.notes:
        warnings.warn(note, stacklevel=2)
    return loaded.tensor


@checked
@undisturbed()
def read_image(
    path: str | os.PathLike[str],
    *,
    size: int | None = None,
    fit: str = "crop",
    white: float | None = None,
    selection: Selection | None = None,
) -> LoadedImage:
    """Read an image file, and what it was like; arguments and errors as `load_image`."""
    _check_fit(size, fit)
    selection = selection or Selection()
    form = scan_format(Path(path), selection)
    if form is not None:
        if white is not None:
            raise ArgumentError(
                f"--white is not for {os.fspath(path)!r}: {form.name} takes --window LOW HIGH (in "
                'Python window="LOW HIGH")'
            )
        scan = read_windowed(Path(path), selection, form)
        tensor = scan.tensor()
        fitted = tensor if size is None else fit_image(tensor, size, fit)
        return LoadedImage(
            fitted, scan.grey, scan.scan.size, scan.scan.kind, scan.notes(), scan=scan
        )
    if white is not None and not white > 0:
        raise ArgumentError(f"white must be a number above 0, got {white}")
    tiff = Path(path).suffix.lower() in TIFF.suffixes
    picture = (read_wide_colour(Path(path)) if tiff else None) or read_picture(path)
    most = picture.most()
    chosen = _white(picture, most, white)
    channels = [_channel(picture, plane, chosen, size, fit) for plane in picture.planes]
    grey = all(np.array_equal(picture.planes[0], plane) for plane in picture.planes[1:])
    tensor = torch.cat(channels, 1).expand(1, 3, -1, -1).contiguous()
    notes = _range_notes(picture, most, chosen)
    return LoadedImage(tensor, grey, picture.size, picture.mode, notes, picture.alpha)


def _white(picture: Picture, most: float, white: float | None) -> float:
    """The number that is white: the one asked for, or else the one that the file implies."""
    name = repr(picture.name)
    if white is not None and picture.fixed:
        raise FileError(f"{name} cannot be read with white={white:g}, because {picture.fixed}")
    if white is not None:
        return white
    if picture.white is None or most > picture.white:
        kind = "floating-point values" if picture.white is None else "values"
        guess = next((end for end in (1, *_ENDS, 65535) if most <= end), most)
        raise FileError(
            f"{name} holds {kind} up to {most:.10g}, and does not say which one is white; say it, "
            f"for example --white {guess:.10g} (in Python white={guess:.10g})"
            + ("; or take all values: --window percentiles" if picture.white is None else "")
        )
    return picture.white


def _range_notes(picture: Picture, most: float, white: float) -> tuple[str, ...]:
    """What is odd about a picture's range of values: nothing, or one sentence."""
    name = Path(picture.name).name
    if most > white:
        over = max(float((plane > white).mean()) for plane in picture.planes)
        return (
            f"{name} holds values up to {most:.10g}; those above {white:.10g} become white "
            f"({100 * over:.2g} % of the pixels)",
        )
    if most == 0 or 4 * most > white:
        return ()
    whole = picture.white is not None
    end = next((end for end in (1, *_ENDS) if whole and most <= end < white / 2), most)
    guess = " (a mask?)" if end == 1 and whole else ""
    if end in _ENDS:
        guess = f" ({int(end).bit_length()} bits?)"
    factor = f"{white / end:.4g}"
    remedy = (
        f"multiply its values by {factor}, because {picture.fixed}"
        if picture.fixed
        else f"say that {end:.10g} is white: --white {end:.10g} (in Python white={end:.10g}), a "
        f"factor of {factor}"
    )
    return (
        f"{name} uses {most:.10g} of {white:.10g} and is nearly "
        f"{'white' if picture.inverted else 'black'}{guess}; if it should not be, {remedy}",
    )


def _channel(picture: Picture, plane: Plane, white: float, size: int | None, fit: str) -> Tensor:
    """One plane as a fitted (1, 1, height, width) in [-1, 1], laid over white where transparent."""
    tensor = torch.from_numpy(plane.astype(np.float32)).div_(white / 2).sub_(1)[None, None]
    tensor.clamp_(max=1)
    if picture.inverted:
        tensor.neg_()
    if picture.alpha is not None:
        opaque = torch.from_numpy(picture.alpha.astype(np.float32) / 255)
        tensor = 1 + (tensor - 1) * opaque
    return tensor if size is None else fit_image(tensor, size, fit)


@checked
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


# ---------------------------------------------------------------------------------------- fitting


@checked
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
    top, left, side = central_square(*image.shape[2:])
    return resize_image(image[..., top : top + side, left : left + side], size, size)


def _pad(image: Images, size: int) -> Images:
    top, left, height, width = padded_place(image.shape[2], image.shape[3], size)
    border = (left, size - width - left, top, size - height - top)
    return functional.pad(resize_image(image, height, width), border)


def _stretch(image: Images, size: int) -> Images:
    return resize_image(image, size, size)


def central_square(height: int, width: int) -> tuple[int, int, int]:
    """Top, left and side of what "crop" takes of a picture."""
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side


def padded_place(height: int, width: int, size: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of where "pad" lays a picture in a square of a size."""
    longer = max(height, width)
    rows, columns = (max(1, round(side * size / longer)) for side in (height, width))
    return (size - rows) // 2, (size - columns) // 2, rows, columns


FITS: Mapping[str, Callable[[Images, int], Images]] = {
    "crop": _crop,
    "pad": _pad,
    "stretch": _stretch,
}


@own_precision()
def resize_image(image: Images, height: int, width: int) -> Images:
    """Resize images in [-1, 1], bicubic with antialiasing; those of that size stay as they are."""
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
