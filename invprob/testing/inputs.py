"""What the laws of a contract are examined with: seeded inputs, and verdicts as exceptions."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from invprob.draws import normal, uniform
from invprob.errors import ContractError
from invprob.operators.base import LinearOperator, Operator
from invprob.operators.external import External

EXACT = 1e-10  # relative, in float64


class NotExamined(Exception):
    """A law cannot be examined for this operator."""


def demand(kept: bool, otherwise: str) -> None:
    """Raise `ContractError` unless a law is kept."""
    if not kept:
        raise ContractError(otherwise)


def small(error: Tensor | float, scale: Tensor | float, tolerance: float) -> str:
    """Demand that an error is small beside a scale, or beside 1 where the scale is zero."""
    relative = abs(float(error)) / (float(scale) or 1.0)
    demand(relative < tolerance, f"relative error {relative:.1e}, allowed {tolerance:.0e}")
    return f"relative error {relative:.1e}"


def images_of(operator: Operator, batch: int = 2, seed: int = 0) -> Tensor:
    """Images strictly inside [-1, 1], where operators on images are defined."""
    rng = torch.Generator().manual_seed(seed)
    return 1.8 * uniform((batch, *operator.image_shape), rng, torch.float64) - 0.9


def measurements_of(operator: Operator, batch: int = 2) -> Tensor:
    """Normal numbers in the shape of measurements."""
    rng = torch.Generator().manual_seed(100)
    return normal((batch, *operator.measurement_shape), rng, torch.float64)


def double_of(operator: Operator) -> Operator:
    """A copy in float64 on the CPU."""
    return copy.deepcopy(operator).to("cpu", torch.float64)


def linear_of(operator: Operator) -> LinearOperator:
    """A copy of a linear operator in float64 on the CPU."""
    double = double_of(operator)
    assert isinstance(double, LinearOperator)
    return double


def gradient_of(function: Callable[[Tensor], Tensor], at: Tensor, weights: Tensor) -> Tensor:
    """The gradient of <function(at), weights>."""
    at = at.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((function(at) * weights).sum(), at)
    return gradient


def foreign(operator: Operator) -> bool:
    """Whether the operator, or a part of it, wraps what another package made."""
    return any(isinstance(part, External) for part in operator.modules())
