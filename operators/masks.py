"""Inpainting: some pixels are seen, the others are not.

A x = x where the mask says so, and 0, mid-grey, elsewhere; the same pixels in all channels. The
measurement keeps the image's shape and is not rescaled, also where the mask is random: it is a
picture, so that perceptual terms apply, and a noise's sigma means grey values.
"""

import itertools
import math
from abc import ABC
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from invprob.arrays import Contents, carry, read_plane
from invprob.draws import permutation, uniform
from invprob.errors import ArgumentError
from invprob.fast.derived import Derived
from invprob.indices import indices
from invprob.operators.base import LinearOperator
from invprob.operators.checks import part_of, pixel_axes, seeded
from invprob.operators.units import NEVER, blocks, pixels
from invprob.registry import register
from invprob.types import Images, Measured, Shape


class Masked(LinearOperator, ABC):
    """Show some pixels, and 0 in place of the others: A x = seen ⊙ x, a projection."""

    pointwise = True

    seen: Tensor  # bool, (height, width) or the image's shape

    def __init__(self, image_shape: Shape, seen: Tensor) -> None:
        super().__init__(image_shape, image_shape)
        self.register_buffer("seen", seen, persistent=False)
        self._cast = Derived()

    def observed(self) -> Tensor:
        """The elements that are shown."""
        return self.seen.cpu().expand(1, *self.image_shape)

    def units(self) -> Tensor:
        """Pixels that are shown; beside large holes blocks, because a hole is judged by holes."""
        shape, seen = self.measurement_shape, self.seen.cpu()
        labels = blocks(shape, block_side(seen)) if seen.ndim == 2 else pixels(shape)
        return torch.where(seen, labels, NEVER)

    def forward(self, image: Images) -> Measured:
        """The image times the mask."""
        return image * self._cast.of(self.seen, image)

    def adjoint(self, measurement: Measured) -> Images:
        """The measurement times the mask: the operator is a projection."""
        return measurement * self._cast.of(self.seen, measurement)

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """The measurement times the mask."""
        return self.adjoint(measurement)

    def norm(self, *, iterations: int = 1000, tolerance: float = 1e-7, seed: int = 0) -> float:
        """1, because at least one pixel is shown."""
        return 1.0

    def extra_repr(self) -> str:
        """The shapes and how much is seen."""
        return f"{super().extra_repr()}, seen={float(self.seen.double().mean()):.3g}"


@register.operator("box-mask")
class BoxMask(Masked):
    """Hide a box of pixels (inpainting).

        y[c, i, j] = x[c, i, j] outside the box, 0 inside

    The box has round(share · H) rows and round(share · W) columns. Measurements have the shape of
    the image.

    Raises:
        ArgumentError: the share is outside (0, 1), hides no pixel or all, or x or y is outside [0,
            1].
    """

    def __init__(
        self,
        image_shape: Shape,
        share: Annotated[
            float, "length of the box's sides, as a share of the image's sides, in (0, 1)"
        ] = 0.5,
        x: Annotated[
            float, "horizontal place of the box, from 0 (left border) to 1 (right border)"
        ] = 0.5,
        y: Annotated[
            float, "vertical place of the box, from 0 (top border) to 1 (bottom border)"
        ] = 0.5,
    ) -> None:
        _, height, width = pixel_axes(image_shape)
        _share("share", share)
        for name, place in (("x", x), ("y", y)):
            if not 0 <= place <= 1:
                raise ArgumentError(f"{name} must be a number in [0, 1], got {place}")
        self.share, self.x, self.y = share, x, y
        rows, columns = round(share * height), round(share * width)
        if rows * columns in (0, height * width):
            raise ArgumentError(
                f"share {share} hides {rows} x {columns} of {height} x {width} pixels; choose one "
                "that hides some and leaves some"
            )
        top, left = round(y * (height - rows)), round(x * (width - columns))
        seen = torch.ones(height, width, dtype=torch.bool, device="cpu")
        seen[top : top + rows, left : left + columns] = False
        super().__init__(image_shape, seen)

    @classmethod
    def example(cls) -> "BoxMask":
        """Half of each side, in the middle of 8 x 8 colour images."""
        return cls((3, 8, 8))


@register.operator("random-mask")
class RandomMask(Masked):
    """Show random pixels, the same ones in all channels (inpainting).

        y[c, i, j] = x[c, i, j] where pixel (i, j) is shown, else 0

    m = round(ratio · H·W) pixels are shown: the first m of `randperm(H·W)`, drawn from
    `torch.Generator().manual_seed(seed)` on the CPU. Measurements have the shape of the image. They
    are not rescaled, so that E||Ax||² = ratio · ||x||².

    Raises:
        ArgumentError: the ratio is outside (0, 1], or leaves no pixel.
    """

    def __init__(
        self,
        image_shape: Shape,
        ratio: Annotated[float, "share of the pixels that are shown, in (0, 1]"],
        seed: int = 0,
    ) -> None:
        _, height, width = pixel_axes(image_shape)
        m = part_of(height * width, ratio, "pixels")
        self.ratio, self.seed = ratio, seed
        seen = torch.zeros(height * width, dtype=torch.bool, device="cpu")
        seen[permutation(height * width, seeded(seed))[:m]] = True
        super().__init__(image_shape, seen.view(height, width))

    @classmethod
    def example(cls) -> "RandomMask":
        """A third of the pixels of 8 x 8 colour images."""
        return cls((3, 8, 8), ratio=0.3)


@register.operator("stroke-mask")
class StrokeMask(Masked):
    """Hide free-form strokes, such as a brush or a scratch leaves (inpainting).

        y[c, i, j] = x[c, i, j] where pixel (i, j) is shown, else 0

    A stroke is a random walk of eight straight pieces. The round(hidden · H·W) pixels that are
    nearest to one of the strokes are hidden: the amount is exact, and the strokes are as broad as
    it takes. A seed gives the same strokes at every resolution. Measurements have the shape of the
    image. Source of the random walk: Yu et al., Free-Form Image Inpainting, arXiv:1806.03589.

    The walks are drawn from `torch.Generator().manual_seed(seed)` on the CPU: (strokes, 2 + 2·8)
    uniform numbers in float64, for the start of each stroke, and for the turn and length of each
    piece.

    Raises:
        ArgumentError: no pixel or every pixel would be hidden, or there are fewer than 1 or more
            than 100 strokes.
    """

    def __init__(
        self,
        image_shape: Shape,
        hidden: Annotated[float, "share of the pixels that are hidden, in (0, 1)"] = 0.2,
        strokes: Annotated[int, "number of strokes, from 1 to 100"] = 4,
        seed: int = 0,
    ) -> None:
        _, height, width = pixel_axes(image_shape)
        count = round(_share("hidden", hidden) * height * width)
        if count in (0, height * width):
            raise ArgumentError(
                f"hidden {hidden} of {height * width} pixels hides {count}; choose a share that "
                "hides some and leaves some"
            )
        if not 1 <= strokes <= 100:
            raise ArgumentError(f"strokes must be a whole number from 1 to 100, got {strokes}")
        self.hidden, self.strokes, self.seed = hidden, strokes, seed
        distances = stroke_distances(height, width, _walks(height, width, strokes, seed))
        nearest = distances.flatten().argsort(stable=True)[:count]
        seen = torch.ones(height * width, dtype=torch.bool, device="cpu")
        seen[nearest] = False
        super().__init__(image_shape, seen.view(height, width))

    @classmethod
    def example(cls) -> "StrokeMask":
        """A fifth of the pixels of 8 x 8 colour images."""
        return cls((3, 8, 8))


@register.operator("mask")
class Mask(Masked):
    """Show the pixels that a mask names (inpainting).

        y[c, i, j] = x[c, i, j] where mask[i, j] >= 1/2, else 0

    The mask has the height and width of the image and values from 0 (black, hidden) to 1 (white,
    shown). It is a picture, a `.npy` file, nested lists, or an array. It is read once; the spec
    holds the mask itself, not the name of its file. Measurements have the shape of the image. The
    commands `solve` and `measure` also take a mask of the size of the picture's file, which goes
    the way of the picture.

    Raises:
        ArgumentError: the file is missing or unreadable, the mask has another size or values
            outside [0, 1], or it shows no pixel.
    """

    def __init__(
        self,
        image_shape: Shape,
        mask: Annotated[Contents, "picture or .npy file: white (1) is shown, black (0) is hidden"],
    ) -> None:
        _, height, width = pixel_axes(image_shape)
        plane = read_plane("mask", mask)
        if plane.shape != (height, width):
            raise ArgumentError(
                f"mask is {plane.shape[0]} x {plane.shape[1]} pixels (height x width), but images "
                f"are {height} x {width}; resize one of them"
            )
        if plane.min() < 0 or plane.max() > 1:
            raise ArgumentError(
                f"mask must hold values from 0 (hidden) to 1 (seen), got {plane.min():.3g} to "
                f"{plane.max():.3g}; divide it by its largest value"
            )
        seen = plane >= 0.5
        if not seen.any():
            raise ArgumentError(
                f"mask shows no pixel: its values end at {plane.max():.3g}, and a pixel is seen "
                "from 1/2 on, where 1 is white; make white what is to be seen"
            )
        self._mask = carry(seen.astype(float))
        super().__init__(image_shape, torch.from_numpy(seen))

    def carried(self) -> dict[str, str]:
        """The mask itself, so that it can be rebuilt where its file is not."""
        return {"mask": self._mask}

    @classmethod
    def illustration(cls, image_shape: Shape) -> "Mask":
        """A disc in the middle is hidden."""
        _, height, width = pixel_axes(image_shape)
        y, x = np.ogrid[:height, :width]
        distance = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2)
        return cls(image_shape, mask=(distance > min(height, width) / 4).astype(float))

    @classmethod
    def example(cls) -> "Mask":
        """A checkered corner of 8 x 8 colour images is hidden."""
        rows = [[int(r + c >= 8 or (r + c) % 2 == 0) for c in range(8)] for r in range(8)]
        return cls((3, 8, 8), mask=rows)


def stroke_distances(height: int, width: int, walks: Tensor) -> Tensor:
    """The distance of each pixel's centre from the nearest piece of a stroke.

    The unit is the shorter side of the image. `walks` is (strokes, corners, 2): x and y of the
    corners in this unit.
    """
    unit = min(height, width)
    y, x = torch.meshgrid(
        (indices(height).double() + 0.5) / unit,
        (indices(width).double() + 0.5) / unit,
        indexing="ij",
    )
    nearest = torch.full((height, width), math.inf, dtype=torch.float64, device="cpu")
    for walk in walks.tolist():
        for (x0, y0), (x1, y1) in itertools.pairwise(walk):
            dx, dy = x1 - x0, y1 - y0
            along = ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy)
            along = along.clamp(0, 1)
            squared = (x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2
            nearest = torch.minimum(nearest, squared)
    return nearest.sqrt()


def block_side(seen: Tensor) -> int:
    """How large the blocks are that stand for what a mask hides: about half as large as its holes.

    It is three times the mean distance, along rows or columns, of a hidden pixel from the nearest
    one that is shown; at most a quarter of the shorter side. Where that distance is below two
    pixels, as in random masks, it is 1.
    """
    most = max(1, min(seen.shape) // 4)
    left, total = ~seen, 0
    count = int(left.sum())
    for _ in range(most):  # further away the side is at its largest anyway
        total += int(left.sum())
        near = torch.nn.functional.max_pool2d((~left)[None, None].float(), 3, stride=1, padding=1)
        left = left & (near[0, 0] == 0)
    mean = total / max(1, count)
    return 1 if mean < 2 else min(most, round(3 * mean))


def _walks(height: int, width: int, strokes: int, seed: int) -> Tensor:
    """Random walks that start in the image and bend by at most a quarter turn at each corner."""
    draws = uniform((strokes, 18), seeded(seed), torch.float64)
    unit = min(height, width)
    start = draws[:, :2] * draws.new_tensor([width / unit, height / unit])
    turns, lengths = draws[:, 2:10], 0.05 + 0.1 * draws[:, 10:]
    # The first piece points anywhere, each later one within a quarter turn of the one before it.
    spread = math.pi * draws.new_tensor([2.0] + [1.0] * 7)
    headings = ((turns - 0.5) * spread).cumsum(1)
    pieces = lengths[..., None] * torch.stack([headings.cos(), headings.sin()], -1)
    return torch.cat([start[:, None], start[:, None] + pieces.cumsum(1)], 1)


def _share(name: str, value: float) -> float:
    if not 0 < value < 1:  # NaN fails every comparison
        raise ArgumentError(f"{name} must be a number in (0, 1), got {value}")
    return value
