"""The numbers of a measurement as a picture, where they are no image: k-space, random sums."""

import math

import torch
from torch import Tensor
from torch.nn import functional

STEEP = 20.0  # how far above the median the largest value is where logarithms are shown
NARROW = 4  # fewer rows or columns than this are no picture


def picture_of_numbers(values: Tensor) -> tuple[str, Tensor]:
    """What is shown of a measurement that is no image, and the picture.

    Complex numbers become magnitudes, and channels and coils are averaged. What has no rows and
    columns of its own is laid out row by row in a square.

    Args:
        values: the measurement of one image. A last axis of two holds real and imaginary parts.

    Returns:
        Its title, and the picture, (1, height, width) in [-1, 1].
    """
    words = []
    values = values.detach().double().nan_to_num()
    if values.ndim > 1 and values.shape[-1] == 2:
        values = values.square().sum(-1).sqrt()
        words.append("magnitudes")
    if values.ndim > 2 and min(values.shape[-2:]) >= NARROW:
        values = values.flatten(0, -3)
        if len(values) > 1:
            words.append("means of the channels")
        values = values.mean(0)
    else:
        values = _in_a_square(values.flatten())
        words.append("numbers row by row")
    if is_steep(values):
        values, word = logarithms(values), ["logarithmic"]
        return f"measurement y: {', '.join(words + word)}", (2 * values - 1).float()[None]
    most = float(values.abs().max()) or 1.0
    least = 0.0 if float(values.min()) >= 0 else -most
    words.append(f"from {least:.3g} to {most:.3g}")
    shown = 2 * (values - least) / (most - least) - 1
    return f"measurement y: {', '.join(words)}", shown.float()[None]


def is_steep(values: Tensor) -> bool:
    """Whether a few large values would leave all others dark, and none is negative."""
    usual = float(values.median())
    return float(values.min()) >= 0 and float(values.max()) > STEEP * usual > 0


def logarithms(values: Tensor) -> Tensor:
    """log(1 + v / median), as a share of its largest value."""
    shown = (values / values.median()).log1p()
    return shown / shown.max()


def _in_a_square(flat: Tensor) -> Tensor:
    """Numbers row by row in a square; what is left of the last rows is 0."""
    side = math.ceil(math.sqrt(max(1, len(flat))))
    return functional.pad(flat, (0, side * side - len(flat))).view(side, side)


def logarithmic_images(images: Tensor) -> Tensor:
    """Logarithms of the values of each image, (batch, channel, height, width) in [-1, 1]."""
    return torch.stack([2 * logarithms(one) - 1 for one in images])
