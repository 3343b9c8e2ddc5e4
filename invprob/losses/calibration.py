"""A detector whose gain or offset is not known: both are estimated with the image.

For the operator A and the measurements y of an image in [-1, 1] the model is

    y + c = g (A x + c) + o e + noise,   c = A(grey),

where A x + c is what the operator measures of the physical image (`invprob.units`), and e is 1, or
what weights make of it. The best g and o of a prediction A x are the closed solution of linear
least squares. The terms of the objective see g (A x + c) + o e - c in place of A x: this is
variable projection (Golub & Pereyra, SIAM J. Numer. Anal. 1973).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from invprob.calls import checked
from invprob.errors import ArgumentError
from invprob.losses.base import BoundTerm, Term
from invprob.operators.base import Operator
from invprob.operators.observed import Observed
from invprob.types import Images, Measured, PerImage
from invprob.units import Units
from invprob.whitening import constant

LEAST_GAIN = 0.1  # of g: at 0 or below the image would lose its gradient, or become its negative


class Line(NamedTuple):
    """The gain g and the offset o of each image, (batch,)."""

    gain: PerImage
    offset: PerImage


@checked
class Detector:
    """What a detector makes of a prediction, with the gain and offset that suit it best.

    Where both are known it is the identity.

    Args:
        units: which of the two is known.
        target: the measurements y, (batch, *measurement_shape).
        operator: the operator A, on the target's device.
    """

    def __init__(self, units: Units, target: Measured, operator: Operator) -> None:
        self._unknown = units.unknown
        if not self._unknown:
            return
        self._observed = Observed(operator)
        self._pattern = self._observed.shown(constant(operator).to(target))  # e
        with torch.no_grad():
            grey = target.new_full((len(target), *operator.image_shape), units.grey)
            self._shift = operator(grey)  # c
        self._target = self._observed.shown(target + self._shift)

    def line(self, prediction: Measured) -> Line:
        """The least-squares g and o of each image; the one that is known is 1 or 0.

        Args:
            prediction: A x, (batch, *measurement_shape).
        """
        if not self._unknown:
            ones = prediction.new_ones(len(prediction))
            return Line(ones, torch.zeros_like(ones))
        p, y, e = self._columns(prediction)
        ones = torch.ones_like(p[:, 0])
        if "gain" not in self._unknown:
            return Line(ones, _share(y - p, e))
        if "offset" not in self._unknown:
            return Line(_share(y, p).clamp(min=LEAST_GAIN), torch.zeros_like(ones))
        apart = p - _share(p, e)[:, None] * e  # p without what an offset explains
        gain = _share(y, apart).clamp(min=LEAST_GAIN)
        return Line(gain, _share(y - gain[:, None] * p, e))

    def __call__(self, prediction: Measured) -> Measured:
        """g (A x + c) + o e - c, where something is observed."""
        return self.seen_by(self.line(prediction), prediction) if self._unknown else prediction

    def seen_by(self, line: Line, prediction: Measured) -> Measured:
        """The same with a given gain and offset.

        Args:
            line: g and o.
            prediction: A x, (batch, *measurement_shape).
        """
        if not self._unknown:
            return prediction
        gain, offset = (one.view(-1, *[1] * (prediction.ndim - 1)) for one in line)
        seen = gain * (prediction + self._shift) + offset * self._pattern - self._shift
        return self._observed.only(seen, prediction)

    def errors(self, prediction: Measured) -> Line:
        """The standard errors of g and o, given the image; 0 of the one that is known.

        Args:
            prediction: A x, (batch, *measurement_shape).
        """
        p, y, e = (column.double() for column in self._columns(prediction))
        gain, offset = (one.double()[:, None] for one in self.line(prediction))
        counts = self._observed.counts.to(p) - len(self._unknown)
        variance = (y - gain * p - offset * e).square().sum(1) / counts.clamp(min=1)
        both = len(self._unknown) == 2
        of_p = p - _share(p, e)[:, None] * e if both else p
        of_e = e - _share(e, p)[:, None] * p if both else e
        found = [
            (variance / column.square().sum(1)).sqrt()
            if name in self._unknown
            else torch.zeros_like(variance)
            for name, column in (("gain", of_p), ("offset", of_e))
        ]
        return Line(*found)

    def _columns(self, prediction: Measured) -> tuple[Tensor, Tensor, Tensor]:
        """A x + c, y + c and e where something is observed, flattened, (batch, numbers)."""
        seen = self._observed.shown(prediction + self._shift)
        return seen.flatten(1), self._target.flatten(1), self._pattern.expand_as(seen).flatten(1)


class Calibrated(Term):
    """Another term, of what the detector makes of the prediction.

    The gradient goes through g and o as well. For the squared misfit it need not, because they are
    where its derivatives vanish (envelope theorem); for other terms it must. Where only the offset
    is unknown, A x + o e - y = P (A x - y) with the projection P away from e, which is linear in x.

    Args:
        term: what compares prediction and measurement.
        units: which of gain and offset is known.

    Raises:
        ArgumentError: the term compares with the measurements by itself.
    """

    def __init__(self, term: Term, units: Units) -> None:
        super().__init__(term.name, term.weight)
        if term.detector != "any" and set(units.unknown) - {term.detector}:
            raise ArgumentError(
                f"{' and '.join(units.unknown)} cannot be estimated beside the term {term.name!r}, "
                "which needs to know; take a method that descends by gradients, such as "
                "sphinx-adapted, sphinx or ilo"
            )
        self.term, self.units = term, units

    def seeded(self, seed: int) -> "Calibrated":
        """The same with the other term of that seed."""
        return Calibrated(self.term.seeded(seed), self.units)

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Bind the measurements y."""
        return _Calibrated(self.term.bind(target, operator), Detector(self.units, target, operator))


@checked
def calibrated(terms: Sequence[Term], units: Units) -> list[Term]:
    """The terms, each with a detector before it where gain or offset is not known.

    Args:
        terms: the terms of the objective.
        units: those of the measurements.

    Raises:
        ArgumentError: a term compares with the measurements by itself.
    """
    return [Calibrated(term, units) if units.unknown else term for term in terms]


class _Calibrated(nn.Module):
    """The bound term; what the other term remembers is part of its state."""

    def __init__(self, compare: BoundTerm, detector: Detector) -> None:
        super().__init__()
        self.compare, self._detector = compare, detector

    def forward(self, image: Images, prediction: Measured) -> PerImage:
        """The other term, of the detector's view of the prediction."""
        value: PerImage = self.compare(image, self._detector(prediction))
        return value


@checked
@dataclass(frozen=True)
class Estimate:
    """Gain and offset in the units of the measurements, with their standard errors, (batch,).

    Args:
        gain: the gain of each image.
        gain_error: its standard error, given the image; 0 where the gain was known.
        offset: the offset of each image.
        offset_error: its standard error; 0 where the offset was known.
    """

    gain: PerImage
    gain_error: PerImage
    offset: PerImage
    offset_error: PerImage


@checked
@torch.no_grad()
def estimate(units: Units, target: Measured, operator: Operator, image: Images) -> Estimate:
    """Estimate gain and offset from an image.

    Args:
        units: which of the two is known.
        target: the measurements, (batch, *measurement_shape).
        operator: what measured them.
        image: the images, (batch, *image_shape).

    Returns:
        Both, in the units in which the measurements were given.
    """
    detector, prediction = Detector(units, target, operator), operator(image)
    ones = torch.ones(len(image), dtype=torch.float64, device="cpu")
    line, errors = Line(ones, 0 * ones), Line(0 * ones, 0 * ones)
    if units.unknown:
        line = Line(*(one.double().cpu() for one in detector.line(prediction)))
        errors = Line(*(one.cpu() for one in detector.errors(prediction)))
    gain, offset = units.nominal_gain, units.known_offset
    return Estimate(
        gain * line.gain,
        abs(gain) * errors.gain,
        offset + units.divided_by * line.offset,
        abs(units.divided_by) * errors.offset,
    )


def _share(values: Tensor, direction: Tensor) -> PerImage:
    """<values, direction> / <direction, direction> of each image; 0 where the direction is 0."""
    tiny = torch.finfo(values.dtype).tiny
    return (values * direction).sum(1) / direction.square().sum(1).clamp(min=tiny)
