"""How far a picture was rotated, zoomed or brightened: success measured apart from the loss.

Pictures are compared by SciPy, never by the operators of this package, which may have made them.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import minimize_scalar
from torch import Tensor

from invprob.calls import checked
from invprob.errors import ArgumentError, ShapeError, UnknownNameError, suggest
from invprob.types import Images

Grey = NDArray[np.float64]  # (height, width) in about [0, 1]
# The picture that was moved so far, and where it is known.
Moved = Callable[[Grey, float], tuple[Grey, NDArray[np.bool_]]]

SMALLEST = 16  # pixels of the shorter side from which on pictures can be registered


class Attribute(ABC):
    """Something of which a picture can have more or less than another one.

    Attributes:
        name: what it is called.
        unit: what its values are, in words.
    """

    name: ClassVar[str]
    unit: ClassVar[str]

    @abstractmethod
    def between(self, reference: Tensor, picture: Tensor) -> float:
        """How much more of it a picture has than another one that shows the same.

        Args:
            reference: (channel, height, width) in about [-1, 1].
            picture: of the same shape.

        Raises:
            ShapeError: the shapes differ, or the pictures are too small.
        """

    @abstractmethod
    def known(self, first: float, value: float) -> float:
        """What `between` should find for two values of the operator that made the pictures.

        Args:
            first: the operator's value for the reference.
            value: that for the picture.
        """


@final
class Rotation(Attribute):
    """The angle by which a picture is rotated counter-clockwise, in (-180, 180] degrees.

    It is the angle at which the rotated reference correlates best with the picture, within the
    circle that lies in both.
    """

    name = "rotation"
    unit = "degrees, counter-clockwise"
    COARSE = np.arange(-180.0, 180.0, 3.0)

    def between(self, reference: Tensor, picture: Tensor) -> float:
        """The angle."""
        here, there = _pair(reference, picture)
        height, width = here.shape
        y, x = np.ogrid[:height, :width]
        centre = (height - 1) / 2, (width - 1) / 2
        inside = np.hypot(y - centre[0], x - centre[1]) <= min(centre) - 1

        def rotated(image: Grey, degrees: float) -> tuple[Grey, NDArray[np.bool_]]:
            return ndimage.rotate(image, degrees, reshape=False, order=1, mode="nearest"), inside

        return _best(here, there, rotated, self.COARSE)

    def known(self, first: float, value: float) -> float:
        """The difference of two angles."""
        return value - first


@final
class Zoom(Attribute):
    """The factor by which a picture is enlarged about its centre, from 1/4 to 4.

    It is the factor at which the enlarged reference correlates best with the picture, where both
    are known.
    """

    name = "zoom"
    unit = "factor"
    COARSE = np.log(4.0) * np.linspace(-1, 1, 57)  # steps of 5 %

    def between(self, reference: Tensor, picture: Tensor) -> float:
        """The factor."""
        here, there = _pair(reference, picture)
        ends = np.array(here.shape) - 1
        grid = np.meshgrid(*(np.arange(length) for length in here.shape), indexing="ij")

        def enlarged(image: Grey, logarithm: float) -> tuple[Grey, NDArray[np.bool_]]:
            back = math.exp(-logarithm)
            places = [
                end / 2 + back * (axis - end / 2) for axis, end in zip(grid, ends, strict=True)
            ]
            known = np.logical_and.reduce(
                [(place >= 0) & (place <= end) for place, end in zip(places, ends, strict=True)]
            )
            # What is shrunk is smoothed first, so that no pixel is skipped.
            smooth = ndimage.gaussian_filter(image, 0.4 * max(0.0, back - 1))
            return ndimage.map_coordinates(smooth, places, order=1, mode="nearest"), known

        return math.exp(_best(here, there, enlarged, self.COARSE))

    def known(self, first: float, value: float) -> float:
        """The ratio of two factors."""
        return value / first


@final
class MeanGrey(Attribute):
    """The mean light of a picture, as a multiple of that of the reference.

    Light is 0 at black (-1) and 1 at white (1), and values outside are cut off, as in a file.
    """

    name = "brightness"
    unit = "mean grey level relative to that of the image"

    def between(self, reference: Tensor, picture: Tensor) -> float:
        """The ratio of the mean grey levels."""
        here, there = _pair(reference, picture)
        return float(there.clip(0, 1).mean() / max(here.clip(0, 1).mean(), 1e-12))

    def known(self, first: float, value: float) -> float:
        """The ratio of two factors; light that is cut off at white makes the true one smaller."""
        return value / first


ATTRIBUTES: dict[str, Attribute] = {one.name: one for one in (Rotation(), Zoom(), MeanGrey())}


@checked
def attribute(name: str) -> Attribute:
    """An attribute by its name.

    Args:
        name: rotation, zoom or brightness.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in ATTRIBUTES:
        raise UnknownNameError(
            f"no attribute is named {name!r}.{suggest(name, ATTRIBUTES)} Known: "
            f"{', '.join(ATTRIBUTES)}."
        )
    return ATTRIBUTES[name]


@checked
@dataclass(frozen=True)
class Curve:
    """An attribute along a traversal.

    Args:
        attribute: what was measured, with its unit.
        unit: what its values are, in words.
        scales: α of each picture of the traversal, ascending.
        values: the attribute of each, relative to the true image.
        learned: the learned scales, from α_0 = 0 on.
        reached: the attribute of the picture at each of them.
        wanted: the attribute of the true image and of its variants.
    """

    attribute: str
    unit: str
    scales: Sequence[float]
    values: Sequence[float]
    learned: Sequence[float]
    reached: Sequence[float]
    wanted: Sequence[float]

    @property
    def errors(self) -> list[float]:
        """How far the picture at each learned scale is from the true variant."""
        return [found - true for found, true in zip(self.reached, self.wanted, strict=True)]

    def monotonic(self, least: float, most: float) -> bool:
        """Whether the attribute goes one way alone for scales in [least, most]."""
        pairs = zip(self.scales, self.values, strict=True)
        inside = [value for scale, value in pairs if least <= scale <= most]
        steps = np.diff(inside)
        return bool((steps > 0).all() or (steps < 0).all())

    @property
    def off_the_line(self) -> float:
        """The largest distance of the learned range from its own least-squares straight line."""
        inside = [
            (scale, value)
            for scale, value in zip(self.scales, self.values, strict=True)
            if self.learned[0] <= scale <= self.learned[-1]
        ]
        scales, values = np.array(inside).T
        if len(scales) < 3:
            return 0.0
        return float(np.abs(values - np.polyval(np.polyfit(scales, values, 1), scales)).max())

    def to_json(self) -> dict[str, object]:
        """The curve and what can be said of it, as JSON values."""
        return {
            "attribute": self.attribute,
            "unit": self.unit,
            "scales": list(self.scales),
            "values": list(self.values),
            "learned_scales": list(self.learned),
            "at_learned_scales": list(self.reached),
            "of_true_variants": list(self.wanted),
            "largest_error": max(map(abs, self.errors)),
            "monotonic_between_learned_scales": self.monotonic(self.learned[0], self.learned[-1]),
            "monotonic": self.monotonic(min(self.scales), max(self.scales)),
            "largest_distance_from_a_line": self.off_the_line,
        }


@checked
def measure_curve(
    what: Attribute,
    scales: Sequence[float],
    pictures: Images,
    learned: Sequence[float],
    reached: Images,
    truth: Images,
) -> Curve:
    """Measure an attribute along a traversal, against the true image.

    The drawn image would be a poor reference: what an inversion gets wrong is much the same in all
    pictures of a traversal, and would count as something that does not move.

    Args:
        what: the attribute.
        scales: α of each picture of the traversal, ascending.
        pictures: the traversal, (scales, channel, height, width).
        learned: α_0 = 0 and the learned scales.
        reached: the pictures there, (K + 1, channel, height, width).
        truth: the true image and its variants, as many.

    Returns:
        The curve.

    Raises:
        ShapeError: the pictures differ in shape, or are too small.
    """
    return Curve(
        what.name,
        what.unit,
        scales,
        [what.between(truth[0], picture) for picture in pictures],
        learned,
        [what.between(truth[0], picture) for picture in reached],
        [what.between(truth[0], picture) for picture in truth],
    )


def _pair(reference: Tensor, picture: Tensor) -> tuple[Grey, Grey]:
    """Both pictures in grey, light from 0 to 1."""
    if reference.shape != picture.shape or reference.ndim != 3:
        raise ShapeError(
            "pictures that are compared must both be (channel, height, width), got "
            f"{tuple(reference.shape)} and {tuple(picture.shape)}"
        )
    if min(reference.shape[1:]) < SMALLEST:
        raise ShapeError(
            f"pictures must have {SMALLEST} pixels or more a side, got {tuple(reference.shape)}"
        )
    here, there = (
        (one.detach().cpu().to(torch.float64).mean(0).numpy() + 1) / 2
        for one in (reference, picture)
    )
    if not (np.isfinite(here).all() and np.isfinite(there).all()):
        raise ArgumentError("the pictures must be finite, and hold NaN or infinite values")
    return here, there


def _best(here: Grey, there: Grey, moved: Moved, coarse: NDArray[np.float64]) -> float:
    """The move of the one picture that correlates best with the other: of a grid, then between."""

    def apart(amount: float) -> float:
        image, known = moved(here, amount)
        return -_correlation(image[known], there[known])

    found = [apart(float(amount)) for amount in coarse]
    start, step = coarse[int(np.argmin(found))], coarse[1] - coarse[0]
    refined = minimize_scalar(
        apart, bounds=(start - step, start + step), method="bounded", options={"xatol": 1e-3 * step}
    )
    return float(refined.x)


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Pearson's correlation, 0 where a picture is flat."""
    one, other = one - one.mean(), other - other.mean()
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths > 1e-12 * one.size else 0.0
