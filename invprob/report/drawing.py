"""Text, images and colours for pictures that are drawn with Pillow.

Pillow's own font is crisp at every size and needs no file, but it has few letters beside ASCII.
"""

import unicodedata

import numpy as np
import torch
from PIL import ImageDraw, ImageFont
from torch import Tensor

from invprob.png import tile as tile

PAPER, INK, FAINT = (255, 255, 255), (32, 33, 36), (95, 99, 104)

_HAD = "©«°±·»"  # beside ASCII

# Five anchors from black over violet and orange to pale yellow, even in lightness.
HEAT = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)])


def heat(values: Tensor) -> Tensor:
    """A map (height, width) in [0, 1] in colours: an image (3, height, width) in [-1, 1]."""
    level = values.clamp(0, 1).double().numpy()
    anchors = np.linspace(0, 1, len(HEAT))
    bands = [np.interp(level, anchors, HEAT[:, band]) for band in range(3)]
    return torch.from_numpy(np.stack(bands) / 127.5 - 1).float()


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    *,
    size: float = 15,
    colour: tuple[int, int, int] = INK,
) -> None:
    """Write a line of text.

    Args:
        draw: what draws on the picture.
        place: the top left corner of the line, in pixels.
        text: the line; of a letter with an accent the font has only the letter, and what it lacks
            becomes a question mark.
        size: the size of the font, in pixels.
        colour: red, green and blue.
    """
    draw.text(place, _plain(text), font=ImageFont.load_default(size=size), fill=colour)


def width_of(text: str, size: float = 15) -> float:
    """How wide a line of text will be, in pixels."""
    return ImageFont.load_default(size=size).getlength(_plain(text))


def _plain(text: str) -> str:
    """The text in letters that Pillow's font has."""
    letters = unicodedata.normalize("NFKD", text.replace("×", "x"))
    return "".join(
        letter if letter.isascii() or letter in _HAD else "?"
        for letter in letters
        if not unicodedata.combining(letter)
    )
