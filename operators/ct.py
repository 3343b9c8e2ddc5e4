"""Computed tomography: line integrals along parallel beams, and filtered back-projection."""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated

import torch
from torch import Tensor

from invprob.operators.back_projection import arcs, back_projected, ramp_filtered
from invprob.operators.checks import pixel_axes
from invprob.operators.joseph import (
    Axis,
    Degrees,
    LineIntegrals,
    Lines,
    Origin,
    direction,
    read_angles,
)
from invprob.operators.sampling import centred
from invprob.registry import register
from invprob.types import Images, Measured, Shape


@register.operator("ct")
class CT(LineIntegrals):
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

    def __init__(
        self,
        image_shape: Shape,
        views: Annotated[
            int | None, "number of angles, spread evenly over 180 degrees from 0"
        ] = None,
        degrees: Degrees = None,
        detectors: Annotated[
            int | None, "number of detector pixels; by default they cover the diagonal"
        ] = None,
        axis: Axis = 0.0,
        origin: Origin = "0 0",
    ) -> None:
        _, height, width = pixel_axes(image_shape)
        angles = read_angles("ct", 180.0, views, degrees)
        cells = math.ceil(math.hypot(height, width)) if detectors is None else detectors
        super().__init__(image_shape, angles, cells, axis, origin)
        self.check_sight()

    def lines(self, view: int) -> Lines:
        """Parallel ones, a pixel apart."""
        cos, sin = direction(self.degrees[view])
        s = centred(self.measurement_shape[2]) - self.axis
        return Lines(torch.full_like(s, cos), torch.full_like(s, sin), s)

    def coarser(self, pixel: float, views: Sequence[int], detectors: int) -> "CT":
        """Axis and origin in the larger pixels."""
        _, *size = self.image_shape
        return CT(
            (1, *(math.ceil(length / pixel) for length in size)),
            degrees=[self.degrees[view] for view in views],
            detectors=detectors,
            axis=self.axis / pixel,
            origin=[offset / pixel for offset in self.origin],
        )

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
        return back_projected(ramp_filtered(measurement), self.image_shape, self._seen())

    @classmethod
    def example(cls) -> "CT":
        """Seven views of 8 x 8 colour images."""
        return cls((3, 8, 8), views=7)

    def _seen(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Where each view sees each pixel, and what it weighs."""
        x, y = self.places()
        middle = (self.measurement_shape[2] - 1) / 2 + self.axis
        for angle, arc in zip(self.degrees, arcs(self.degrees, 180.0), strict=True):
            cos, sin = direction(angle)
            yield x * cos + y * sin + middle, arc.expand_as(x)
