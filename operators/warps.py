"""Warps of the image: affine, perspective, elastic; sampled as `Resampled` says."""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor

from invprob.draws import normal
from invprob.errors import ArgumentError
from invprob.operators.checks import finite, pixel_axes, seeded
from invprob.operators.geometry import linear_positions
from invprob.operators.lists import Row, read_matrix
from invprob.operators.sampling import Resampled, Sampling
from invprob.registry import register
from invprob.types import Shape


@register.operator("affine")
class Affine(Resampled):
    """Move the image by an affine map: shear, stretch, rotation and shift in one.

        y(a u + b v + c, d u + e v + f) = x(u, v),   matrix = "a b c; d e f"

    u counts pixels to the right of the centre, v those below it. Beyond the border of the image its
    value is 0, mid-grey. Measurements have the shape of the image.

    Raises:
        ArgumentError: the matrix is not 2 x 3 or 2 x 2, finite and invertible.
    """

    def __init__(
        self,
        image_shape: Shape,
        matrix: Annotated[
            str | Sequence[Sequence[float]],
            "two rows of three numbers: where points go, in pixels, such as '1 0.2 0; 0 1 3'; "
            "without the third column nothing is shifted",
        ],
        sampling: Sampling = "bilinear",
    ) -> None:
        rows = read_matrix("matrix", matrix)
        if (len(rows), len(rows[0])) == (2, 2):
            rows = tuple((*row, 0.0) for row in rows)
        if (len(rows), len(rows[0])) != (2, 3):
            raise ArgumentError(
                "matrix must have two rows of three, such as '1 0.2 0; 0 1 3', or of two, which "
                f"shift nothing, got {len(rows)} x {len(rows[0])}"
            )
        self.rows, self.sampling = rows, sampling
        (xx, xy), (yx, yy) = _inverse([row[:2] for row in rows])
        dx, dy = rows[0][2], rows[1][2]
        x0, y0 = -(xx * dx + xy * dy), -(yx * dx + yy * dy)
        super().__init__(image_shape, linear_positions(xx, xy, x0, yx, yy, y0), sampling)

    @classmethod
    def example(cls) -> "Affine":
        """A shear with a shift, on 8 x 8 colour images."""
        return cls((3, 8, 8), matrix="1 0.3 0.5; 0.1 0.9 -1")

    def extra_repr(self) -> str:
        """The shapes and the options."""
        return f"{super().extra_repr()}, matrix={self.rows}, sampling={self.sampling!r}"


@register.operator("perspective")
class Perspective(Resampled):
    """View the image from another side (homography).

        y((a u + b v + c)/w, (d u + e v + f)/w) = x(u, v),   w = g u + h v + i,
        matrix = "a b c; d e f; g h i"

    u and v run from -1 to 1 between the outer edges of the image, u to the right and v down, so
    that a matrix serves images of every size. Beyond the border of the image its value is 0, mid-
    grey, and so is that of points at or behind the horizon, where w <= 0. Measurements have the
    shape of the image. Source: Hartley and Zisserman, Multiple View Geometry, 2nd edition, chapter
    2.

    Raises:
        ArgumentError: the matrix is not 3 x 3, finite and invertible.
    """

    def __init__(
        self,
        image_shape: Shape,
        matrix: Annotated[
            str | Sequence[Sequence[float]],
            "three rows of three numbers: where points go, such as '1 0 0; 0 1 0; 0.2 0 1'",
        ],
        sampling: Sampling = "bilinear",
    ) -> None:
        _, height, width = pixel_axes(image_shape)
        rows = read_matrix("matrix", matrix)
        if (len(rows), len(rows[0])) != (3, 3):
            raise ArgumentError(
                "matrix must have three rows of three, such as '1 0 0; 0 1 0; 0.2 0 1', got "
                f"{len(rows)} x {len(rows[0])}"
            )
        self.rows, self.sampling = rows, sampling
        back = _inverse(rows)

        def positions(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            u, v = x / (width / 2), y / (height / 2)
            across, down, depth = (a * u + b * v + c for a, b, c in back)
            # The forward w is 1/depth: what has none lies at or behind the horizon.
            depth = torch.where(depth > 0, depth, math.nan)
            return across / depth * (width / 2), down / depth * (height / 2)

        super().__init__(image_shape, positions, sampling)

    @classmethod
    def example(cls) -> "Perspective":
        """The right side further away, on 8 x 8 colour images."""
        return cls((3, 8, 8), matrix="1 0 0; 0.1 1 0; 0.3 0.1 1")

    def extra_repr(self) -> str:
        """The shapes and the options."""
        return f"{super().extra_repr()}, matrix={self.rows}, sampling={self.sampling!r}"


@register.operator("elastic")
class Elastic(Resampled):
    """Deform the image smoothly at random, as rubber or tissue deforms.

        y(p) = x(p + d(p))

    Each of the two components of d is white noise, smoothed by a Gaussian (periodically, by FFT),
    and scaled to a root mean square of `amplitude`. Beyond the border of the image its value is 0,
    mid-grey. The image may fold over where the amplitude exceeds the smoothness. Measurements have
    the shape of the image. Source: Simard, Steinkraus and Platt, ICDAR 2003.

    The noise is drawn from `torch.Generator().manual_seed(seed)` on the CPU: `randn(2, H, W)` in
    float64, the horizontal component first.

    Raises:
        ArgumentError: the amplitude is negative, or the smoothness is not above 0.
    """

    def __init__(
        self,
        image_shape: Shape,
        amplitude: Annotated[
            float, "root mean square of the shift in each direction, in pixels, at least 0"
        ] = 2.0,
        smoothness: Annotated[
            float, "distance over which pixels move together, in pixels, above 0"
        ] = 8.0,
        seed: int = 0,
        sampling: Sampling = "bilinear",
    ) -> None:
        _, height, width = pixel_axes(image_shape)
        self.amplitude = finite("amplitude", amplitude)
        self.smoothness = finite("smoothness", smoothness)
        if self.amplitude < 0:
            raise ArgumentError(f"amplitude must be at least 0 pixels, got {amplitude}")
        if self.smoothness <= 0:
            raise ArgumentError(f"smoothness must be above 0 pixels, got {smoothness}; try 8")
        self.seed, self.sampling = seed, sampling
        field = _smooth_field(height, width, self.smoothness, seed) * self.amplitude
        super().__init__(image_shape, lambda x, y: (x + field[0], y + field[1]), sampling)

    @classmethod
    def illustration(cls, image_shape: Shape) -> "Elastic":
        """By a fortieth of the shorter side or so, smooth over a tenth of it."""
        side = min(image_shape[1:])
        return cls(image_shape, amplitude=side / 40, smoothness=side / 10)

    @classmethod
    def example(cls) -> "Elastic":
        """By half a pixel or so, on 8 x 8 colour images."""
        return cls((3, 8, 8), amplitude=0.5, smoothness=2.0)

    def extra_repr(self) -> str:
        """The shapes and the options."""
        options = f"amplitude={self.amplitude}, smoothness={self.smoothness}, seed={self.seed}"
        return f"{super().extra_repr()}, {options}, sampling={self.sampling!r}"


def _inverse(rows: Sequence[Row]) -> list[list[float]]:
    """The inverse of a square matrix; raises `ArgumentError` where it has none."""
    forward = torch.tensor(rows, dtype=torch.float64, device="cpu")
    if not float(torch.linalg.cond(forward)) < 1e12:
        raise ArgumentError(
            f"matrix must be invertible, got {[list(row) for row in rows]}, which puts the plane "
            "on a line or a point; give rows that are not multiples of each other"
        )
    inverse: list[list[float]] = torch.linalg.inv(forward).tolist()
    return inverse


def _smooth_field(height: int, width: int, smoothness: float, seed: int) -> Tensor:
    """Two smoothed white noises, (2, height, width) float64, each of root mean square 1."""
    noise = normal((2, height, width), seeded(seed), torch.float64)
    down = torch.fft.fftfreq(height, dtype=torch.float64, device="cpu").unsqueeze(1)
    across = torch.fft.rfftfreq(width, dtype=torch.float64, device="cpu")
    # The Fourier transform of a Gaussian of this standard deviation; 1 at frequency zero.
    gain = torch.exp(-2 * (math.pi * smoothness) ** 2 * (down**2 + across**2))
    field: Tensor = torch.fft.irfft2(torch.fft.rfft2(noise) * gain, s=(height, width))
    return field / field.square().mean((1, 2), keepdim=True).sqrt()
