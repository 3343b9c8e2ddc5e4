"""What a modulated layer asks of its convolution: conv(scale · x) by a weight, with gradients."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor


class Wanted(NamedTuple):
    """Which gradients are asked for."""

    x: bool
    scale: bool
    weight: bool


class Gradients(NamedTuple):
    """Gradients in the shapes of what they belong to. One that was not asked for may be None."""

    x: Tensor | None
    scale: Tensor | None
    weight: Tensor | None


class Modulated(ABC):
    """A way to compute conv(scale · x) and its gradients, outside of autograd."""

    @abstractmethod
    def modulated(self, x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        """conv(scale · x).

        Args:
            x: (batch, inputs, h, w), in any precision.
            weight: (outputs, inputs, k, k), or such a weight for each image.
            scale: (batch, inputs).

        Returns:
            (batch, outputs, H, W), in the precision of x.
        """

    @abstractmethod
    def gradients(
        self, gradient: Tensor, x: Tensor, weight: Tensor, scale: Tensor, wanted: Wanted
    ) -> Gradients:
        """The gradients to x, scale and weight.

        Args:
            gradient: that to the result, (batch, outputs, H, W).
            x: as in `modulated`.
            weight: as in `modulated`.
            scale: as in `modulated`.
            wanted: which of them are asked for.
        """


def per_channel(values: Tensor, features: Tensor) -> Tensor:
    """Values (batch or 1, channels) in the shape and type in which they multiply features."""
    return values.view(*values.shape, 1, 1).to(features.dtype)


def through_scale(
    gradient: Tensor, x: Tensor, scale: Tensor, wanted: Wanted
) -> tuple[Tensor, Tensor | None]:
    """The gradients to x and scale, given that to scale · x, which is overwritten."""
    d_scale = (x * gradient).sum((2, 3), dtype=scale.dtype) if wanted.scale else None
    return gradient.mul_(per_channel(scale, gradient)), d_scale
