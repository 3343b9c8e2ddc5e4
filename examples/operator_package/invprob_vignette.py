"""A lens that darkens the corners: an operator that lives outside invprob."""

from typing import Annotated

import torch

import invprob
from invprob.errors import ArgumentError


@invprob.register.operator("vignette")
class Vignette(invprob.LinearOperator):
    """Darken towards the corners, as a simple lens does.

    (A x)[c, i, j] = (1 - strength·r²) x[c, i, j] with r the distance from the centre, 1 at the
    corners. Raises `ArgumentError` unless strength lies in [0, 1].
    """

    weights: torch.Tensor

    def __init__(
        self,
        image_shape: tuple[int, ...],
        strength: Annotated[float, "light lost in the corners, in [0, 1]"] = 0.5,
    ) -> None:
        super().__init__(image_shape, image_shape)
        if not 0 <= strength <= 1:
            raise ArgumentError(f"strength must be in [0, 1], got {strength}")
        y, x = (torch.linspace(-1, 1, size, dtype=torch.float64) for size in image_shape[-2:])
        weights = 1 - strength * (y[:, None].square() + x.square()) / 2
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Weigh each pixel."""
        return image * self.weights.to(image.dtype)

    @classmethod
    def example(cls) -> "Vignette":
        """On images of 8 x 6."""
        return cls((3, 8, 6), strength=0.8)
