"""How near a restored image is to the true one: image by image, clipped to [-1, 1] first.

    @register.metric("mae")
    @metric(unit="", better="lower")
    def mae(image: Images, truth: Images) -> PerImage: ...

LPIPS is not among them, because it needs weights: see `invprob.perceptual.distance`.
"""

import functools
from collections.abc import Callable
from typing import Literal, final

import torch
from torch import Tensor
from torch.nn import functional

from invprob.errors import ShapeError
from invprob.registry import register
from invprob.types import Images, PerImage


@final
class Metric:
    """A function of (image, truth), with the unit of its values and which of them are better."""

    def __init__(
        self,
        score: Callable[[Images, Images], PerImage],
        unit: str,
        better: Literal["higher", "lower"],
    ) -> None:
        self.unit = unit
        self.better = better
        self._score = score
        functools.update_wrapper(self, score)

    def __call__(self, image: Images, truth: Images) -> PerImage:
        """Score each image; both are clipped to [-1, 1], and values come in float64.

        Raises ShapeError unless both have the same shape (batch, channel, height, width).
        """
        if image.ndim != 4 or image.shape != truth.shape:
            raise ShapeError(
                "image and truth must both be (batch, channel, height, width), "
                f"got {tuple(image.shape)} and {tuple(truth.shape)}"
            )
        return self._score(image.detach().double().clamp(-1, 1), truth.double().clamp(-1, 1))


def metric(
    *, unit: str, better: Literal["higher", "lower"]
) -> Callable[[Callable[[Images, Images], PerImage]], Metric]:
    """Make a metric of the decorated function, which then sees clipped float64 images."""
    return lambda score: Metric(score, unit, better)


def as_grey(image: Images) -> Images:
    """Take the mean of the channels, (batch, 1, height, width): how a grey image is scored."""
    return image.mean(1, keepdim=True)


@register.metric("mse")
@metric(unit="", better="lower")
def mse(image: Images, truth: Images) -> PerImage:
    """Average the squared error over channels and pixels; black against white is 4."""
    return (image - truth).square().mean((1, 2, 3))


@register.metric("psnr")
@metric(unit="dB", better="higher")
def psnr(image: Images, truth: Images) -> PerImage:
    """Compare the squared error with the range of values, whose peak is 2; equal images: inf."""
    return 10 * torch.log10(4 / mse(image, truth))


# The constants of the paper: window, and the share of the range that steadies each quotient.
_SIGMA, _REACH = 1.5, 5
_K1, _K2, _RANGE = 0.01, 0.03, 2.0


@register.metric("ssim")
@metric(unit="", better="higher")
def ssim(image: Images, truth: Images) -> PerImage:
    """Compare local means, contrasts and structure (Wang et al. 2004); equal images: 1.

    11-tap Gaussian windows of sigma 1.5 that lie inside the image, averaged over channels and
    pixels. Raises ShapeError for images of fewer than 11 pixels a side.
    """
    if min(image.shape[2:]) < 2 * _REACH + 1:
        raise ShapeError(
            f"ssim needs images of {2 * _REACH + 1} pixels or more a side, "
            f"got {image.shape[2]} x {image.shape[3]}"
        )
    x, y = image.flatten(0, 1).unsqueeze(1), truth.flatten(0, 1).unsqueeze(1)
    mean_x, mean_y, square_x, square_y, product = map(_blur, (x, y, x * x, y * y, x * y))
    c1, c2 = (_K1 * _RANGE) ** 2, (_K2 * _RANGE) ** 2
    spread = (square_x - mean_x.square()) + (square_y - mean_y.square())
    covariance = product - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    structure = (2 * covariance + c2) / (spread + c2)
    return (luminance * structure).reshape(len(image), -1).mean(1)


def _blur(image: Tensor) -> Tensor:
    """Average (planes, 1, height, width) under the Gaussian window, without touching the border."""
    away = torch.arange(-_REACH, _REACH + 1, dtype=image.dtype, device=image.device)
    window = torch.exp(-0.5 * (away / _SIGMA).square())
    window = window / window.sum()
    rows = functional.conv2d(image, window.view(1, 1, -1, 1))
    return functional.conv2d(rows, window.view(1, 1, 1, -1))
