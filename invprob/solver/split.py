"""Measurements in two parts: what a solver sees, and what judges its images."""

from dataclasses import dataclass

import torch
from torch import Tensor

from invprob.calls import checked
from invprob.losses import Detector
from invprob.measurements import Measurements
from invprob.operators.base import Operator
from invprob.operators.partial import hold_out, left_out
from invprob.types import Images, PerImage


@checked
@dataclass(frozen=True)
class Split:
    """Measurements of which a part is hidden.

    Args:
        measurements: all of them.
        operator: what measured all of them.
        seen: those that a solver may see, with 0 in the place of the others.
        seen_operator: what measured those that are seen.
        hidden: which numbers are hidden: bool of the measurement's shape, or of that of the values
            where each image has an operator of its own.
    """

    measurements: Measurements
    operator: Operator
    seen: Measurements
    seen_operator: Operator
    hidden: Tensor

    @classmethod
    @checked
    def of(cls, measurements: Measurements, operator: Operator, share: float, seed: int) -> "Split":
        """Hide a share of the operator's units; see `hold_out`.

        Args:
            measurements: what was measured.
            operator: what measured it.
            share: the share of the units that is hidden, in (0, 1); at least one unit is.
            seed: what they are drawn from.

        Raises:
            ArgumentError: the share is outside (0, 1), or leaves nothing.
        """
        seen_operator = hold_out(operator, share, seed)
        hidden = left_out(seen_operator)
        seen = Measurements.from_array(
            measurements.values * ~hidden.cpu(),
            seen_operator,
            noise=measurements.noise(),
            seed=measurements.seed,
            record=measurements.record,
        )
        return cls(measurements, operator, seen, seen_operator, hidden)

    @property
    def count(self) -> int:
        """How many numbers are hidden of each image, of the first where they differ."""
        return int(self.hidden.expand(self.measurements.values.shape)[0].sum())

    @checked
    @torch.no_grad()
    def misfit(self, image: Images) -> PerImage:
        """The mean square of A x - y over the hidden numbers of each image.

        Args:
            image: x, (batch, *image_shape), on the device of the operator.

        Returns:
            (batch,), float64 on the CPU.
        """
        target, units = self.measurements.values.to(image), self.measurements.units
        kept = Detector(units, self.seen.values.to(image), self.seen_operator)
        line = kept.line(self.seen_operator(image))
        seen = Detector(units, target, self.operator).seen_by(line, self.operator(image))
        error = (seen - target) * self.hidden.to(image)
        counts = self.hidden.expand(error.shape).flatten(1).sum(1).cpu()
        return error.square().flatten(1).sum(1).double().cpu() / counts
