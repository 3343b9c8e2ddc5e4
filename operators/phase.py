"""Phase retrieval: a detector far behind the object sees magnitudes only."""

import math
from typing import Annotated

import torch

from invprob.errors import ArgumentError
from invprob.operators.base import Operator
from invprob.operators.checks import finite, pixel_axes
from invprob.operators.frequencies import working
from invprob.registry import register
from invprob.types import Images, Measured, Shape


@register.operator("phase-retrieval")
class PhaseRetrieval(Operator):
    """Magnitudes of the Fourier transform of the image on a dark ground (Fraunhofer diffraction).

    y[c] = |FFT(u[c] padded with zeros to H' x W')|, u = (x + 1)/2, orthonormal, frequency zero in
    the middle; H' = ceil(oversampling · H), W' likewise; (C, H, W) to (C, H', W'), channels apart.
    Twice oversampled, the magnitudes hold the autocorrelation of the image, and with it the image
    up to shift, half turn and sign (Fienup, Applied Optics 21(15), 1982). The gradient is zero
    where a magnitude is zero. Raises `ArgumentError` for an oversampling below 1.
    """

    def __init__(
        self,
        image_shape: Shape,
        oversampling: Annotated[float, "detector pixels for each image pixel and axis"] = 2.0,
    ) -> None:
        channels, *size = pixel_axes(image_shape)
        if finite("oversampling", oversampling) < 1:
            raise ArgumentError(
                f"oversampling must be at least 1, got {oversampling}; 2 determines most images"
            )
        padded = [math.ceil(oversampling * length) for length in size]
        super().__init__(image_shape, (channels, *padded))
        self.oversampling = oversampling

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
