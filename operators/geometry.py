"""Rigid moves of the image: rotate, translate, scale, flip, crop."""

import math
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.operators.base import LinearOperator
from invprob.operators.checks import finite, pixel_axes
from invprob.operators.sampling import Positions, Resampled, Sampling
from invprob.operators.units import pixels
from invprob.registry import register
from invprob.types import Images, Measured, Shape


@register.operator("rotate")
class Rotate(Resampled):
    """Rotate the image counter-clockwise about its centre.

        y(u, v) = x(u cos θ - v sin θ, u sin θ + v cos θ)

    u counts pixels to the right of the centre, v those below it, and θ is the angle. Beyond the
    border of the image its value is 0, mid-grey. Multiples of 90 degrees are exact for square
    images. Measurements have the shape of the image.

    Raises:
        ArgumentError: the angle is not finite.
    """

    def __init__(
        self,
        image_shape: Shape,
        degrees: Annotated[float, "angle in degrees, counter-clockwise"],
        sampling: Sampling = "bilinear",
    ) -> None:
        self.degrees, self.sampling = finite("degrees", degrees), sampling
        quarters, rest = divmod(self.degrees, 90.0)
        cos, sin = math.cos(math.radians(rest)), math.sin(math.radians(rest))
        for _ in range(int(quarters) % 4):
            cos, sin = -sin, cos
        super().__init__(image_shape, linear_positions(cos, -sin, 0.0, sin, cos, 0.0), sampling)

    @classmethod
    def example(cls) -> "Rotate":
        """By 30 degrees, on 8 x 8 colour images."""
        return cls((3, 8, 8), degrees=30.0)

    def extra_repr(self) -> str:
        """The shapes and the options."""
        return f"{super().extra_repr()}, degrees={self.degrees}, sampling={self.sampling!r}"


@register.operator("translate")
class Translate(Resampled):
    """Shift the image.

        y(u, v) = x(u - dx, v - dy)

    u counts pixels to the right, v pixels downwards. Beyond the border of the image its value is 0,
    mid-grey. Shifts by whole pixels are exact. Measurements have the shape of the image.

    Raises:
        ArgumentError: dx or dy is not finite.
    """

    def __init__(
        self,
        image_shape: Shape,
        dx: Annotated[float, "shift to the right, in pixels"] = 0.0,
        dy: Annotated[float, "shift downwards, in pixels"] = 0.0,
        sampling: Sampling = "bilinear",
    ) -> None:
        self.dx, self.dy = finite("dx", dx), finite("dy", dy)
        self.sampling = sampling
        super().__init__(
            image_shape, linear_positions(1.0, 0.0, -self.dx, 0.0, 1.0, -self.dy), sampling
        )

    @classmethod
    def illustration(cls, image_shape: Shape) -> "Translate":
        """By a fifth of the width and an eighth of the height, upwards."""
        _, height, width = pixel_axes(image_shape)
        return cls(image_shape, dx=width // 5, dy=-(height // 8))

    @classmethod
    def example(cls) -> "Translate":
        """By a pixel and a half, on 8 x 8 colour images."""
        return cls((3, 8, 8), dx=1.5, dy=-1.0)

    def extra_repr(self) -> str:
        """The shapes and the options."""
        return f"{super().extra_repr()}, dx={self.dx}, dy={self.dy}, sampling={self.sampling!r}"


@register.operator("scale")
class Scale(Resampled):
    """Enlarge or shrink the image about its centre.

        y(u, v) = x(u / factor, v / factor)

    u and v count pixels from the centre. A factor below 1 shrinks the image and surrounds it by 0,
    mid-grey. Nothing is smoothed before shrinking, so that a factor below 1/2 skips pixels; take
    `area-downsample` for fewer pixels. Measurements have the shape of the image.

    Raises:
        ArgumentError: the factor is not a finite number above 0.
    """

    def __init__(
        self,
        image_shape: Shape,
        factor: Annotated[float, "enlargement, above 0; below 1 shrinks"],
        sampling: Sampling = "bilinear",
    ) -> None:
        self.factor, self.sampling = finite("factor", factor), sampling
        if self.factor <= 0 or not math.isfinite(1 / self.factor):
            raise ArgumentError(f"factor must be a number above 0, got {factor}; 1 changes nothing")
        back = 1 / self.factor
        super().__init__(image_shape, linear_positions(back, 0.0, 0.0, 0.0, back, 0.0), sampling)

    @classmethod
    def example(cls) -> "Scale":
        """By 1.5, on 8 x 8 colour images."""
        return cls((3, 8, 8), factor=1.5)

    def extra_repr(self) -> str:
        """The shapes and the options."""
        return f"{super().extra_repr()}, factor={self.factor}, sampling={self.sampling!r}"


@register.operator("flip")
class Flip(LinearOperator):
    """Mirror the image.

        y[c, i, j] = x[c, i, W - 1 - j]   (horizontal)
        y[c, i, j] = x[c, H - 1 - i, j]   (vertical)

    "both" does one after the other, which is half a turn. The operator is its own inverse and its
    own adjoint. Measurements have the shape of the image.
    """

    def __init__(
        self,
        image_shape: Shape,
        direction: Annotated[
            Literal["horizontal", "vertical", "both"],
            "left to right, top to bottom, or both (half a turn)",
        ] = "horizontal",
    ) -> None:
        pixel_axes(image_shape)
        super().__init__(image_shape, image_shape)
        self.direction = direction
        self._axes = {"horizontal": (3,), "vertical": (2,), "both": (2, 3)}[direction]

    def units(self) -> Tensor:
        """Pixels, all channels together."""
        return pixels(self.measurement_shape)

    def forward(self, image: Images) -> Measured:
        """Reverse the axes."""
        return image.flip(self._axes)

    def adjoint(self, measurement: Measured) -> Images:
        """Reverse the axes again."""
        return measurement.flip(self._axes)

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """Reverse the axes again."""
        return self.adjoint(measurement)

    def norm(self, *, iterations: int = 1000, tolerance: float = 1e-7, seed: int = 0) -> float:
        """1."""
        return 1.0

    @classmethod
    def example(cls) -> "Flip":
        """Left to right, on 8 x 8 colour images."""
        return cls((3, 8, 8))

    def extra_repr(self) -> str:
        """The shapes and the direction."""
        return f"{super().extra_repr()}, direction={self.direction!r}"


@register.operator("crop")
class Crop(LinearOperator):
    """Keep a rectangle of the image.

        y = x[:, top : top + height, left : left + width]

    Measurements have the shape (C, height, width). The adjoint surrounds the rectangle by zeros.

    Raises:
        ArgumentError: the rectangle does not lie inside the image.
    """

    def __init__(
        self,
        image_shape: Shape,
        height: Annotated[int, "number of rows that are kept"],
        width: Annotated[int, "number of columns that are kept"],
        top: Annotated[
            int | None, "number of rows above the rectangle; the default puts it in the middle"
        ] = None,
        left: Annotated[
            int | None, "number of columns to its left; the default puts it in the middle"
        ] = None,
    ) -> None:
        channels, rows, columns = pixel_axes(image_shape)
        self.top = _start("top", "height", top, height, rows)
        self.left = _start("left", "width", left, width, columns)
        super().__init__(image_shape, (channels, height, width))

    def units(self) -> Tensor:
        """Pixels, all channels together."""
        return pixels(self.measurement_shape)

    def forward(self, image: Images) -> Measured:
        """Cut the rectangle out."""
        _, height, width = self.measurement_shape
        part = image[..., self.top : self.top + height, self.left : self.left + width]
        return part.clone(memory_format=torch.contiguous_format)

    def adjoint(self, measurement: Measured) -> Images:
        """Surround the rectangle with zeros."""
        (_, rows, columns), (_, height, width) = self.image_shape, self.measurement_shape
        right, bottom = columns - self.left - width, rows - self.top - height
        padded: Images = nn.functional.pad(measurement, (self.left, right, self.top, bottom))
        return padded

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """Surround the rectangle with zeros."""
        return self.adjoint(measurement)

    def norm(self, *, iterations: int = 1000, tolerance: float = 1e-7, seed: int = 0) -> float:
        """1."""
        return 1.0

    @classmethod
    def illustration(cls, image_shape: Shape) -> "Crop":
        """The middle half of each side."""
        _, height, width = pixel_axes(image_shape)
        return cls(image_shape, height=max(1, height // 2), width=max(1, width // 2))

    @classmethod
    def example(cls) -> "Crop":
        """Four rows and three columns of 8 x 8 colour images."""
        return cls((3, 8, 8), height=4, width=3, top=1)

    def extra_repr(self) -> str:
        """The shapes and the corner."""
        return f"{super().extra_repr()}, top={self.top}, left={self.left}"


def linear_positions(xx: float, xy: float, x0: float, yx: float, yy: float, y0: float) -> Positions:
    """Read at (xx·x + xy·y + x0, yx·x + yy·y + y0)."""
    return lambda x, y: (xx * x + xy * y + x0, yx * x + yy * y + y0)


def _start(name: str, extent: str, start: int | None, length: int, whole: int) -> int:
    """Where the kept part of an axis begins."""
    if not 1 <= length <= whole:
        raise ArgumentError(f"{extent} must be from 1 to the image's {whole}, got {length}")
    start = (whole - length) // 2 if start is None else start
    if not 0 <= start <= whole - length:
        raise ArgumentError(
            f"{name} must be from 0 to {whole - length} for a {extent} of {length} of {whole} "
            f"pixels, got {start}; leave it out for the middle"
        )
    return start
