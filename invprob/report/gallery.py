"""What each operator makes of one image, as pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from invprob.errors import ArgumentError, ShapeError
from invprob.files import atomic_write
from invprob.operators.base import LinearOperator, Operator
from invprob.registry import register
from invprob.report.drawing import FAINT, INK, PAPER, tile, write
from invprob.types import Images

SHEET = "gallery.png"
SIDE, GAP, LINE = 192, 10, 20
ITERATIONS = 50  # of the pseudo-inverse; more would not be seen


@dataclass(frozen=True)
class Exhibit:
    """What an operator makes of an image.

    Args:
        name: the operator's name.
        operator: the operator with its options, for a caption.
        image: the image, (channel, height, width) in [-1, 1].
        shown: what is shown of the measurement, likewise.
        title: what that is.
    """

    name: str
    operator: str
    image: Tensor
    shown: Tensor
    title: str


def exhibit(name: str, image: Images) -> Exhibit:
    """Apply the illustration of an operator to an image.

    The measurement is shown where it is an image, else A⁺y of a linear operator, else the values
    of the measurement row by row. The image is brought to the shape of the operator's example where
    the operator refuses the image's own shape.

    Args:
        name: the operator.
        image: (1, 3, height, width) in [-1, 1].
    """
    operator = _illustration(name, image)
    image = _of_shape(image, operator)
    with torch.no_grad():
        measurement = operator(image)
        if _is_image(operator):
            shown, title = measurement[0], "measurement"
        elif isinstance(operator, LinearOperator):
            shown = operator.pinv(measurement, iterations=ITERATIONS)[0]
            title = "pseudo-inverse of the measurement"
        else:
            shown, title = _as_square(measurement[0]), "measurement, value by value"
    shown = shown.float().cpu()
    low, high = float(shown.min()), float(shown.max())
    if low < -1.1 or high > 1.1:
        title = f"{title}, {low:.2g} to {high:.2g}"
        usual = float(shown.abs().median())
        if low >= 0 and high > 20 * usual > 0:
            shown, title = (shown / usual).log1p(), f"{title}, logarithmic"
        shown = 2 * (shown - shown.min()) / (shown.max() - shown.min()) - 1
    return Exhibit(name, repr(operator), image[0].cpu(), shown, title)


def write_exhibit(shown: Exhibit, path: Path) -> None:
    """Write image and measurement side by side as PNG."""
    pictures = [tile(shown.image, 2 * SIDE), tile(shown.shown, 2 * SIDE)]
    width = max(GAP + sum(picture.width + GAP for picture in pictures), 4 * SIDE)
    height = max(picture.height for picture in pictures) + 2 * LINE + 3 * GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    write(draw, (GAP, GAP), shown.operator)
    left = GAP
    for picture, title in zip(pictures, ("image", shown.title), strict=True):
        sheet.paste(picture, (left, GAP + LINE))
        write(draw, (left, height - GAP - LINE), title, colour=FAINT)
        left += picture.width + GAP
    _save(sheet, path)


def write_sheet(exhibits: Sequence[Exhibit], path: Path) -> None:
    """Write the image and all measurements on one sheet as PNG, each under its name."""
    pictures = [("image", tile(exhibits[0].image, SIDE))]
    pictures += [(shown.name, tile(shown.shown, SIDE)) for shown in exhibits]
    across = math.ceil(math.sqrt(1.5 * len(pictures)))
    down = math.ceil(len(pictures) / across)
    size = (GAP + across * (SIDE + GAP), GAP + down * (SIDE + LINE + GAP))
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, (name, picture) in enumerate(pictures):
        row, column = divmod(index, across)
        left, top = GAP + column * (SIDE + GAP), GAP + row * (SIDE + LINE + GAP)
        write(draw, (left, top), name, size=13, colour=INK if index else FAINT)
        picture.thumbnail((SIDE, SIDE))
        sheet.paste(picture, (left, top + LINE))
    _save(sheet, path)


def _illustration(name: str, image: Images) -> Operator:
    """The operator that illustrates its kind on the image, or else its example."""
    entry = register.operator[name]
    try:
        return entry.illustration(tuple(image.shape[1:]))
    except (ArgumentError, ShapeError):
        return entry.example()


def _is_image(operator: Operator) -> bool:
    """Whether measurements are images: of one channel or three, and no thin strips."""
    shape = operator.measurement_shape
    return len(shape) == 3 and shape[0] in (1, 3) and max(shape[1:]) <= 6 * min(shape[1:])


def _of_shape(image: Images, operator: Operator) -> Images:
    """The image at the size, and with the channels, that an operator reads."""
    if len(operator.image_shape) != 3:
        raise ShapeError(f"{operator!r} reads no images (channels, height, width)")
    if operator.image_shape == tuple(image.shape[1:]):
        return image
    channels, *size = operator.image_shape
    small: Tensor = F.interpolate(image, size=size, mode="area")
    if small.shape[1] == channels:
        return small
    return small.mean(1, keepdim=True).expand(-1, channels, -1, -1)


def _as_square(measurement: Tensor) -> Tensor:
    """The values of a measurement, row by row in a square."""
    flat = measurement.flatten()
    side = math.ceil(math.sqrt(flat.numel()))
    return F.pad(flat, (0, side * side - flat.numel())).view(1, side, side)


def _save(sheet: Image.Image, path: Path) -> None:
    with atomic_write(path) as temporary:
        sheet.save(temporary, format="PNG")
