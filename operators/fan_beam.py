"""Computed tomography with a fan beam: a point source and a flat detector turn about the image."""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated

from torch import Tensor

from invprob.errors import ArgumentError
from invprob.operators.back_projection import arcs, back_projected, gaps, ramp_filtered
from invprob.operators.checks import finite, pixel_axes, positive
from invprob.operators.joseph import (
    Axis,
    Degrees,
    LineIntegrals,
    Lines,
    Origin,
    direction,
    read_angles,
    read_origin,
)
from invprob.operators.sampling import centred
from invprob.registry import register
from invprob.types import Images, Measured, Shape

_EVEN = 3.0  # times the mean gap between views, up to which they go all around


@register.operator("fan-beam")
class FanBeam(LineIntegrals):
    """Integrate the image along a fan of lines from several angles (computed tomography).

        y[c, v, j] = ∫ x[c] along the line from the source to detector pixel j

    The source stands at D (sin θ, -cos θ), where θ is the angle of view v and D the distance from
    the source to the rotation axis. X points to the right and Y up. The flat detector is on the
    other side of the axis. Its pixel j is at E (-sin θ, cos θ) + t (cos θ, sin θ), where E is its
    distance from the axis, t = (j - (detectors - 1)/2 - axis) · width, and width is that of a
    detector pixel. Lines go on behind the detector. All lengths are in pixels of the image, and the
    measurement of a (C, H, W) image is (C, views, detectors). Outside the image the value is 0.

    This is the geometry "fanflat" of ASTRA. At angle 0 the source is below the image. The source
    turns counter-clockwise, as seen in the picture. From far away the lines are those of `ct`,
    X cos θ + Y sin θ = s. `axis` and `origin` are those of `ct`: where the rotation axis is seen on
    the detector, and where it stands in the image.

    Give either `views`, which go all around, or `degrees`. Lines are sampled as those of `ct` are
    (Joseph, IEEE Trans. Medical Imaging 1(3), 1982). `adjoint` is the exact transpose, `pinv` the
    least-squares image, and `fbp` the weighted filtered back-projection. Memory grows with the
    image and the measurement only.

    Raises:
        ArgumentError: `views` and `degrees` are both given or both left out, one of the options
            leaves no angle or no detector pixel, a length is not positive, the source would enter
            the image, or no line meets the image.
    """

    def __init__(
        self,
        image_shape: Shape,
        views: Annotated[
            int | None, "number of angles, spread evenly over 360 degrees from 0"
        ] = None,
        degrees: Degrees = None,
        source_distance: Annotated[
            float | None,
            "from the source to the rotation axis, in pixels of the image; by default the diagonal "
            "of the image",
        ] = None,
        detector_distance: Annotated[
            float | None,
            "from the rotation axis to the detector, in pixels of the image, at least 0; by "
            "default the distance of the source",
        ] = None,
        detectors: Annotated[
            int | None, "number of detector pixels; by default they see the whole image"
        ] = None,
        detector_width: Annotated[
            float | None,
            "width of a detector pixel in pixels of the image; by default it sees one pixel at the "
            "rotation axis",
        ] = None,
        axis: Axis = 0.0,
        origin: Origin = "0 0",
    ) -> None:
        _, height, width = pixel_axes(image_shape)
        diagonal = math.hypot(height, width)
        source = diagonal if source_distance is None else source_distance
        self.source_distance = positive("source_distance", source)
        detector = source if detector_distance is None else detector_distance
        self.detector_distance = finite("detector_distance", detector)
        if self.detector_distance < 0:
            raise ArgumentError(f"detector_distance must be at least 0, got {detector_distance}")
        magnification = self._length / self.source_distance
        pixel = magnification if detector_width is None else detector_width
        self.detector_width = positive("detector_width", pixel)
        right, below = read_origin(origin)
        corner = math.hypot(width / 2 + abs(right), height / 2 + abs(below))
        if self.source_distance <= corner:
            raise ArgumentError(
                f"source_distance must be above {corner:.4g}, where the corners of the image are, "
                f"got {self.source_distance:g}; the source turns outside of the image"
            )
        if detectors is None:
            sight = math.tan(math.asin(diagonal / 2 / self.source_distance)) * self._length
            detectors = math.ceil(2 * sight / self.detector_width)
        angles = read_angles("fan-beam", 360.0, views, degrees)
        super().__init__(image_shape, angles, detectors, axis, origin)
        self.check_sight()

    def lines(self, view: int) -> Lines:
        """From the source to each detector pixel."""
        cos, sin = direction(self.degrees[view])
        fan_cos, fan_sin = self._fan()
        # A line is perpendicular to the direction θ - fan angle, and misses the axis by D sin(fan).
        return Lines(
            cos * fan_cos + sin * fan_sin,
            sin * fan_cos - cos * fan_sin,
            self.source_distance * fan_sin,
        )

    def coarser(self, pixel: float, views: Sequence[int], detectors: int) -> "FanBeam":
        """All lengths in the larger pixels; a detector pixel grows as they do."""
        _, *size = self.image_shape
        return FanBeam(
            (1, *(math.ceil(length / pixel) for length in size)),
            degrees=[self.degrees[view] for view in views],
            source_distance=self.source_distance / pixel,
            detector_distance=self.detector_distance / pixel,
            detectors=detectors,
            detector_width=self.detector_width,
            axis=self.axis / pixel,
            origin=[offset / pixel for offset in self.origin],
        )

    def fbp(self, measurement: Measured) -> Images:
        """Reconstruct by weighted filtered back-projection: faster than `pinv` and less exact.

        Each value is multiplied by the cosine of its line's angle in the fan. Each view is then
        convolved with half the band-limited ramp, without a window, and read by linear
        interpolation where each pixel is seen, divided by the square of the pixel's relative
        distance from the source. The views have to go all around: a short scan measures some lines
        twice. Source: Kak and Slaney, Principles of Computerized Tomographic Imaging, 1988, section
        3.4.2.

        Args:
            measurement: (batch, channels, views, detectors).

        Returns:
            Images, (batch, channels, height, width).

        Raises:
            ArgumentError: the views do not go all around.
        """
        _, gap = gaps(self.degrees, 360.0)
        if float(gap.max()) > _EVEN * 360 / len(gap):
            raise ArgumentError(
                f"fbp needs views all around, and no view is between two that are "
                f"{float(gap.max()):.4g} degrees apart; take pinv(measurement, iterations=20)"
            )
        fan_cos, _ = self._fan()
        weighted = measurement * fan_cos.to(measurement)
        return back_projected(ramp_filtered(weighted), self.image_shape, self._seen())

    @classmethod
    def example(cls) -> "FanBeam":
        """Seven views of 8 x 8 colour images."""
        return cls((3, 8, 8), views=7)

    @property
    def _length(self) -> float:
        """From the source to the detector."""
        return self.source_distance + self.detector_distance

    def _fan(self) -> tuple[Tensor, Tensor]:
        """Cosine and sine of the angle between each line and the one through the axis."""
        t = (centred(self.measurement_shape[2]) - self.axis) * self.detector_width
        slant = (t.square() + self._length**2).sqrt()
        return self._length / slant, t / slant

    def _seen(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Where each view sees each pixel, and what it weighs."""
        x, y = self.places()
        middle = (self.measurement_shape[2] - 1) / 2 + self.axis
        spacing = self.detector_width * self.source_distance / self._length  # at the axis
        for angle, arc in zip(self.degrees, arcs(self.degrees, 360.0), strict=True):
            cos, sin = direction(angle)
            nearness = self.source_distance / (self.source_distance - x * sin + y * cos)
            place = (x * cos + y * sin) * nearness / spacing + middle
            yield place, arc * nearness.square() / (2 * spacing)
