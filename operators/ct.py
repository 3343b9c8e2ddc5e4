"""Computed tomography: line integrals along parallel beams, and filtered back-projection."""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.fast.linear_map import linear_map
from invprob.indices import indices
from invprob.kinds import shown
from invprob.operators.base import LinearOperator
from invprob.operators.checks import finite, pixel_axes
from invprob.operators.frequencies import working
from invprob.operators.lists import read_numbers
from invprob.operators.sampling import centred, line_taps, linear_kernel
from invprob.operators.units import along
from invprob.registry import register
from invprob.types import Images, Measured, Shape

# Whether a sinogram is transposed is judged on a coarse grid, within a fraction of a second.
_COARSE_CELLS, _COARSE_VIEWS, _COARSE_STEPS = 32, 32, 12
_CLEARLY = 2.0  # times the misfit of the exchanged axes
_EXPLAINED = 0.02  # a misfit below which the sinogram is right as it is


@register.operator("ct")
class CT(LinearOperator):
    """Integrate the image along parallel beams from several angles (computed tomography).

        y[c, v, j] = ∫ x[c] along the line X cos θ + Y sin θ = s

    θ is the angle of view v. X counts pixels to the right of the rotation axis, Y those above it,
    and s is j minus the place of the axis on the detector. The measurement of a (C, H, W) image is
    (C, views, detectors). Lengths are in pixels, so that the norm is about √(views · H). Outside
    the image the value is 0.

    The axis stands in the middle of the image, between two pixels where a side is even, and is seen
    in the middle of the detector, at j = (detectors - 1)/2. ASTRA has the same convention. `axis`
    and `origin` move it. In a scan whose axis is seen at detector pixel a, `axis` is
    a - (detectors - 1)/2, and view θ + 180° is view θ mirrored about pixel a. `radon` of
    scikit-image turns about pixel (H // 2, W // 2) and sees it at detector pixel detectors // 2:
    give `axis=0.5` where the number of detectors is even, and `origin="0.5 0.5"` where the sides of
    the image are even. Its sinograms are (detectors, views): transpose them.

    Give either `views` or `degrees`. A line is sampled once in each row, or in each column if it is
    closer to the horizontal, and interpolated linearly between two pixels. `adjoint` is the exact
    transpose, `pinv` the least-squares image, and `fbp` the classical filtered back-projection. The
    weights of a view are computed when it is reached, so that memory grows with the image and the
    measurement only. Source: Joseph, IEEE Trans. Medical Imaging 1(3), 1982.

    Raises:
        ArgumentError: `views` and `degrees` are both given or both left out, one of the options
            leaves no angle or no detector pixel, or the axis is so far off that no line meets the
            image.
    """

    added = ("axis", "origin")

    degrees: tuple[float, ...]
    axis: float
    origin: tuple[float, float]

    def __init__(
        self,
        image_shape: Shape,
        views: Annotated[
            int | None, "number of angles, spread evenly over 180 degrees from 0"
        ] = None,
        degrees: Annotated[
            str | Sequence[float] | None, "the angles themselves, in degrees, such as '0 45 90'"
        ] = None,
        detectors: Annotated[
            int | None, "number of detector pixels; by default they cover the diagonal"
        ] = None,
        axis: Annotated[
            float,
            "where the rotation axis is seen on the detector, in detector pixels from its middle, "
            "positive towards higher numbers",
        ] = 0.0,
        origin: Annotated[
            str | Sequence[float],
            "where the rotation axis stands in the image, in pixels to the right of its middle and "
            "below it, such as '0.5 0.5'",
        ] = "0 0",
    ) -> None:
        channels, height, width = pixel_axes(image_shape)
        angles = _angles(views, degrees)
        cells = math.ceil(math.hypot(height, width)) if detectors is None else detectors
        if cells < 1:
            raise ArgumentError(f"detectors must be at least 1, got {detectors}")
        super().__init__(image_shape, (channels, len(angles), cells))
        self.degrees, self.axis, self.origin = angles, finite("axis", axis), _origin(origin)
        if not self._sees_something():
            raise ArgumentError(
                f"axis {axis} and origin {origin} leave the image beside the {cells} detector "
                "pixels in every view; both are in pixels from the middle"
            )

    def units(self) -> Tensor:
        """Whole views, all channels together."""
        return along(self.measurement_shape, 1, indices(len(self.degrees)))

    def forward(self, image: Images) -> Measured:
        """Sum the samples of each line, view by view."""
        return linear_map(image, self._project, self.adjoint)

    def adjoint(self, measurement: Measured) -> Images:
        """Smear each value over the pixels of its line, view by view."""
        return linear_map(measurement, self._smear, self.forward)

    def fbp(self, measurement: Measured) -> Images:
        """Reconstruct by filtered back-projection, which is faster than `pinv` and less exact.

        Each view is convolved with the band-limited ramp, without a window, and read by linear
        interpolation where each pixel lies. A view has the weight of half the angle between its
        neighbours, modulo 180 degrees. Few views leave streaks. Source: Kak and Slaney, Principles
        of Computerized Tomographic Imaging, 1988, equation 3.61.

        Args:
            measurement: (batch, channels, views, detectors).

        Returns:
            Images, (batch, channels, height, width).
        """
        channels, height, width = self.image_shape
        image = measurement.new_zeros(len(measurement), channels, height * width)
        if len(measurement) == 0:
            return image.view(0, *self.image_shape)
        values = _ramp_filtered(measurement.to(working(measurement.dtype))).to(measurement.dtype)
        right, below = self.origin
        y, x = torch.meshgrid(below - centred(height), centred(width) - right, indexing="ij")
        middle = (values.shape[3] - 1) / 2 + self.axis
        for view, (angle, arc) in enumerate(zip(self.degrees, _arcs(self.degrees), strict=True)):
            cos, sin = _direction(angle)
            place = (x * cos + y * sin).flatten() + middle
            indices, weights = line_taps(values.shape[3], place, linear_kernel)
            weights = (weights * arc).to(values)
            for index, weight in zip(indices.to(values.device), weights, strict=True):
                image = image + values[:, :, view].gather(2, index.expand_as(image)) * weight
        return image.view(len(image), *self.image_shape)

    def doubts(self, measurement: Measured) -> tuple[str, ...]:
        """Whether a square sinogram is explained much better once its two axes are exchanged."""
        _, views, cells = self.measurement_shape
        if views != cells or len(measurement) == 0:
            return ()
        first = measurement[0].to("cpu", torch.float64).mean(0)
        straight, exchanged = self._coarse_misfits(torch.stack([first, first.T])[:, None])
        if straight < max(_CLEARLY * exchanged, _EXPLAINED):
            return ()
        return (
            f"the sinogram looks transposed: ct reads (channels, views, detectors), and an image "
            f"explains all but {straight:.0%} of this one, but all but {exchanged:.1%} of it with "
            "the last two axes exchanged; give values.swapaxes(-1, -2)",
        )

    @classmethod
    def example(cls) -> "CT":
        """Seven views of 8 x 8 colour images."""
        return cls((3, 8, 8), views=7)

    def extra_repr(self) -> str:
        """The shapes and the angles."""
        few = len(self.degrees) <= 8
        return f"{super().extra_repr()}, degrees={self.degrees}" if few else super().extra_repr()

    def rays(self, like: Tensor) -> Iterator["_Rays"]:
        """The samples of each view's lines, in the image's dtype and on its device."""
        (_, height, width), cells = self.image_shape, self.measurement_shape[2]
        for angle in self.degrees:
            cos, sin = _direction(angle)
            # Counted from where the middle of the image is seen.
            s = centred(cells).to(like.device) - self._middle(cos, sin)
            # Rows: X = (s - Y sin)/cos, where image rows run downwards, Y = -row.
            upright = abs(cos) >= abs(sin)
            lead, other = (cos, -sin) if upright else (-sin, cos)
            steps, length = (height, width) if upright else (width, height)
            along = centred(steps).to(like.device).unsqueeze(1)
            place = s / lead + ((length - 1) / 2 - along * (other / lead))
            place = place.clamp_(-1, length)  # further out there is nothing to read
            before = place.floor()
            share = place.sub_(before).to(like)
            yield _Rays(upright, before.to(torch.int64).add_(1), share, 1 / abs(lead))

    def _middle(self, cos: float, sin: float) -> float:
        """Where a view sees the middle of the image, from the middle of the detector."""
        right, below = self.origin
        return self.axis - right * cos + below * sin

    def _sees_something(self) -> bool:
        """Whether a line of some view meets the image."""
        (_, height, width), cells = self.image_shape, self.measurement_shape[2]
        directions = map(_direction, self.degrees)
        return any(
            abs(self._middle(cos, sin)) < (cells + height * abs(sin) + width * abs(cos)) / 2
            for cos, sin in directions
        )

    def _coarse_misfits(self, sinograms: Tensor) -> list[float]:
        """The shares of square sinograms, by their norm, that no image of a coarse grid explains.

        Args:
            sinograms: (batch, 1, views, detectors), of one channel.
        """
        (_, *size), cells = self.image_shape, sinograms.shape[3]
        few, views = min(cells, _COARSE_CELLS), min(cells, _COARSE_VIEWS)
        pixel = cells / few
        chosen = [view * (cells - 1) // max(views - 1, 1) for view in range(views)]
        coarse = CT(
            (1, *(math.ceil(length / pixel) for length in size)),
            degrees=[self.degrees[view] for view in chosen],
            detectors=few,
            axis=self.axis / pixel,
            origin=[offset / pixel for offset in self.origin],
        )
        values = nn.functional.adaptive_avg_pool2d(sinograms[:, :, chosen], (views, few))
        left = values - coarse(coarse.pinv(values, iterations=_COARSE_STEPS))
        norms = values.flatten(1).norm(dim=1).clamp_min(torch.finfo(values.dtype).tiny)
        shares: list[float] = (left.flatten(1).norm(dim=1) / norms).tolist()
        return shares

    def _project(self, image: Images) -> Measured:
        sinogram = image.new_empty(len(image), *self.measurement_shape)
        rows, columns = _surrounded(image), _surrounded(image.transpose(2, 3))
        for view, rays in enumerate(self.rays(image)):
            source = rows if rays.upright else columns
            index = rays.before.expand(*source.shape[:2], -1, -1)
            samples = torch.lerp(source.gather(3, index), source.gather(3, index + 1), rays.share)
            sinogram[:, :, view] = samples.sum(2) * rays.length
        return sinogram

    def _smear(self, measurement: Measured) -> Images:
        channels, height, width = self.image_shape
        rows = _surrounded(measurement.new_zeros(len(measurement), channels, height, width))
        columns = _surrounded(measurement.new_zeros(len(measurement), channels, width, height))
        for view, rays in enumerate(self.rays(measurement)):
            target = rows if rays.upright else columns
            values = measurement[:, :, view].unsqueeze(2) * rays.length
            second = values * rays.share
            index = rays.before.expand_as(second)
            target.scatter_add_(3, index, values - second)
            target.scatter_add_(3, index + 1, second)
        return rows[..., 1:-2] + columns[..., 1:-2].transpose(2, 3)


class _Rays(NamedTuple):
    """One view: each line reads two pixels in every row (or column, where it is not upright)."""

    upright: bool
    before: Tensor  # (steps, detectors) int64, the first pixel in a row that `_surrounded` gives
    share: Tensor  # (steps, detectors), what the second pixel weighs; the first weighs the rest
    length: float  # of a line between two rows


def _surrounded(image: Tensor) -> Tensor:
    """One zero before each row and two after, so that lines may miss it."""
    return nn.functional.pad(image, (1, 2))


def _angles(views: int | None, degrees: str | Sequence[float] | None) -> tuple[float, ...]:
    if (views is None) == (degrees is None):
        raise ArgumentError(
            f"ct needs either views or degrees, got views={views}, degrees={shown(degrees)}; "
            "views=60 spreads 60 angles over 180 degrees"
        )
    if degrees is not None:
        return read_numbers("degrees", degrees)
    assert views is not None
    if views < 1:
        raise ArgumentError(f"views must be at least 1, got {views}")
    return tuple(180.0 * view / views for view in range(views))


def _origin(origin: str | Sequence[float]) -> tuple[float, float]:
    numbers = read_numbers("origin", origin)
    if len(numbers) != 2:
        raise ArgumentError(
            f"origin must be two numbers, to the right and below, such as '0.5 0.5', got {origin!r}"
        )
    return numbers[0], numbers[1]


def _direction(degrees: float) -> tuple[float, float]:
    """Cosine and sine, exact at multiples of 90 degrees."""
    quarters, rest = divmod(degrees, 90.0)
    cos, sin = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    for _ in range(int(quarters) % 4):
        cos, sin = -sin, cos
    return cos, sin


def _ramp_filtered(sinogram: Tensor) -> Tensor:
    """Each view convolved with the band-limited ramp."""
    cells = sinogram.shape[-1]
    offset = torch.arange(2 * cells, dtype=torch.float64, device="cpu")
    offset = torch.minimum(offset, 2 * cells - offset)
    ramp = torch.where(offset % 2 == 1, -1 / (math.pi * offset) ** 2, 0.0)
    ramp[0] = 0.25
    response = torch.fft.rfft(ramp).real.to(sinogram)
    spectrum = torch.fft.rfft(sinogram, n=2 * cells) * response
    filtered: Tensor = torch.fft.irfft(spectrum, n=2 * cells)[..., :cells]
    return filtered


def _arcs(degrees: tuple[float, ...]) -> list[float]:
    """The share of the half circle that each view stands for, in radians; equal ones share it."""
    angles = torch.tensor(degrees, dtype=torch.float64, device="cpu") % 180
    order = angles.argsort(stable=True)
    gaps = angles[order].diff(append=angles[order[:1]] + 180)
    arcs = torch.empty_like(angles)
    arcs[order] = (gaps + gaps.roll(1)) / 2
    radians: list[float] = torch.deg2rad(arcs).tolist()
    return radians
