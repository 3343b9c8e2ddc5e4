"""Pictures within a page: WebP in data URIs, as exact as a page's budget allows."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from invprob.report.markup import Html, tag

BUDGET = 2_200_000  # characters of all pictures in a page


@dataclass(frozen=True)
class Level:
    """How exactly pictures are kept.

    Args:
        words: for the page; nothing where each pixel is kept.
        most: the longer side, in pixels. None: that of the picture.
        quality: of WebP, from 0 to 100. None: nothing is lost.
    """

    words: str
    most: int | None
    quality: int | None


EXACT = Level("", None, None)
LEVELS = (
    EXACT,
    Level("compressed with small losses", None, 90),
    Level("at most 512 pixels wide, compressed with small losses", 512, 88),
    Level("at most 256 pixels wide, compressed with losses", 256, 80),
    Level("at most 128 pixels wide, compressed with losses", 128, 75),
    Level("at most 64 pixels wide, compressed with losses", 64, 70),
)
THUMBNAIL = Level("thumbnails", 72, 72)


def data_uri(picture: Image.Image, level: Level = EXACT) -> str:
    """A picture as the source of an `img`.

    Args:
        picture: what to embed, in mode L or RGB.
        level: how exactly it is kept.
    """
    if level.most is not None and max(picture.size) > level.most:
        picture = picture.copy()
        picture.thumbnail((level.most, level.most), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    if level.quality is None:
        picture.save(content, "WEBP", lossless=True, quality=30, method=2)
    else:
        picture.save(content, "WEBP", quality=level.quality, method=3)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"


def level_for(pictures: Sequence[Image.Image], times: int, budget: int = BUDGET) -> Level:
    """The most exact level at which pictures fit into a page.

    Args:
        pictures: some of the pictures, of the usual kind.
        times: how many such groups of pictures the page will hold.
        budget: characters of all of them.
    """
    for level in LEVELS:
        if times * sum(len(data_uri(one, level)) for one in pictures) <= budget:
            return level
    return LEVELS[-1]


def thumbnail(picture: Image.Image, alt: str) -> Html:
    """A small picture for a cell of a table."""
    source = data_uri(picture, THUMBNAIL)
    return tag("img", src=source, alt=alt, class_="thumb", width=72, loading="lazy")
