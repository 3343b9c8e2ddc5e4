"""Operators that mix the colour channels."""

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.operators.base import LinearOperator, checked_shape
from invprob.registry import register
from invprob.types import Images, Measured, Shape

REC_601 = (0.299, 0.587, 0.114)  # red, green, blue


@register.operator("luminance")
class Luminance(LinearOperator):
    """Weigh red, green and blue into one grey channel (`--grey`).

    0.299 R + 0.587 G + 0.114 B (ITU-R BT.601); (3, H, W) to (1, H, W). Raises `ArgumentError`
    unless images have three channels.
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
        weights = torch.tensor(REC_601, dtype=torch.float64)
        self.register_buffer("weights", weights.view(3, 1, 1), persistent=False)

    def forward(self, image: Images) -> Measured:
        """Sum the weighted channels."""
        return (image * self.weights.to(image.dtype)).sum(1, keepdim=True)

    def adjoint(self, measurement: Measured) -> Images:
        """Give each channel its weight of the grey value."""
        self.check_measurement(measurement)
        return measurement * self.weights.to(measurement.dtype)

    @classmethod
    def example(cls) -> "Luminance":
        """On images of 8 x 8."""
        return cls((3, 8, 8))
