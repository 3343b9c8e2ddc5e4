"""What an operator observes: means over it, noise on it alone, and how to find it by measuring.

`Operator.observed` says which numbers of a measurement show something of the image. In means over
measurements the others count for nothing, whatever stands in their place.
"""

import copy

import torch
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.draws import uniform
from invprob.fast.derived import Derived
from invprob.operators.base import Operator
from invprob.operators.placement import device_of
from invprob.types import Measured, PerImage

_ROUNDING = 1e-12  # change, as a share of the largest, that float64 arithmetic makes of nothing


class Observed:
    """The numbers of a measurement that an operator observes.

    Args:
        operator: what measures.

    Attributes:
        counts: how many they are, (1,), or (images,) where each image has an operator of its own.
    """

    def __init__(self, operator: Operator) -> None:
        self._seen = operator.observed()
        self.counts = self._seen.flatten(1).sum(1)
        self._whole = bool(self._seen.all())
        self._masks = Derived()

    def mean(self, values: Measured) -> PerImage:
        """The mean over what is observed of each image, 0 where nothing is.

        Args:
            values: (batch, *measurement_shape), on any device.

        Returns:
            (batch,).
        """
        if self._whole:
            return values.flatten(1).mean(1)
        return self.shown(values).flatten(1).sum(1) / self.counts.clamp(min=1).to(values)

    def shown(self, values: Measured) -> Measured:
        """The values where something is observed, and 0 elsewhere.

        Args:
            values: (batch, *measurement_shape), on any device.
        """
        return values if self._whole else self.only(values, torch.zeros_like(values))

    def only(self, values: Measured, others: Measured) -> Measured:
        """The values where something is observed, and the others elsewhere.

        Args:
            values: (batch, *measurement_shape), on any device.
            others: what takes the place of the rest, of the same shape.
        """
        return values if self._whole else torch.where(self._mask(values), values, others)

    def target(self, values: Measured, operator: Operator) -> Measured:
        """What a prediction is compared with: it differs from it only where something is observed.

        Args:
            values: what was measured, (batch, *measurement_shape), on any device.
            operator: what measured it.

        Returns:
            The values where something is observed, and what the operator always puts elsewhere.
        """
        if self._whole:
            return values
        device = device_of(operator, values.device)
        grey = values.new_zeros(len(values), *operator.image_shape, device=device)
        with torch.no_grad():
            blank = operator(grey).to(values)
        return self.only(values, blank)

    def _mask(self, like: Tensor) -> Tensor:
        place = torch.empty(0, dtype=torch.bool, device=like.device)
        return self._masks.of(self._seen, place)


def varies(operator: Operator, images: int = 1) -> Tensor:
    """Find which numbers of a measurement change with the image, by measuring a few in float64.

    Args:
        operator: what measures.
        images: how many images have an operator of their own; 1 where all have the same.

    Returns:
        bool on the CPU, (images, *measurement_shape).
    """
    changes = changes_of(operator, images, torch.float64)
    return torch.stack([change > _ROUNDING * change.max() for change in changes])


def changes_of(operator: Operator, images: int, dtype: torch.dtype) -> list[Tensor]:
    """How far each number of a measurement moves between black, white and two random images.

    Args:
        operator: what measures.
        images: how many images have an operator of their own; 1 where all have the same.
        dtype: that of the images and of the arithmetic.

    Returns:
        (*measurement_shape) for each of the images, on the CPU.
    """
    return [_change(operator.for_images(slice(i, i + 1)), dtype) for i in range(images)]


@undisturbed()
@torch.no_grad()
def _change(operator: Operator, dtype: torch.dtype) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    drawn = [1.8 * uniform(operator.image_shape, rng) - 0.9 for _ in range(2)]
    images = torch.stack([torch.full_like(drawn[0], grey) for grey in (-0.9, 0.9)] + drawn)
    probe = copy.deepcopy(operator).to("cpu", dtype)
    measured = torch.cat([probe(image) for image in images.to(dtype).split(1)])
    return measured.amax(0) - measured.amin(0)
