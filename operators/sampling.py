"""What geometric transforms have in common: an output pixel is a weighted sum of input pixels.

Pixels are unit squares, and the centre of the image is the centre of the grid
(`align_corners=False`). All channels are treated alike. Outside the image the value is 0, the
middle grey of [-1, 1], so that the transforms are linear. The adjoint is the exact transpose. It is
not the reverse transform, which differs from it by the interpolation.
"""

from abc import ABC
from collections.abc import Callable
from typing import Annotated, Literal, TypeAlias

import torch
from torch import Tensor

from invprob.operators.base import LinearOperator
from invprob.operators.checks import pixel_axes
from invprob.operators.units import pixels, where_observed
from invprob.types import Images, Measured, Shape

Sampling: TypeAlias = Annotated[
    Literal["bilinear", "bicubic"],
    "interpolation between 2 x 2 pixels, or between 4 x 4 for sharper results",
]
# Takes x and y of the output's pixels, gives those of the input at which to read: float64, counted
# from the centre in pixels, x to the right and y down.
Positions: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class Resampled(LinearOperator, ABC):
    """An operator whose output pixels are fixed weighted sums of 4 or 16 input pixels each.

    "bilinear" weighs 2 x 2 pixels; "bicubic" weighs 4 x 4 by Keys' cubic convolution with a = -1/2
    (IEEE Trans. ASSP 29(6), 1981), which reproduces quadratic polynomials.
    """

    exact = ("weights",)

    indices: Tensor  # (taps, height·width) int64 into the flattened image
    weights: Tensor  # (taps, height·width) float64, zero where the input pixel lies outside

    def __init__(self, image_shape: Shape, positions: Positions, sampling: str) -> None:
        super().__init__(image_shape, image_shape)
        _, height, width = pixel_axes(self.image_shape)
        y, x = torch.meshgrid(*map(centred, (height, width)), indexing="ij")
        x, y = positions(x, y)
        indices, weights = taps(
            height,
            width,
            (x + (width - 1) / 2).flatten(),
            (y + (height - 1) / 2).flatten(),
            _KERNELS[sampling],
        )
        self.register_buffer("indices", indices, persistent=False)
        self.register_buffer("weights", weights, persistent=False)

    def observed(self) -> Tensor:
        """Pixels that read some of the image."""
        _, height, width = self.measurement_shape
        seen = (self.weights != 0).any(0).cpu().view(height, width)
        return seen.expand(1, *self.measurement_shape)

    def units(self) -> Tensor:
        """Pixels that read some of the image, all channels together."""
        return where_observed(pixels(self.measurement_shape), self)

    def forward(self, image: Images) -> Measured:
        """Sum the weighted neighbours of each output pixel."""
        flat = image.flatten(2)
        weights = self.weights.to(image.dtype)
        mixed = torch.zeros_like(flat)
        for index, weight in zip(self.indices, weights, strict=True):
            mixed = mixed + flat.gather(2, index.expand_as(flat)) * weight
        return mixed.view(image.shape)

    def adjoint(self, measurement: Measured) -> Images:
        """Give each input pixel its weighted share of the output pixels that read it."""
        flat = measurement.flatten(2)
        weights = self.weights.to(measurement.dtype)
        image = torch.zeros_like(flat)
        for index, weight in zip(self.indices, weights, strict=True):
            image = image.scatter_add(2, index.expand_as(flat), flat * weight)
        return image.view(measurement.shape)


def centred(length: int) -> Tensor:
    """Where the pixels of a row lie, in float64, counted from its centre."""
    return torch.arange(length, dtype=torch.float64, device="cpu") - (length - 1) / 2


def taps(
    height: int, width: int, column: Tensor, row: Tensor, kernel: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Which pixels are read at these places (pixels,), and with which weights: (taps, pixels) each.

    Computed in float64; a pixel outside the image gets weight zero and an arbitrary valid index,
    and a place that is NaN reads nothing.
    """
    rows, row_weights = line_taps(height, row, kernel)
    columns, column_weights = line_taps(width, column, kernel)
    indices = rows.unsqueeze(1) * width + columns.unsqueeze(0)
    weights = row_weights.unsqueeze(1) * column_weights.unsqueeze(0)
    return indices.flatten(0, 1), weights.flatten(0, 1)


def linear_kernel(share: Tensor) -> Tensor:
    """Weights of the two pixels around a place, `share` after the first: (2, *share)."""
    return torch.stack([1 - share, share])


def cubic_kernel(share: Tensor) -> Tensor:
    """Keys' weights (a = -1/2) of the four pixels around a place, `share` after the second."""
    square, cube = share**2, share**3
    return torch.stack(
        [
            -0.5 * share + square - 0.5 * cube,
            1 - 2.5 * square + 1.5 * cube,
            0.5 * share + 2 * square - 1.5 * cube,
            -0.5 * square + 0.5 * cube,
        ]
    )


_KERNELS = {"bilinear": linear_kernel, "bicubic": cubic_kernel}


def line_taps(
    length: int, place: Tensor, kernel: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Which pixels of a line are read at these places, and their weights: (taps, places) each."""
    # Whatever lies further out than the kernel reads zeros; the clamp keeps its index within int64.
    # Rounded, so that another machine's last digits leave the weights and the fingerprint alone.
    place = place.nan_to_num(nan=-4.0).clamp(-4.0, length + 3.0).round(decimals=10)
    first = place.floor()
    weights = kernel(place - first)
    offsets = torch.arange(len(weights), dtype=place.dtype, device=place.device) - (
        len(weights) // 2 - 1
    )
    index = first + offsets.unsqueeze(1)
    inside = (index >= 0) & (index < length)
    return index.clamp(0, length - 1).to(torch.int64), weights * inside
