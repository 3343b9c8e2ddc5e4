"""The primal-dual method of Chambolle and Pock, for objectives with corners.

It solves min over x in C of F(K x) with F convex, in the form

    min over x in C, max over y:  <K x, y> - F*(y)

(Chambolle & Pock, J. Math. Imaging Vis. 2011, algorithm 1 with theta = 1), and goes further along
each step than it ends, which needs fewer of them (Condat, J. Optim. Theory Appl. 2013, algorithm
3.2). The dual variables y live in the terms of `invprob.losses.duals`. Each term moves its own and
returns <K x, y>. The gradient of that sum is K'y, and this optimiser moves x along it.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.losses.duals import RELAXATION
from invprob.priors.base import ParamGroup
from invprob.solver.optimisers import Optimiser, Stepper
from invprob.types import PerImage


class PrimalDual(Optimiser):
    """x̃ = P_C(x - τ K'y); the terms are evaluated next at x̄ = 2 x̃ - x, and x <- x + ρ (x̃ - x).

    The step sizes of x and y must satisfy τ σ ||K||² <= 1. An image x̃ has converged, and stays as
    it is, once neither x̃ nor the step τ K'y changes by more than the tolerance.

    Args:
        tau: the step size τ of the image.
        tolerance: root mean square of a change, in grey levels of an image in [-1, 1].

    Raises:
        ArgumentError: a number is not positive.
    """

    descends = False  # its terms are dual variables, and it takes no others
    scheduled = False

    def __init__(self, tau: float, tolerance: float = 1e-5) -> None:
        for name, value in (("tau", tau), ("tolerance", tolerance)):
            if not value > 0:
                raise ArgumentError(f"{name} must be positive, not {value}")
        self.tau, self.tolerance = tau, tolerance

    def start(self, groups: Sequence[ParamGroup]) -> Stepper:
        """Begin at the parameters: one tensor of images in [-1, 1]."""
        parameters = [value for group in groups for value in group.parameters]
        if len(parameters) != 1:
            raise ArgumentError(
                f"the primal-dual method moves one tensor of images, not {len(parameters)}; take "
                "the prior `pixels`"
            )
        return _PrimalDualStepper(self, parameters[0])


class _PrimalDualStepper(Stepper):
    """The parameter holds x̄, at which the terms are evaluated."""

    def __init__(self, optimiser: PrimalDual, parameter: Tensor) -> None:
        self._tau, self._tolerance = optimiser.tau, optimiser.tolerance
        self._extrapolated = parameter
        self._image = parameter.detach().clone()  # x̃
        self._relaxed = self._image.clone()  # x
        self._move = torch.zeros_like(self._image)  # τ K'y of the step before
        self._fixed = torch.zeros(len(parameter), dtype=torch.bool, device=parameter.device)

    @torch.no_grad()
    def step(self, scale: float, losses: PerImage) -> None:
        """Take one step; the step size is constant, whatever the schedule says."""
        del scale, losses
        assert self._extrapolated.grad is not None
        move = self._tau * self._extrapolated.grad
        relaxed = self._relaxed.lerp(self._image, RELAXATION)
        image = (relaxed - move).clamp(-1, 1)
        image = torch.where(_per_pixel(self._fixed, image), self._image, image)
        self._extrapolated.copy_(2 * image - relaxed)
        change = torch.maximum(_rms(image - self._image), _rms(move - self._move))
        self._fixed |= change < self._tolerance
        self._image, self._relaxed, self._move = image, relaxed, move
        self._extrapolated.grad = None

    def converged(self) -> bool:
        """Whether every image has converged."""
        return bool(self._fixed.all())

    def settle(self) -> None:
        """Set the parameter to x̃, which is within C."""
        with torch.no_grad():
            self._extrapolated.copy_(self._image)

    def state(self) -> dict[str, Tensor]:
        return {
            "image": self._image,
            "relaxed": self._relaxed,
            "move": self._move,
            "fixed": self._fixed,
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        like = self._image
        self._image, self._relaxed, self._move = (
            state[name].to(like).clone() for name in ("image", "relaxed", "move")
        )
        self._fixed = state["fixed"].to(like.device).clone()


def _rms(images: Tensor) -> PerImage:
    return images.square().flatten(1).mean(1).sqrt()


def _per_pixel(flags: Tensor, images: Tensor) -> Tensor:
    return flags.view(-1, *[1] * (images.ndim - 1))
