"""Pseudo-inverse and norm of a linear map that is known only by its application."""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from scipy.linalg import eigvalsh_tridiagonal
from torch import Tensor

from invprob.types import Images, Measured, PerImage

Map: TypeAlias = Callable[[Tensor], Tensor]


def least_squares(
    apply: Map, adjoint: Map, measurement: Measured, iterations: int, tolerance: float
) -> Images:
    """The least-squares image of least norm, by conjugate gradients on A'Ax = A'y (CGLS).

    Source: Björck, Numerical Methods for Least Squares Problems, 1996, section 7.4. The names
    are those of the textbook: x, r = y - Ax, s = A'r, p, q = Ap, γ = ||s||². Each image of the
    batch has its own step sizes, and stops when ||s|| is `tolerance` times ||A'y||. Half
    precisions, in which ||s||² leaves its range, work in float32.
    """
    r = measurement.to(torch.promote_types(measurement.dtype, torch.float32))
    s = adjoint(r)
    x = torch.zeros_like(s)
    p = s
    gamma = _squared(s)
    goal = tolerance**2 * gamma
    for _ in range(iterations):
        active = gamma > goal
        if not _any_at_work(active):
            break
        q = apply(p)
        # A finished image takes no further step, so that it does not depend on its neighbours.
        alpha = torch.where(active, _ratio(gamma, _squared(q)), 0.0)
        x = x + _scaled(alpha, p)
        r = r - _scaled(alpha, q)
        s = adjoint(r)
        previous, gamma = gamma, torch.where(active, _squared(s), gamma)
        p = s + _scaled(_ratio(gamma, previous), p)
    return x.to(measurement.dtype)


def largest_singular_value(normal: Map, start: Images, iterations: int, tolerance: float) -> float:
    """The largest singular value of A, by the Lanczos process on A'A from a given image.

    Source: Golub and Van Loan, Matrix Computations, 2013, section 10.1, with its names. The vectors
    are not made orthogonal again, which the largest eigenvalue does not need. The process ends once
    the value has changed by less than `tolerance` of itself in two steps, or nothing is left.
    """
    alphas: list[float] = []
    betas: list[float] = []
    beta, values = 0.0, [0.0, 0.0]
    with torch.no_grad():
        q, before = start / start.norm(), torch.zeros_like(start)
        for _ in range(iterations):
            r = normal(q)
            alphas.append(float((q * r).sum()))
            r = r - alphas[-1] * q - beta * before
            last = len(alphas) - 1
            ends = np.asarray(
                eigvalsh_tridiagonal(alphas, betas, select="i", select_range=(last, last))
            )
            values.append(math.sqrt(max(0.0, float(ends[0]))))
            beta = float(r.norm())
            if max(abs(values[-1] - one) for one in values[-3:-1]) <= tolerance * values[-1]:
                break
            if beta <= torch.finfo(r.dtype).eps * max(alphas):
                break
            betas.append(beta)
            q, before = r / beta, q
    return values[-1]


def _any_at_work(active: Tensor) -> bool:
    """Whether any image is at work, those of all calls together under `torch.func.vmap`."""
    return bool(_Any.apply(active))


class _Any(torch.autograd.Function):
    """`Tensor.any`, with one result for all calls that `vmap` makes at once."""

    @staticmethod
    def forward(flags: Tensor) -> Tensor:
        return flags.any()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def vmap(  # pyright: ignore[reportIncompatibleMethodOverride]
        info: Any, in_dims: tuple[Any, ...], flags: Tensor
    ) -> tuple[Tensor, None]:
        return _Any.apply(flags), None


def _squared(tensor: Tensor) -> PerImage:
    return tensor.flatten(1).square().sum(1)


def _ratio(above: PerImage, below: PerImage) -> PerImage:
    return torch.where(below > 0, above / torch.where(below > 0, below, 1.0), 0.0)


def _scaled(factor: PerImage, tensor: Tensor) -> Tensor:
    return factor.view(-1, *[1] * (tensor.ndim - 1)) * tensor
