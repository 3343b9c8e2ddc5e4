"""Sheets of strips: images along paths through latents, a row for each path, with text under each.

An animation goes along one path and back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from invprob.errors import ArgumentError, FileError
from invprob.files import atomic_write
from invprob.report.drawing import FAINT, PAPER, tile, width_of, write
from invprob.types import Images

SIDE = 144  # pixels of each image, about
MARGIN, GAP, LINE = 16, 8, 17
SHEETS = (".png", ".webp")
ANIMATIONS = (".gif", ".webp")
FRAME = 120  # milliseconds


@dataclass(frozen=True)
class StripRow:
    """One row of a sheet.

    Args:
        title: what the row shows.
        images: (columns, channel, height, width) in [-1, 1].
        texts: the lines of text under each image.
    """

    title: str
    images: Images
    texts: Sequence[Sequence[str]]


def write_strips(rows: Sequence[StripRow], path: Path, caption: Sequence[str] = ()) -> None:
    """Draw the rows under one another and write them as PNG or WebP.

    Args:
        rows: what to draw.
        path: the file, ending in .png or .webp; one of that name is replaced.
        caption: lines of text at the bottom.

    Raises:
        FileError: the name has another ending, or the file cannot be written.
    """
    check_suffix(path, SHEETS)
    sheet = draw_strips(rows, caption)
    with atomic_write(path) as temporary:
        sheet.save(temporary, lossless=True)  # PNG has no such setting, and ignores it


def draw_strips(rows: Sequence[StripRow], caption: Sequence[str] = ()) -> Image.Image:
    """Draw the rows under one another.

    Raises:
        ArgumentError: there is no row.
    """
    if not rows:
        raise ArgumentError("rows must be one row or more, not none")
    tiles = [[tile(image, SIDE) for image in row.images] for row in rows]
    texts = [text for row in rows for column in row.texts for text in column]
    wide = max(
        *(picture.width for row in tiles for picture in row),
        *(round(width_of(text, 13)) for text in texts),
        1,
    )
    heights = [
        LINE
        + max(picture.height for picture in pictures)
        + LINE * max((len(text) for text in row.texts), default=0)
        + GAP
        for row, pictures in zip(rows, tiles, strict=True)
    ]
    across = max(len(pictures) for pictures in tiles) * (wide + GAP) - GAP
    lines = [*(row.title for row in rows), *caption]
    across = max(across, *(round(width_of(line, 14)) for line in lines))
    size = (2 * MARGIN + across, 2 * MARGIN + sum(heights) + LINE * len(caption))
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    top = MARGIN
    for row, pictures, height in zip(rows, tiles, heights, strict=True):
        write(draw, (MARGIN, top), row.title, size=14)
        for column, picture in enumerate(pictures):
            left = MARGIN + column * (wide + GAP)
            sheet.paste(picture, (left, top + LINE))
            below = row.texts[column] if column < len(row.texts) else ()
            for number, text in enumerate(below):
                place = (left, top + LINE + picture.height + LINE * number)
                write(draw, place, text, size=13, colour=FAINT)
        top += height
    for line in caption:
        write(draw, (MARGIN, top), line, size=14, colour=FAINT)
        top += LINE
    return sheet


def write_animation(images: Images, path: Path) -> None:
    """Write images as an animation that goes forth and back, and repeats.

    Args:
        images: (frames, channel, height, width) in [-1, 1].
        path: the file, ending in .gif or .webp; one of that name is replaced.

    Raises:
        FileError: the name has another ending, or the file cannot be written.
    """
    check_suffix(path, ANIMATIONS)
    frames = [tile(image) for image in torch.cat([images, images[1:-1].flip(0)])]
    with atomic_write(path) as temporary:
        frames[0].save(temporary, save_all=True, append_images=frames[1:], duration=FRAME, loop=0)


def check_suffix(path: Path, known: Sequence[str]) -> None:
    """Check the ending of a file's name.

    Raises:
        FileError: it is not among those known.
    """
    if path.suffix.lower() not in known:
        raise FileError(f"{str(path)!r} must end in {' or '.join(known)}")
