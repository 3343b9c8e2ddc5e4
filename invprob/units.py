"""Measurements of an image in physical units, brought to those of an image in [-1, 1].

The physical image is u = low + (x + 1)/2 · (high - low) = middle + half · x. With the operator A, a
gain and an offset of the detector, what was measured is

    y = gain · A(u) + offset + noise.

`in_units` finds values and an operator for which the same is said of x. `Units` remembers how, so
that a gain or an offset that is not known can be estimated with the image
(`invprob.losses.calibration`), and the image be given back in its units.
"""

import copy
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import torch

from invprob.calls import checked
from invprob.errors import ArgumentError, MeasurementError
from invprob.image_range import measured_size
from invprob.operators.base import LinearOperator, Operator
from invprob.operators.composition import compose
from invprob.operators.each import Each
from invprob.operators.noise import Noise
from invprob.operators.observed import Observed
from invprob.registry import build
from invprob.types import Images, Measured

Known: TypeAlias = float | Literal["auto"]
KEY = "physical_units"  # in the record of measurements
_ALIKE = 0.999  # correlation above which an offset looks like a brighter image
_NEAR = (1 / 20, 4.0)  # sizes, as a share of those of images in [-1, 1], that need no other scale


@checked
@dataclass(frozen=True)
class Units:
    """The units of measurements, and what was done with their values.

    Args:
        low: the physical value of black.
        high: the physical value of white, above `low`.
        gain: what the operator's measurement was multiplied by, not 0; "auto": not known.
        offset: what was added to it; "auto": not known.
        divided_by: the values were divided by this number.
        grey: from the values, the operator's measurement of an image of this grey value was
            subtracted.
        way: how the operator was brought to images in [-1, 1].
        alike: the correlation, from 0 to 1, of what a brighter image and what an offset add to the
            measurement; 0 where the offset is known.

    Raises:
        ArgumentError: a number makes no sense.
    """

    low: float = -1.0
    high: float = 1.0
    gain: Known = 1.0
    offset: Known = 0.0
    divided_by: float = 1.0
    grey: float = 0.0
    way: Literal["exactly", "as a picture", "by composition"] = "exactly"
    alike: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ArgumentError(
                "image_range must be two finite numbers, black and then the larger white, such as "
                f"(0, 255), got ({self.low:g}, {self.high:g})"
            )
        for name in ("gain", "offset"):
            value = getattr(self, name)
            if value != "auto" and (isinstance(value, str) or not math.isfinite(value)):
                raise ArgumentError(f"{name} must be 'auto' or a finite number, got {value!r}")
        if self.gain == 0:
            raise ArgumentError("gain must not be 0, which measures nothing")

    @classmethod
    def asked(cls, image_range: Sequence[float] | None, gain: Known, offset: Known) -> "Units":
        """The units that a user names; see `Units`."""
        limits = (-1.0, 1.0) if image_range is None else tuple(image_range)
        if len(limits) != 2:
            raise ArgumentError(
                f"image_range must be two numbers, black and white, got {image_range!r}"
            )
        return cls(float(limits[0]), float(limits[1]), gain, offset)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Units":
        """What the record of measurements says; without a word of it, those of images in [-1, 1].

        Args:
            record: `Measurements.record`.

        Raises:
            MeasurementError: it is damaged.
        """
        told = record.get(KEY, {})
        try:
            return cls(**told)
        except (ArgumentError, TypeError) as error:
            raise MeasurementError(
                f"the measurements' record of their units is damaged: {error}; import them again"
            ) from error

    def to_record(self) -> dict[str, Any]:
        """What `of` reads; nothing where the units are those of images in [-1, 1]."""
        return {} if self == Units() else {KEY: dataclasses.asdict(self)}

    @property
    def usual(self) -> bool:
        """Whether images are in [-1, 1] and the measurements have their units."""
        return (self.low, self.high, self.gain, self.offset) == (-1.0, 1.0, 1.0, 0.0)

    @property
    def unknown(self) -> tuple[str, ...]:
        """What of gain and offset is to be estimated with the image."""
        return tuple(name for name in ("gain", "offset") if getattr(self, name) == "auto")

    @property
    def nominal_gain(self) -> float:
        """The gain by which the values were divided."""
        return self.divided_by / (1.0 if self.way == "by composition" else self.half)

    @property
    def known_offset(self) -> float:
        """The offset that was subtracted; 0 where it is not known."""
        return 0.0 if self.offset == "auto" else self.offset

    @property
    def middle(self) -> float:
        """The physical value of mid-grey."""
        return (self.low + self.high) / 2

    @property
    def half(self) -> float:
        """Half of the way from black to white."""
        return (self.high - self.low) / 2

    def physical(self, image: Images) -> Images:
        """The physical image: middle + half · x.

        Args:
            image: x, of any shape.
        """
        return self.middle + self.half * image

    def notes(self) -> list[str]:
        """What a user should know of them, a line each; nothing of the usual units."""
        lines = [] if self.usual else [str(self)]
        if "gain" in self.unknown:
            lines.append(
                "a darker image and a larger gain measure the same: nothing but what the generator "
                "draws tells them apart, so check the gain, and give it as a number if you can"
            )
        if self.alike > _ALIKE:
            lines.append(
                "a brighter image and a larger offset measure the same with this operator: nothing "
                "but the prior tells them apart, so give the offset as a number if you can"
            )
        return lines

    def __str__(self) -> str:
        """What was done, in one line."""
        how = {
            "exactly": "the operator is linear, so this is exact",
            "as a picture": "the measurement is a picture, which was brought to [-1, 1]",
            "by composition": "the operator measures the image in its units (image-range)",
        }[self.way]
        limits = f"black is {self.low:g} and white {self.high:g}"
        known = [
            f"{name} {value:.6g}"
            for name, value, usual in (("gain", self.gain, 1.0), ("offset", self.offset, 0.0))
            if value not in ("auto", usual)
        ]
        parts = [limits, *known, how]
        if self.unknown:
            parts.append(f"{' and '.join(self.unknown)} will be estimated with the image")
        return f"units: {'; '.join(parts)}"


class InUnits(NamedTuple):
    """What was measured, in the units of images in [-1, 1]."""

    values: Measured
    operator: Operator
    noise: Noise | None
    units: Units


@checked
@torch.no_grad()
def in_units(values: Measured, operator: Operator, noise: Noise | None, units: Units) -> InUnits:
    """Bring measurements in physical units to those of images in [-1, 1].

    A linear A needs no other operator: y = gain · A(middle + half · x) + offset is

        (y - offset) / (gain · half) - A(middle / half) = A x.

    A chain of tone curves and of linear operators that keep constants measures pictures, and its
    measurement is brought to [-1, 1] in the same way. Any other operator measures the physical
    image, by composition with `image-range`. A gain that is not known counts as 1, or as what
    brings the values near to those of images where they are far from them.

    Args:
        values: y, (batch, *measurement_shape).
        operator: A, which measures u as it measures x.
        noise: what y holds besides, in the units of y. None: it is not known.
        units: low, high, gain and offset.

    Returns:
        The same in the units of images in [-1, 1]; the values in float64.

    Raises:
        ArgumentError: the operator or the noise makes no sense of other units.
    """
    values = values.double()
    if units.usual:
        return InUnits(values, operator, noise, units)
    way = _way(operator)
    own = _in_double(operator)
    scale, grey = units.half, units.middle / units.half
    if way == "by composition":
        shape = operator.image_shape
        limits = {"image_shape": shape, "low": units.low, "high": units.high}
        operator = compose([operator, build("operator", "image-range", limits)])
        own, scale, grey = _in_double(operator), 1.0, 0.0
    values = (values - units.known_offset) / scale
    if units.gain == "auto":
        factor = _nominal(values, own, grey, centred=units.offset == "auto")
    else:
        factor = units.gain
    values = values / factor
    if grey:
        values = values - own(values.new_full((len(values), *own.image_shape), grey))
    alike = _alike(own) if units.offset == "auto" else 0.0
    done = dataclasses.replace(units, divided_by=scale * factor, grey=grey, way=way, alike=alike)
    if noise is not None:
        noise = _noise_in_units(noise, done, own)
    return InUnits(values, operator, noise, done)


def _way(operator: Operator) -> Literal["exactly", "as a picture", "by composition"]:
    """How an operator is brought to images in [-1, 1]."""
    if "image-range" in operator.names():
        raise ArgumentError(
            "the units are given twice: by the operator image-range, and by image_range, gain or "
            "offset; leave one out"
        )
    if isinstance(operator, LinearOperator):
        return "exactly"
    leaves = list(_leaves(operator))
    kinds = {leaf.image_units for leaf in leaves if not leaf.linear}
    if kinds == {"any"}:
        return "by composition"
    if kinds == {"picture"} and all(keeps_constants(leaf) for leaf in leaves if leaf.linear):
        return "as a picture"
    names = " @ ".join(leaf.names()[0] for leaf in leaves)
    raise ArgumentError(
        f"{names} is made for images in [-1, 1], and no other units can be carried through it; "
        "bring the measurements to those of images in [-1, 1], and leave image_range, gain and "
        "offset out"
    )


def keeps_constants(operator: Operator) -> bool:
    """Whether a white image is measured as 1 wherever it is observed, as by a blur."""
    white = torch.ones(1, *operator.image_shape, dtype=torch.float64, device="cpu")
    with torch.no_grad():
        error = Observed(operator).shown(_in_double(operator)(white) - 1)
    return bool(error.abs().max() < 1e-6)


def _alike(operator: Operator) -> float:
    """The correlation of a constant and of how a measurement changes from black to white."""
    own = operator.for_images(slice(0, 1))
    white = torch.ones(1, *own.image_shape, dtype=torch.float64, device="cpu")
    change = own(white) - own(-white)
    observed = Observed(own)
    mean, square = observed.mean(change), observed.mean(change.square())
    return float(mean.abs() / square.clamp_min(1e-300).sqrt())


def _leaves(operator: Operator) -> Iterator[Operator]:
    """The operators of a chain; those of each image, where each has its own."""
    for leaf in operator.leaves():
        if isinstance(leaf, Each):
            for part in leaf.parts():
                yield from _leaves(part)
        else:
            yield leaf


def _in_double(operator: Operator) -> Operator:
    return copy.deepcopy(operator).to("cpu", torch.float64)


def _nominal(values: Measured, operator: Operator, grey: float, *, centred: bool) -> float:
    """A gain that brings the values to the size of those of images, 1 where they have it."""
    ratio = measured_size(values, operator, grey, centred=centred)
    return 1.0 if _NEAR[0] <= ratio <= _NEAR[1] or not ratio else ratio


def _noise_in_units(noise: Noise, units: Units, operator: Operator) -> Noise:
    if not noise.of_light:
        return noise.scaled(1 / abs(units.divided_by))
    if units.way == "by composition" or all(
        keeps_constants(leaf) for leaf in _leaves(operator) if leaf.linear
    ):
        return noise  # its options are shares of the light
    raise ArgumentError(
        f"{noise!r} is noise of pictures between black and white, and these measurements are none; "
        "take gaussian noise, whose sigma has the units of the measurements, or leave it out"
    )
