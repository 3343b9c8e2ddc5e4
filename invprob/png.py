"""Images as pictures of 8 bits: Pillow images, and the bytes of PNG files.

The numerical core draws nothing. Its objects come here when a notebook asks them to show
themselves, so that Pillow is loaded then and not before.
"""

import io
import os
import sys

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.errors import ArgumentError, ShapeError

MOST, GAP = 8, 8  # images that are shown beside each other, and the pixels between two of them


@checked
@undisturbed()
def to_pillow(image: Tensor) -> Image.Image:
    """The Pillow image, in mode L or RGB, of an image.

    Args:
        image: (channel, height, width) or (1, channel, height, width), with one or three channels,
            in [-1, 1]. Values outside become the nearer end.

    Returns:
        The image with 8 bits a channel.

    Raises:
        ShapeError: the shape is another one.
        ArgumentError: the image holds NaN.
    """
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


def tile(image: Tensor, side: int = 256) -> Image.Image:
    """An image in RGB at about a given size.

    A small image is enlarged by a whole factor without smoothing, so that its pixels can be seen.

    Args:
        image: (channel, height, width) in [-1, 1].
        side: pixels of the longer side, about.
    """
    picture = to_pillow(image.nan_to_num()).convert("RGB")
    width, height = picture.size
    factor = side / max(width, height)
    if factor >= 2 or (factor > 1 and factor == int(factor)):
        size = (width * int(factor), height * int(factor))
        return picture.resize(size, Image.Resampling.NEAREST)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def side_by_side(images: Tensor) -> Image.Image:
    """The first images of a batch, (batch, 1 or 3, height, width) in [-1, 1], in one row."""
    tiles = [tile(image, 256 if len(images) == 1 else 160) for image in images[:MOST]]
    width, height = tiles[0].size
    row = Image.new("RGB", (len(tiles) * (width + GAP) - GAP, height), "white")
    for place, picture in enumerate(tiles):
        row.paste(picture, (place * (width + GAP), 0))
    return row


def png(images: Tensor) -> bytes:
    """The PNG file of `side_by_side`."""
    file = io.BytesIO()
    side_by_side(images).save(file, format="PNG")
    return file.getvalue()


def open_viewer(images: Tensor) -> bool:
    """Open `side_by_side` in the system's picture viewer; say whether there is one."""
    from PIL import ImageShow

    if sys.platform.startswith("linux") and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        return False
    return ImageShow.show(side_by_side(images), title="invprob")
