"""Constraints that are restored after each step: spheres, l1 balls, a box in whitened W."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from invprob.contracts import Contract
from invprob.errors import ArgumentError
from invprob.priors.stylegan.statistics import Whitening


class Constraint(Contract, ABC):
    """A set to which a free tensor is projected after each step.

    An `anchored` set depends on where the tensor began.
    """

    anchored: ClassVar[bool] = False

    @abstractmethod
    def restore_(self, value: Tensor, origin: Tensor) -> None:
        """Move a tensor into the set, in place and without gradients.

        Args:
            value: the free tensor, (batch, ...).
            origin: where it began, of the same shape. Only an anchored set may read it.
        """


class Spheres(Constraint):
    """Every vector keeps the norm with which it began (PULSE, CVPR 2020; ILO, ICML 2021).

    A vector is all that lies behind the first two axes: a row of z+ (batch, rows, width), or a
    noise map (batch, 1, h, w).
    """

    anchored = True

    def restore_(self, value: Tensor, origin: Tensor) -> None:
        value *= (_norms(origin) / _norms(value)).view(*value.shape[:2], *[1] * (value.ndim - 2))


class L1Ball(Constraint):
    """The tensor of an image stays near its origin in the l1 norm (ILO, ICML 2021).

    Args:
        radius: the largest l1 distance, positive.

    Raises:
        ArgumentError: the radius is not positive.
    """

    anchored = True

    def __init__(self, radius: float) -> None:
        if not radius > 0:
            raise ArgumentError(f"the radius of an l1 ball must be positive, not {radius}")
        self.radius = radius

    def restore_(self, value: Tensor, origin: Tensor) -> None:
        moved = project_l1((value - origin).flatten(1), self.radius)
        value.copy_(origin + moved.view_as(value))


class WhitenedBox(Constraint):
    """Every whitened coordinate of w stays within ±bound (the hard form of P-norm+).

    Rows inside stay as they are, bit for bit.

    Args:
        whitening: maps w to its whitened coordinates.
        bound: the largest absolute coordinate, positive; in standard deviations.

    Raises:
        ArgumentError: the bound is not positive.
    """

    def __init__(self, whitening: Whitening, bound: float) -> None:
        if not bound > 0:
            raise ArgumentError(f"the bound of whitened coordinates must be positive, not {bound}")
        self.whitening, self.bound = whitening, bound

    def restore_(self, value: Tensor, origin: Tensor) -> None:
        del origin
        coordinates = self.whitening(value)
        outside = (coordinates.abs() > self.bound).any(-1, keepdim=True)
        clipped = self.whitening.inverse(coordinates.clamp(-self.bound, self.bound))
        value.copy_(torch.where(outside, clipped, value))


def project_l1(rows: Tensor, radius: float) -> Tensor:
    """The nearest point of the l1 ball to each row (Duchi et al., ICML 2008, fig. 1).

    Args:
        rows: (batch, n).
        radius: of the ball around 0, positive.

    Returns:
        (batch, n); rows inside the ball as they are.
    """
    sizes = rows.abs()
    sorted_, _ = sizes.sort(-1, descending=True)
    excess = sorted_.cumsum(-1) - radius
    counts = torch.arange(1, rows.shape[-1] + 1, device=rows.device, dtype=rows.dtype)
    rho = (sorted_ * counts > excess).sum(-1, keepdim=True).clamp_min(1)  # at least one, for NaN
    threshold = excess.gather(-1, rho - 1) / rho
    shrunk = rows.sign() * (sizes - threshold).clamp_min(0)
    return torch.where(sizes.sum(-1, keepdim=True) > radius, shrunk, rows)


def _norms(tensor: Tensor) -> Tensor:
    """The norm of every vector, (batch, vectors)."""
    norms: Tensor = tensor.flatten(2).norm(dim=2)
    return norms
