"""Filtered back-projection: each view is filtered, then smeared over the image.

Source: Kak and Slaney, Principles of Computerized Tomographic Imaging, 1988, chapter 3.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from invprob.operators.frequencies import working
from invprob.operators.sampling import line_taps, linear_kernel
from invprob.types import Images, Measured, Shape


def back_projected(
    views: Measured, image_shape: Shape, places: Iterable[tuple[Tensor, Tensor]]
) -> Images:
    """The sum over all views, each read by linear interpolation where each pixel is seen.

    Args:
        views: filtered, (batch, channels, views, detectors).
        image_shape: (channels, height, width).
        places: for each view the detector pixel, counted from 0, at which each pixel of the image
            is seen, and what it weighs there, (height, width) float64 both.

    Returns:
        Images, (batch, channels, height, width).
    """
    image = views.new_zeros(len(views), image_shape[0], math.prod(image_shape[1:]))
    for view, (place, weight) in enumerate(places):
        indices, shares = line_taps(views.shape[3], place.flatten(), linear_kernel)
        shares = (shares * weight.flatten()).to(views)
        for index, share in zip(indices.to(views.device), shares, strict=True):
            image = image + views[:, :, view].gather(2, index.expand_as(image)) * share
    return image.view(len(image), *image_shape)


def ramp_filtered(sinogram: Measured) -> Measured:
    """Each view convolved with the band-limited ramp, without a window; eq. 3.61."""
    values = sinogram.to(working(sinogram.dtype))
    cells = values.shape[-1]
    offset = torch.arange(2 * cells, dtype=torch.float64, device="cpu")
    offset = torch.minimum(offset, 2 * cells - offset)
    ramp = torch.where(offset % 2 == 1, -1 / (math.pi * offset) ** 2, 0.0)
    ramp[0] = 0.25
    response = torch.fft.rfft(ramp).real.to(values)
    spectrum = torch.fft.rfft(values, n=2 * cells) * response
    filtered: Tensor = torch.fft.irfft(spectrum, n=2 * cells)[..., :cells]
    return filtered.to(sinogram.dtype)


def gaps(degrees: tuple[float, ...], turn: float) -> tuple[Tensor, Tensor]:
    """The order of the angles modulo `turn`, and the gap after each in this order, in degrees."""
    angles = torch.tensor(degrees, dtype=torch.float64, device="cpu") % turn
    order = angles.argsort(stable=True)
    return order, angles[order].diff(append=angles[order[:1]] + turn)


def arcs(degrees: tuple[float, ...], turn: float) -> Tensor:
    """The share of `turn` that each view stands for, in radians; equal ones share it.

    It is half the angle between its neighbours, (views,) float64.
    """
    order, gap = gaps(degrees, turn)
    shares = torch.empty_like(gap)
    shares[order] = (gap + gap.roll(1)) / 2
    return torch.deg2rad(shares)
