"""Line integrals of an image, whatever lines a scanner measures: Joseph's method.

A line is sampled once in each row, or in each column if it is closer to the horizontal, and
interpolated linearly between two pixels. The weights of a view are computed when it is reached, so
that memory grows with the image and the measurement only. Source: Joseph, IEEE Trans. Medical
Imaging 1(3), 1982.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.fast.linear_map import linear_map
from invprob.indices import indices
from invprob.kinds import shown
from invprob.operators.base import LinearOperator
from invprob.operators.checks import finite, pixel_axes
from invprob.operators.lists import read_numbers
from invprob.operators.sampling import centred
from invprob.operators.units import along
from invprob.types import Images, Measured, Shape

# Whether a sinogram is transposed is judged on a coarse grid, within a fraction of a second.
_COARSE_CELLS, _COARSE_VIEWS, _COARSE_STEPS = 32, 32, 12
_CLEARLY = 2.0  # times the misfit of the exchanged axes
_EXPLAINED = 0.02  # a misfit below which the sinogram is right as it is

Degrees: TypeAlias = Annotated[
    str | Sequence[float] | None, "the angles themselves, in degrees, such as '0 45 90'"
]
Axis: TypeAlias = Annotated[
    float,
    "where the rotation axis is seen on the detector, in detector pixels from its middle, "
    "positive towards higher numbers",
]
Origin: TypeAlias = Annotated[
    str | Sequence[float],
    "where the rotation axis stands in the image, in pixels to the right of its middle and "
    "below it, such as '0.5 0.5'",
]


class Lines(NamedTuple):
    """The lines X cos + Y sin = s of one view.

    X counts pixels to the right of the rotation axis, Y those above it.
    """

    cos: Tensor  # (detectors,) float64, like the others
    sin: Tensor
    s: Tensor


class LineIntegrals(LinearOperator, ABC):
    """An operator that integrates each channel along lines, some for each view.

    An author writes `lines` and `coarser`. The measurement is (channels, views, detectors).

    Args:
        image_shape: (channels, height, width).
        degrees: the angle of each view.
        detectors: number of detector pixels.
        axis: see `Axis`.
        origin: see `Origin`.

    Raises:
        ArgumentError: there is no detector pixel, or an option is not finite.
    """

    degrees: tuple[float, ...]
    axis: float
    origin: tuple[float, float]

    def __init__(
        self,
        image_shape: Shape,
        degrees: tuple[float, ...],
        detectors: int,
        axis: float,
        origin: str | Sequence[float],
    ) -> None:
        channels, *_ = pixel_axes(image_shape)
        if detectors < 1:
            raise ArgumentError(f"detectors must be at least 1, got {detectors}")
        super().__init__(image_shape, (channels, len(degrees), detectors))
        self.degrees, self.axis, self.origin = degrees, finite("axis", axis), read_origin(origin)

    @abstractmethod
    def lines(self, view: int) -> Lines:
        """The line that each detector pixel measures.

        Args:
            view: the number of the view.
        """

    @abstractmethod
    def coarser(self, pixel: float, views: Sequence[int], detectors: int) -> "LineIntegrals":
        """The same scanner with fewer and larger pixels.

        Args:
            pixel: the side of a pixel of the new image, and the number of detector pixels that one
                new detector pixel covers.
            views: the numbers of the views that are kept.
            detectors: number of detector pixels.

        Returns:
            A scanner of images with one channel.
        """

    def units(self) -> Tensor:
        """Whole views, all channels together."""
        return along(self.measurement_shape, 1, indices(len(self.degrees)))

    def forward(self, image: Images) -> Measured:
        """Sum the samples of each line, view by view."""
        return linear_map(image, self._project, self.adjoint)

    def adjoint(self, measurement: Measured) -> Images:
        """Smear each value over the pixels of its line, view by view."""
        return linear_map(measurement, self._smear, self.forward)

    def doubts(self, measurement: Measured) -> tuple[str, ...]:
        """Whether a square sinogram is explained much better once its two axes are exchanged."""
        _, views, cells = self.measurement_shape
        if views != cells or len(measurement) == 0:
            return ()
        first = measurement[0].to("cpu", torch.float64).mean(0)
        straight, exchanged = self._coarse_misfits(torch.stack([first, first.T])[:, None])
        if straight < max(_CLEARLY * exchanged, _EXPLAINED):
            return ()
        (name,) = self.names()
        return (
            f"the sinogram looks transposed: {name} reads (channels, views, detectors), and an "
            f"image explains all but {straight:.0%} of this one, but all but {exchanged:.1%} of it "
            "with the last two axes exchanged; give values.swapaxes(-1, -2)",
        )

    def extra_repr(self) -> str:
        """The shapes and the angles."""
        few = len(self.degrees) <= 8
        return f"{super().extra_repr()}, degrees={self.degrees}" if few else super().extra_repr()

    def check_sight(self) -> None:
        """Raise `ArgumentError` where no line of any view meets the image."""
        _, height, width = self.image_shape
        for view in range(len(self.degrees)):
            cos, sin, s = self._from_the_middle(view)
            if bool((s.abs() < (1 + height * sin.abs() + width * cos.abs()) / 2).any()):
                return
        right, below = self.origin
        raise ArgumentError(
            f"axis {self.axis:g} and origin {right:g} {below:g} leave the image beside the "
            f"{self.measurement_shape[2]} detector pixels in every view; both are in pixels from "
            "the middle"
        )

    def places(self) -> tuple[Tensor, Tensor]:
        """X and Y of each pixel, counted from the rotation axis, (height, width) float64."""
        _, height, width = self.image_shape
        right, below = self.origin
        y, x = torch.meshgrid(below - centred(height), centred(width) - right, indexing="ij")
        return x, y

    def _from_the_middle(self, view: int) -> Lines:
        """The lines of a view, counted from the middle of the image."""
        right, below = self.origin
        cos, sin, s = self.lines(view)
        return Lines(cos, sin, s + right * cos - below * sin)

    def _samples(self, like: Tensor) -> Iterator[tuple[int, slice, "_Samples"]]:
        """For each view and run of detector pixels the samples of their lines."""
        _, height, width = self.image_shape
        for view in range(len(self.degrees)):
            lines = self._from_the_middle(view)
            upright = lines.cos.abs() >= lines.sin.abs()
            start = 0
            for kind, length in zip(*map(Tensor.tolist, _runs(upright)), strict=True):
                run = slice(start, start + length)
                chosen = Lines(*(part[run].to(like.device) for part in lines))
                yield view, run, _sampled(chosen, kind, height, width, like)
                start += length

    def _project(self, image: Images) -> Measured:
        sinogram = image.new_empty(len(image), *self.measurement_shape)
        rows, columns = _surrounded(image), _surrounded(image.transpose(2, 3))
        for view, run, line in self._samples(image):
            source = rows if line.upright else columns
            index = line.before.expand(*source.shape[:2], -1, -1)
            samples = torch.lerp(source.gather(3, index), source.gather(3, index + 1), line.share)
            sinogram[:, :, view, run] = samples.sum(2) * line.length
        return sinogram

    def _smear(self, measurement: Measured) -> Images:
        channels, height, width = self.image_shape
        rows = _surrounded(measurement.new_zeros(len(measurement), channels, height, width))
        columns = _surrounded(measurement.new_zeros(len(measurement), channels, width, height))
        for view, run, line in self._samples(measurement):
            target = rows if line.upright else columns
            values = (measurement[:, :, view, run] * line.length).unsqueeze(2)
            second = values * line.share
            index = line.before.expand_as(second)
            target.scatter_add_(3, index, values - second)
            target.scatter_add_(3, index + 1, second)
        return rows[..., 1:-2] + columns[..., 1:-2].transpose(2, 3)

    def _coarse_misfits(self, sinograms: Tensor) -> list[float]:
        """The shares of square sinograms, by their norm, that no image of a coarse grid explains.

        Args:
            sinograms: (batch, 1, views, detectors), of one channel.
        """
        cells = sinograms.shape[3]
        few, views = min(cells, _COARSE_CELLS), min(cells, _COARSE_VIEWS)
        chosen = [view * (cells - 1) // max(views - 1, 1) for view in range(views)]
        coarse = self.coarser(cells / few, chosen, few)
        values = nn.functional.adaptive_avg_pool2d(sinograms[:, :, chosen], (views, few))
        left = values - coarse(coarse.pinv(values, iterations=_COARSE_STEPS))
        norms = values.flatten(1).norm(dim=1).clamp_min(torch.finfo(values.dtype).tiny)
        shares: list[float] = (left.flatten(1).norm(dim=1) / norms).tolist()
        return shares


class _Samples(NamedTuple):
    """Each line reads two pixels in every row (or column, where it is not upright)."""

    upright: bool
    before: Tensor  # (steps, lines) int64, the first pixel in a row that `_surrounded` gives
    share: Tensor  # (steps, lines), what the second pixel weighs; the first weighs the rest
    length: Tensor  # (lines,) of a line between two rows


def _sampled(lines: Lines, upright: bool, height: int, width: int, like: Tensor) -> _Samples:
    """Where lines, counted from the middle of the image, cross its rows (or columns)."""
    cos, sin, s = lines
    # Rows: X = (s - Y sin)/cos, where image rows run downwards, Y = -row.
    lead, other = (cos, -sin) if upright else (-sin, cos)
    steps, length = (height, width) if upright else (width, height)
    across = centred(steps).to(like.device).unsqueeze(1)
    place = s / lead + ((length - 1) / 2 - across * (other / lead))
    place = place.clamp_(-1, length)  # further out there is nothing to read
    before = place.floor()
    share = place.sub_(before).to(like)
    return _Samples(upright, before.to(torch.int64).add_(1), share, (1 / lead.abs()).to(like))


def _runs(values: Tensor) -> tuple[Tensor, Tensor]:
    """Runs of equal values, and their lengths."""
    kinds, lengths = torch.unique_consecutive(values, return_counts=True)
    return kinds, lengths


def _surrounded(image: Tensor) -> Tensor:
    """One zero before each row and two after, so that lines may miss it."""
    return nn.functional.pad(image, (1, 2))


def read_angles(
    name: str, turn: float, views: int | None, degrees: str | Sequence[float] | None
) -> tuple[float, ...]:
    """The angles of an operator: given ones, or `views` of them spread evenly over `turn` degrees.

    Raises `ArgumentError` where both are given or none is, or no angle is left.
    """
    if (views is None) == (degrees is None):
        raise ArgumentError(
            f"{name} needs either views or degrees, got views={views}, degrees={shown(degrees)}; "
            f"views=60 spreads 60 angles over {turn:g} degrees"
        )
    if degrees is not None:
        return read_numbers("degrees", degrees)
    assert views is not None
    if views < 1:
        raise ArgumentError(f"views must be at least 1, got {views}")
    return tuple(turn * view / views for view in range(views))


def read_origin(origin: str | Sequence[float]) -> tuple[float, float]:
    """Two numbers, to the right and below; raises `ArgumentError` for anything else."""
    numbers = read_numbers("origin", origin)
    if len(numbers) != 2:
        raise ArgumentError(
            f"origin must be two numbers, to the right and below, such as '0.5 0.5', got {origin!r}"
        )
    return numbers[0], numbers[1]


def direction(degrees: float) -> tuple[float, float]:
    """Cosine and sine, exact at multiples of 90 degrees."""
    quarters, rest = divmod(degrees, 90.0)
    cos, sin = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    for _ in range(int(quarters) % 4):
        cos, sin = -sin, cos
    return cos, sin
