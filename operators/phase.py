"""Phase retrieval: a detector far behind the object sees magnitudes only."""

import math
from typing import Annotated

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.indices import indices
from invprob.operators.base import Operator
from invprob.operators.checks import finite, pixel_axes
from invprob.operators.frequencies import uncentred, working
from invprob.operators.units import NEVER
from invprob.registry import register
from invprob.types import Images, Measured, Shape


@register.operator("phase-retrieval")
class PhaseRetrieval(Operator):
    """Measure the magnitudes of the Fourier transform alone (phase retrieval).

        y[c] = |FFT(u[c], padded with zeros to H' x W')|,   u = (x + 1)/2

    H' = ceil(oversampling · H), and W' likewise. The transform is orthonormal, and frequency zero
    lies in the middle. This is what a detector far behind an object on a dark ground sees
    (Fraunhofer diffraction). The measurement of a (C, H, W) image is (C, H', W'), each channel by
    itself. Twice oversampled, the magnitudes determine most images up to a shift, a half turn and
    the sign. The gradient is zero where a magnitude is zero. Source: Fienup, Applied Optics 21(15),
    1982.

    Raises:
        ArgumentError: the oversampling is below 1.
    """

    image_units = "fixed"

    def __init__(
        self,
        image_shape: Shape,
        oversampling: Annotated[
            float, "detector pixels per image pixel along each axis, at least 1"
        ] = 2.0,
    ) -> None:
        channels, *size = pixel_axes(image_shape)
        if finite("oversampling", oversampling) < 1:
            raise ArgumentError(
                f"oversampling must be at least 1, got {oversampling}; 2 determines most images"
            )
        padded = [math.ceil(oversampling * length) for length in size]
        super().__init__(image_shape, (channels, *padded))
        self.oversampling = oversampling

    def units(self) -> Tensor:
        """Pairs of opposite frequencies, which have one magnitude, all channels together.

        Frequency zero is never left out, because the brightness hangs on it.
        """
        _, height, width = self.measurement_shape
        rows = uncentred(indices(height), height)[:, None]
        columns = uncentred(indices(width), width)
        place, opposite = rows * width + columns, -rows % height * width + -columns % width
        labels = torch.minimum(place, opposite)
        return torch.where(labels == 0, NEVER, labels).expand(self.measurement_shape).clone()

    def forward(self, image: Images) -> Measured:
        """The magnitudes."""
        if len(image) == 0:
            return image.new_zeros(0, *self.measurement_shape)
        light = (image.to(working(image.dtype)) + 1) / 2
        waves = torch.fft.fft2(light, s=self.measurement_shape[1:], norm="ortho")
        magnitudes: Measured = torch.fft.fftshift(waves.abs(), dim=(2, 3)).to(image.dtype)
        return magnitudes

    @classmethod
    def example(cls) -> "PhaseRetrieval":
        """Twice oversampled, on 8 x 8 colour images."""
        return cls((3, 8, 8))

    def extra_repr(self) -> str:
        """The shapes and the oversampling."""
        return f"{super().extra_repr()}, oversampling={self.oversampling}"
