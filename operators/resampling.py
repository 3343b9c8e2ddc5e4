"""Operators for super-resolution, which make an image smaller.

They work along the rows and along the columns, A x = R x C', with small matrices R and C. So the
pseudo-inverse is R⁺ y C⁺' and the norm is ||R|| · ||C||.
"""

from abc import ABC
from typing import Annotated

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.indices import indices
from invprob.operators.base import LinearOperator
from invprob.operators.checks import finite, pixel_axes
from invprob.operators.units import pixels
from invprob.registry import register
from invprob.types import Images, Measured, Shape


class _Separable(LinearOperator, ABC):
    """An operator that multiplies each channel by one matrix from the left and one from the right.

    The two matrices hold about as many numbers as a channel divided by the factor.
    """

    exact = ("down", "across")

    down: Tensor  # (rows, height) float64
    across: Tensor  # (columns, width) float64

    def __init__(self, image_shape: Shape, down: Tensor, across: Tensor) -> None:
        channels = pixel_axes(image_shape)[0]
        super().__init__(image_shape, (channels, len(down), len(across)))
        self.register_buffer("down", down, persistent=False)
        self.register_buffer("across", across, persistent=False)

    def units(self) -> Tensor:
        """Pixels, all channels together."""
        return pixels(self.measurement_shape)

    def forward(self, image: Images) -> Measured:
        """R x C'."""
        reduced: Measured = self.down.to(image.dtype) @ image @ self.across.to(image.dtype).T
        return reduced

    def adjoint(self, measurement: Measured) -> Images:
        """R' y C."""
        dtype = measurement.dtype
        image: Images = self.down.to(dtype).T @ (measurement @ self.across.to(dtype))
        return image

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """R⁺ y C⁺'."""
        down, across = (torch.linalg.pinv(matrix) for matrix in (self.down, self.across))
        image: Images = down.to(measurement.dtype) @ (measurement @ across.to(measurement.dtype).T)
        return image

    def norm(self, *, iterations: int = 1000, tolerance: float = 1e-7, seed: int = 0) -> float:
        """||R|| · ||C||."""
        down, across = (torch.linalg.matrix_norm(m, ord=2) for m in (self.down, self.across))
        return float(down * across)


@register.operator("area-downsample")
class AreaDownsample(_Separable):
    """Shrink the image by averaging over areas (super-resolution).

        y[c, i, j] = mean of x[c] over the rectangle that the larger pixel (i, j) covers

    Measurements have round(H / factor) rows and round(W / factor) columns. A pixel that the
    rectangle covers in part has the weight of the part. Where the factor divides both sides, the
    rectangles are blocks of factor x factor pixels.

    Raises:
        ArgumentError: the factor is below 1, or leaves no row or no column.
    """

    def __init__(
        self,
        image_shape: Shape,
        factor: Annotated[float, "how many times smaller each side becomes, at least 1"],
    ) -> None:
        _, height, width = pixel_axes(image_shape)
        self.factor = factor
        down = area_weights(height, _reduced("height", height, factor))
        super().__init__(image_shape, down, area_weights(width, _reduced("width", width, factor)))

    @classmethod
    def example(cls) -> "AreaDownsample":
        """By 2.5, on 8 x 8 colour images."""
        return cls((3, 8, 8), factor=2.5)

    def extra_repr(self) -> str:
        """The shapes and the factor."""
        return f"{super().extra_repr()}, factor={self.factor}"


@register.operator("bicubic-downsample")
class BicubicDownsample(_Separable):
    """Shrink the image with an antialiased bicubic filter (super-resolution).

        y[c] = R x[c] C',   R[i, k] ∝ cubic((k + 1/2)/s - (i + 1/2)),   s = H / rows of y

    C is made in the same way from the columns, and the rows of both matrices sum to 1. cubic is
    Keys' kernel with a = -1/2. Pillow and PyTorch (`antialias=True`) shrink in the same way.
    Measurements have round(H / factor) rows and round(W / factor) columns. Source: Keys, IEEE
    Trans. ASSP 29(6), 1981.

    Raises:
        ArgumentError: the factor is below 1, or leaves no row or no column.
    """

    def __init__(
        self,
        image_shape: Shape,
        factor: Annotated[float, "how many times smaller each side becomes, at least 1"],
    ) -> None:
        _, height, width = pixel_axes(image_shape)
        self.factor = factor
        down = cubic_weights(height, _reduced("height", height, factor))
        super().__init__(image_shape, down, cubic_weights(width, _reduced("width", width, factor)))

    @classmethod
    def example(cls) -> "BicubicDownsample":
        """By 2, on 8 x 8 colour images."""
        return cls((3, 8, 8), factor=2.0)

    def extra_repr(self) -> str:
        """The shapes and the factor."""
        return f"{super().extra_repr()}, factor={self.factor}"


def area_weights(size: int, reduced: int) -> Tensor:
    """The share of each of `size` pixels in each of `reduced` larger ones: (reduced, size)."""
    # In units in which both grids are whole, the overlaps are whole numbers too.
    starts = indices(reduced)[:, None] * size
    pixels = indices(size) * reduced
    ends = torch.minimum(starts + size, pixels + reduced)
    overlap = (ends - torch.maximum(starts, pixels)).clamp(min=0)
    return overlap.to(torch.float64) / size


def cubic_weights(size: int, reduced: int) -> Tensor:
    """The weight of each of `size` pixels in each of `reduced` cubic ones: (reduced, size)."""
    scale = size / reduced
    centres = (indices(reduced).double()[:, None] + 0.5) * scale
    distance = ((indices(size).double() + 0.5 - centres) / scale).abs()
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
    return weights / weights.sum(1, keepdim=True)


def _reduced(name: str, size: int, factor: float) -> int:
    if finite("factor", factor) < 1:
        raise ArgumentError(f"factor must be at least 1, got {factor}; 1 changes nothing")
    reduced = round(size / factor)
    if reduced == 0:
        raise ArgumentError(
            f"factor {factor} leaves nothing of the {name} of {size} pixels; use at most {size}"
        )
    return reduced
