"""Geometric transforms: each output pixel reads four input pixels, bilinearly; outside is zero.

Pixels are unit squares, the centre of the image is the centre of the grid (`align_corners=False`),
and channels are treated alike. The transpose is the true one, by autograd: it is not the reverse
transform, which differs from it by the interpolation.
"""

import math
from abc import ABC
from typing import Annotated

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.operators.base import LinearOperator
from invprob.registry import register
from invprob.types import Images, Measured, Shape

# Where the pixel (x, y) of the output lies in the input, both counted from the centre, x to the
# right and y down: (xx·x + xy·y + x0, yx·x + yy·y + y0), written as (xx, xy, x0, yx, yy, y0).
Affine = tuple[float, float, float, float, float, float]


class _Resampled(LinearOperator, ABC):
    """An operator whose output pixels are fixed weighted sums of four input pixels each."""

    exact = ("weights",)

    indices: Tensor  # (4, height·width) int64 into the flattened image
    weights: Tensor  # (4, height·width) float64, zero where the input pixel lies outside

    def __init__(self, image_shape: Shape, affine: Affine) -> None:
        super().__init__(image_shape, image_shape)
        if len(self.image_shape) != 3:
            raise ArgumentError(
                f"image_shape must be (channels, height, width), got {self.image_shape}"
            )
        indices, weights = bilinear_taps(self.image_shape[1], self.image_shape[2], affine)
        self.register_buffer("indices", indices, persistent=False)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, image: Images) -> Measured:
        """Sum the four weighted neighbours of each output pixel."""
        flat = image.flatten(2)
        weights = self.weights.to(image.dtype)
        taps = (flat.index_select(2, self.indices[k]) * weights[k] for k in range(len(weights)))
        mixed: Tensor = torch.stack(list(taps)).sum(0)
        return mixed.view(image.shape)


@register.operator("rotate")
class Rotate(_Resampled):
    """Rotate counter-clockwise about the centre, bilinearly, with zeros coming in from outside.

    Multiples of 90 degrees are exact for square images. Raises `ArgumentError` unless finite.
    """

    def __init__(
        self, image_shape: Shape, degrees: Annotated[float, "counter-clockwise angle"]
    ) -> None:
        self.degrees = _finite("degrees", degrees)
        quarters, rest = divmod(self.degrees, 90.0)
        cos, sin = math.cos(math.radians(rest)), math.sin(math.radians(rest))
        for _ in range(int(quarters) % 4):
            cos, sin = -sin, cos
        super().__init__(image_shape, (cos, -sin, 0.0, sin, cos, 0.0))

    @classmethod
    def example(cls) -> "Rotate":
        """By 30 degrees, on 8 x 8 colour images."""
        return cls((3, 8, 8), degrees=30.0)

    def extra_repr(self) -> str:
        """The shapes and the angle."""
        return f"{super().extra_repr()}, degrees={self.degrees}"


@register.operator("translate")
class Translate(_Resampled):
    """Shift to the right and down, bilinearly, with zeros coming in from outside.

    Whole pixels are exact. Raises `ArgumentError` unless both are finite.
    """

    def __init__(
        self,
        image_shape: Shape,
        dx: Annotated[float, "pixels to the right"] = 0.0,
        dy: Annotated[float, "pixels down"] = 0.0,
    ) -> None:
        self.dx, self.dy = _finite("dx", dx), _finite("dy", dy)
        super().__init__(image_shape, (1.0, 0.0, -self.dx, 0.0, 1.0, -self.dy))

    @classmethod
    def example(cls) -> "Translate":
        """By a pixel and a half, on 8 x 8 colour images."""
        return cls((3, 8, 8), dx=1.5, dy=-1.0)

    def extra_repr(self) -> str:
        """The shapes and the shift."""
        return f"{super().extra_repr()}, dx={self.dx}, dy={self.dy}"


@register.operator("scale")
class Scale(_Resampled):
    """Enlarge about the centre, bilinearly; a factor below 1 shrinks and surrounds with zeros.

    Shrinking does not smooth first: below 1/2 pixels are skipped. Raises `ArgumentError` unless the
    factor is finite and positive.
    """

    def __init__(
        self, image_shape: Shape, factor: Annotated[float, "enlargement, above 0"]
    ) -> None:
        self.factor = _finite("factor", factor)
        if self.factor <= 0 or not math.isfinite(1 / self.factor):
            raise ArgumentError(f"factor must be a number above 0, got {factor}; 1 changes nothing")
        back = 1 / self.factor
        super().__init__(image_shape, (back, 0.0, 0.0, 0.0, back, 0.0))

    @classmethod
    def example(cls) -> "Scale":
        """By 1.5, on 8 x 8 colour images."""
        return cls((3, 8, 8), factor=1.5)

    def extra_repr(self) -> str:
        """The shapes and the factor."""
        return f"{super().extra_repr()}, factor={self.factor}"


def bilinear_taps(height: int, width: int, affine: Affine) -> tuple[Tensor, Tensor]:
    """Which four pixels each output pixel reads, and with which weights: (4, height·width) each.

    Computed in float64; a pixel outside the image gets weight zero and an arbitrary valid index.
    """
    xx, xy, x0, yx, yy, y0 = affine
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float64) - middle_y,
        torch.arange(width, dtype=torch.float64) - middle_x,
        indexing="ij",
    )
    # Whatever lies further out than a pixel reads zeros; the clamp keeps its index within int64.
    column = (xx * x + xy * y + x0 + middle_x).clamp(-2.0, width + 1.0).flatten()
    row = (yx * x + yy * y + y0 + middle_y).clamp(-2.0, height + 1.0).flatten()
    left, top = column.floor(), row.floor()
    right_share, bottom_share = column - left, row - top

    indices, weights = [], []
    for down, row_share in ((0, 1 - bottom_share), (1, bottom_share)):
        for across, column_share in ((0, 1 - right_share), (1, right_share)):
            r, c = top + down, left + across
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            index = r.clamp(0, height - 1) * width + c.clamp(0, width - 1)
            indices.append(index.to(torch.int64))
            weights.append(row_share * column_share * inside)
    return torch.stack(indices), torch.stack(weights)


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise ArgumentError(f"{name} must be a finite number, got {value}")
    return float(value)
