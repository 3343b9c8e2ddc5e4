"""Metrics: how near a restored image is to the true one, image by image.

Runs score their results by them; no solver sees one. An author adds a metric so:

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

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.contracts import Contract
from invprob.errors import ShapeError
from invprob.registry import register
from invprob.types import Images, PerImage


@final
class Metric(Contract):
    """A function of image and truth with the unit of its values; `metric` makes one.

    Args:
        score: takes image and truth, (batch, channel, height, width), in float64 and clipped to
            [-1, 1], and returns one number for each image, (batch,).
        unit: the unit of the numbers, such as "dB"; empty where they have none.
        better: whether "higher" or "lower" numbers are better.
    """

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

    def __repr__(self) -> str:
        """The name, and what its numbers mean."""
        return f"Metric({self._score.__name__}, unit={self.unit!r}, better={self.better!r})"

    @checked
    @undisturbed()
    def __call__(self, image: Images, truth: Images) -> PerImage:
        """Score each image, after both were clipped to [-1, 1].

        Args:
            image: the restored images, (batch, channel, height, width).
            truth: the true images, of the same shape.

        Returns:
            One number for each image, (batch,), in float64.

        Raises:
            ShapeError: the shapes are not four-dimensional and equal.
        """
        if image.ndim != 4 or image.shape != truth.shape:
            raise ShapeError(
                "image and truth must both be (batch, channel, height, width), "
                f"got {tuple(image.shape)} and {tuple(truth.shape)}"
            )
        return self._score(
            image.detach().double().clamp(-1, 1), truth.detach().double().clamp(-1, 1)
        )


@checked
def metric(
    *, unit: str, better: Literal["higher", "lower"]
) -> Callable[[Callable[[Images, Images], PerImage]], Metric]:
    """A decorator that makes a `Metric` of a function of image and truth.

    Args:
        unit: the unit of the numbers, such as "dB"; empty where they have none.
        better: whether "higher" or "lower" numbers are better.

    Returns:
        The decorator.
    """
    return lambda score: Metric(score, unit, better)


@register.metric("mse")
@metric(unit="", better="lower")
def mse(image: Images, truth: Images) -> PerImage:
    """Mean squared error over channels and pixels; black against white is 4."""
    return (image - truth).square().mean((1, 2, 3))


@register.metric("psnr")
@metric(unit="dB", better="higher")
def psnr(image: Images, truth: Images) -> PerImage:
    """Peak signal-to-noise ratio, 10 log10(2² / MSE): the range [-1, 1] has a peak of 2.

    Infinite where the images are equal.
    """
    return 10 * torch.log10(4 / mse(image, truth))


# The constants of the paper: the window, and the shares of the range that steady each quotient.
_SIGMA, _REACH = 1.5, 5
_K1, _K2 = 0.01, 0.03


@register.metric("ssim")
@metric(unit="", better="higher")
def ssim(image: Images, truth: Images) -> PerImage:
    """Structural similarity (Wang et al., IEEE Transactions on Image Processing 2004).

    Compares means, contrasts and structure within Gaussian windows of 11 taps and sigma 1.5 that
    lie inside the image; averaged over channels and pixels. 1 where the images are equal. The means
    are those of light from 0 (black) to 1 (white): a quotient of signed means would take mid-grey
    for black.

    Raises:
        ShapeError: the images have fewer than 11 pixels a side.
    """
    if min(image.shape[2:]) < 2 * _REACH + 1:
        raise ShapeError(
            f"ssim needs images of {2 * _REACH + 1} pixels or more a side, "
            f"got {image.shape[2]} x {image.shape[3]}"
        )
    x, y = ((1 + one.flatten(0, 1).unsqueeze(1)) / 2 for one in (image, truth))
    mean_x, mean_y, square_x, square_y, product = map(_blur, (x, y, x * x, y * y, x * y))
    c1, c2 = _K1**2, _K2**2
    spread = (square_x - mean_x.square()) + (square_y - mean_y.square())
    covariance = product - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    structure = (2 * covariance + c2) / (spread + c2)
    return (luminance * structure).reshape(len(image), -1).mean(1)


def _blur(image: Tensor) -> Tensor:
    """Planes (planes, 1, height, width), averaged under each window that lies inside."""
    away = torch.arange(-_REACH, _REACH + 1, dtype=image.dtype, device=image.device)
    window = torch.exp(-0.5 * (away / _SIGMA).square())
    window = window / window.sum()
    rows = functional.conv2d(image, window.view(1, 1, -1, 1))
    return functional.conv2d(rows, window.view(1, 1, 1, -1))
