"""Blur: a Gaussian, a straight motion, or a kernel from a file."""

import math
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from invprob.arrays import Contents, carry, read_plane
from invprob.errors import ArgumentError
from invprob.operators.checks import finite, pixel_axes, positive
from invprob.operators.convolution import Border, Convolved
from invprob.registry import register
from invprob.types import Shape

_BORDER = "beyond the border: the image repeated, mirrored, or nothing, which loses the margin"


@register.operator("gaussian-blur")
class GaussianBlur(Convolved):
    """Blur with a Gaussian.

        y = kernel ⊛ x,   kernel[i, j] ∝ exp(-(i² + j²) / 2 sigma²) for |i|, |j| <= r

    Each channel is convolved with the kernel, whose sum is 1 and whose radius r is the whole part
    of 4 sigma + 1/2. Measurements have the shape of the image; with the border "valid" they have 2
    r rows and columns less.

    Raises:
        ArgumentError: sigma is not above 0, or the kernel is larger than the image.
    """

    def __init__(
        self,
        image_shape: Shape,
        sigma: Annotated[float, "standard deviation of the kernel in pixels, above 0"],
        border: Annotated[Border, _BORDER] = "reflect",
    ) -> None:
        _, height, width = pixel_axes(image_shape)
        self.sigma = positive("sigma", sigma)
        radius = int(4 * self.sigma + 0.5)
        largest = (min(height, width) - 1) // 2
        below = (largest + 0.5) / 4
        remedy = f"sigma {sigma:g} makes too large a kernel; use one below {below:.3g}"
        reach = min(radius, largest + 1)  # a kernel that does not fit is refused, so cut it here
        steps = torch.arange(-reach, reach + 1, dtype=torch.float64, device="cpu")
        profile = torch.exp(-((steps / self.sigma) ** 2) / 2)
        profile = profile / profile.sum()
        super().__init__(image_shape, torch.outer(profile, profile), border, remedy)

    @classmethod
    def illustration(cls, image_shape: Shape) -> "GaussianBlur":
        """With sigma a fortieth of the shorter side."""
        return cls(image_shape, sigma=min(image_shape[1:]) / 40)

    @classmethod
    def example(cls) -> "GaussianBlur":
        """With sigma 0.6, on 8 x 8 colour images."""
        return cls((3, 8, 8), sigma=0.6)

    def extra_repr(self) -> str:
        """The shapes and the options."""
        return f"{super().extra_repr()}, sigma={self.sigma}"


@register.operator("motion-blur")
class MotionBlur(Convolved):
    """Blur by a straight, uniform motion of the camera.

        y = kernel ⊛ x,   kernel[i, j] = mean over (u, v) on a segment of
                                         max(0, 1 - |u - j|) · max(0, 1 - |v - i|)

    The segment has the given length and angle and is centred at (0, 0). This is the mean of the
    linearly interpolated image along the motion, integrated exactly. Measurements have the shape of
    the image; with the border "valid" they have one row and column less than the kernel.

    Raises:
        ArgumentError: the length is not above 0, the angle is not finite, or the kernel is larger
            than the image.
    """

    def __init__(
        self,
        image_shape: Shape,
        length: Annotated[float, "length of the motion in pixels, above 0"],
        degrees: Annotated[float, "angle of the motion, counter-clockwise from the rows"] = 0,
        border: Annotated[Border, _BORDER] = "reflect",
    ) -> None:
        _, height, width = pixel_axes(image_shape)
        self.length, self.degrees = positive("length", length), finite("degrees", degrees)
        remedy = f"length {length:g} makes too large a kernel; use a shorter motion"
        # A kernel that does not fit is refused below; a longer one need not be computed.
        kernel = motion_kernel(min(self.length, 1.5 * (height + width)), self.degrees)
        super().__init__(image_shape, kernel, border, remedy)

    @classmethod
    def illustration(cls, image_shape: Shape) -> "MotionBlur":
        """Over an eighth of the shorter side at 30 degrees."""
        return cls(image_shape, length=min(image_shape[1:]) / 8, degrees=30.0)

    @classmethod
    def example(cls) -> "MotionBlur":
        """Over two pixels at 30 degrees, on 8 x 8 colour images."""
        return cls((3, 8, 8), length=2.0, degrees=30.0)

    def extra_repr(self) -> str:
        """The shapes and the options."""
        return f"{super().extra_repr()}, length={self.length}, degrees={self.degrees}"


@register.operator("blur")
class Blur(Convolved):
    """Blur with a kernel of your own.

        y[i, j] = Σ kernel[k, l] · x[i + rows // 2 - k, j + columns // 2 - l]

    This is a true convolution: a point becomes the kernel. The kernel is a `.npy` file, a picture
    (black is 0, white is 1), nested lists, or an array. It is read once; the spec holds the kernel
    itself, not the name of its file. Measurements have the shape of the image; with the border
    "valid" they have one row and column less than the kernel.

    Raises:
        ArgumentError: the file is missing or unreadable; the kernel is larger than the image, holds
            values that are not finite, or is zero everywhere; or its sum is zero and it is to be
            divided by it.
    """

    def __init__(
        self,
        image_shape: Shape,
        kernel: Annotated[Contents, ".npy file or picture that holds the kernel"],
        border: Annotated[Border, _BORDER] = "reflect",
        normalise: Annotated[
            Literal["sum", "none"], "divide the kernel by its sum, or use it as it is"
        ] = "sum",
    ) -> None:
        plane = read_plane("kernel", kernel)
        self._kernel, self.normalise = carry(plane), normalise
        size, total = float(np.abs(plane).sum()), float(plane.sum())
        if size == 0:
            raise ArgumentError("kernel is zero everywhere; nothing would be measured")
        if normalise == "sum":
            if abs(total) < 1e-9 * size:
                raise ArgumentError(
                    f"kernel sums to {total:.3g} and cannot be divided by that; take it as it is "
                    "with normalise='none'"
                )
            plane = plane / total
        remedy = f"kernel has {plane.shape[0]} x {plane.shape[1]} pixels; cut it to the image"
        super().__init__(image_shape, torch.from_numpy(plane.copy()), border, remedy)

    def carried(self) -> dict[str, str]:
        """The kernel itself, so that it can be rebuilt where its file is not."""
        return {"kernel": self._kernel}

    @classmethod
    def illustration(cls, image_shape: Shape) -> "Blur":
        """A disc, as of a lens that is out of focus."""
        radius = max(1, min(image_shape[1:]) // 30)
        y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
        return cls(image_shape, kernel=(np.hypot(y, x) <= radius + 0.5).astype(float))

    @classmethod
    def example(cls) -> "Blur":
        """A lopsided kernel of 3 x 3 pixels, on 8 x 8 colour images."""
        return cls((3, 8, 8), kernel=[[0.0, 1.0, 0.0], [2.0, 8.0, 1.0], [0.0, 3.0, 1.0]])

    def extra_repr(self) -> str:
        """The shapes and the options."""
        return f"{super().extra_repr()}, normalise={self.normalise!r}"


def motion_kernel(length: float, degrees: float) -> Tensor:
    """The bilinear weights (float64) along a centred segment of that length and angle; sum 1.

    The segment crosses rows and columns of pixel centres. Between two crossings each weight is a
    quadratic polynomial, which Simpson's rule integrates exactly.
    """
    # The angle is reduced to [0, 90) and the kernel rotated back, so that straight lines are exact.
    quarters, rest = divmod(degrees, 90.0)
    ends = (
        length / 2 * math.cos(math.radians(rest)),
        length / 2 * math.sin(math.radians(rest)),
    )
    knots = [-1.0, 1.0]  # x = ends[0]·t to the right and y = ends[1]·t upwards
    for end in ends:
        reach = math.ceil(end)
        knots += [k / end for k in range(-reach, reach + 1) if end > 0 and abs(k) < end]
    t = torch.tensor(sorted(knots), dtype=torch.float64, device="cpu")
    pieces = t.diff()
    nodes = torch.cat([t[:-1], t[:-1] + pieces / 2, t[1:]])
    shares = torch.cat([pieces, 4 * pieces, pieces]) / 12
    half_width, half_height = (math.ceil(end - 1e-9) for end in ends)
    columns = torch.arange(-half_width, half_width + 1, dtype=torch.float64, device="cpu")
    # Upwards is first.
    rows = torch.arange(half_height, -half_height - 1, -1, dtype=torch.float64, device="cpu")
    across = (1 - (ends[0] * nodes - columns[:, None]).abs()).clamp(min=0)
    down = (1 - (ends[1] * nodes - rows[:, None]).abs()).clamp(min=0)
    return torch.rot90((down * shares) @ across.T, int(quarters) % 2)
