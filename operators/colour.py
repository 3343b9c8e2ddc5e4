"""Operators that mix the colour channels."""

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor

from invprob.arrays import REC_601
from invprob.errors import ArgumentError
from invprob.operators.base import LinearOperator
from invprob.operators.checks import checked_shape, pixel_axes
from invprob.operators.lists import read_matrix
from invprob.operators.units import pixels
from invprob.registry import register
from invprob.types import Images, Measured, Shape


@register.operator("luminance")
class Luminance(LinearOperator):
    """Turn a colour image into a grey one (`--grey`).

        y = 0.299 R + 0.587 G + 0.114 B

    The measurement of a (3, H, W) image is (1, H, W). Source of the weights: ITU-R BT.601.

    Raises:
        ArgumentError: images do not have three channels.
    """

    exact = ("weights",)

    weights: Tensor

    def __init__(self, image_shape: Shape) -> None:
        channels, *size = checked_shape("image_shape", image_shape)
        if channels != 3 or len(size) != 2:
            raise ArgumentError(
                f"luminance needs image_shape (3, height, width), got {tuple(image_shape)}; grey "
                "images can be replicated to three channels first"
            )
        super().__init__(image_shape, (1, *size))
        weights = torch.tensor(REC_601, dtype=torch.float64, device="cpu")
        self.register_buffer("weights", weights.view(3, 1, 1), persistent=False)

    def units(self) -> Tensor:
        """Pixels, all channels together."""
        return pixels(self.measurement_shape)

    def forward(self, image: Images) -> Measured:
        """Sum the weighted channels."""
        return (image * self.weights.to(image.dtype)).sum(1, keepdim=True)

    def adjoint(self, measurement: Measured) -> Images:
        """Give each channel its weight of the grey value."""
        return measurement * self.weights.to(measurement.dtype)

    @classmethod
    def example(cls) -> "Luminance":
        """On images of 8 x 8."""
        return cls((3, 8, 8))


@register.operator("channel-mix")
class ChannelMix(LinearOperator):
    """Mix the channels of each pixel by a matrix: tints, swapped colours, spectral bands.

        y[k] = Σ_c matrix[k][c] · x[c]

    A matrix of K rows and C columns turns a (C, H, W) image into (K, H, W). Values are those of
    [-1, 1]: middle grey, 0, stays 0, and nothing is clipped.

    Raises:
        ArgumentError: the rows do not hold one finite number for each channel.
    """

    exact = ("matrix",)

    matrix: Tensor  # (K, C) float64

    def __init__(
        self,
        image_shape: Shape,
        matrix: Annotated[
            str | Sequence[Sequence[float]],
            "the rows of the matrix, one number for each channel, such as '1 0 0; 0 0 1'",
        ],
    ) -> None:
        channels, height, width = pixel_axes(image_shape)
        rows = read_matrix("matrix", matrix)
        if len(rows[0]) != channels:
            raise ArgumentError(
                f"matrix must have {channels} numbers in each row, one for each channel of images "
                f"of shape {tuple(image_shape)}, got rows of {len(rows[0])}"
            )
        super().__init__(image_shape, (len(rows), height, width))
        values = torch.tensor(rows, dtype=torch.float64, device="cpu")
        self.register_buffer("matrix", values, persistent=False)

    def observed(self) -> Tensor:
        """The bands to which some channel adds."""
        bands = (self.matrix != 0).any(1).cpu().view(-1, 1, 1)
        return bands.expand(1, *self.measurement_shape)

    def units(self) -> Tensor:
        """Pixels, all channels together."""
        return pixels(self.measurement_shape)

    def forward(self, image: Images) -> Measured:
        """Multiply each pixel's channels by the matrix."""
        return torch.einsum("kc,bchw->bkhw", self.matrix.to(image.dtype), image)

    def adjoint(self, measurement: Measured) -> Images:
        """Multiply by the transposed matrix."""
        return torch.einsum("kc,bkhw->bchw", self.matrix.to(measurement.dtype), measurement)

    @classmethod
    def example(cls) -> "ChannelMix":
        """Two bands from 8 x 8 colour images."""
        return cls((3, 8, 8), matrix="0.5 0.25 0.25; 0 0.5 -1")

    def extra_repr(self) -> str:
        """The shapes and the matrix."""
        return f"{super().extra_repr()}, matrix={self.matrix.tolist()}"
