"""Penalties on free variables: weighted terms, by name, that are added to the loss."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from invprob.contracts import Contract
from invprob.errors import ArgumentError
from invprob.priors.stylegan.statistics import Whitening
from invprob.types import PerImage, Styles


class Penalty(Contract, ABC):
    """A weighted function of a free tensor.

    An `anchored` penalty depends on where the tensor began. `name` is that of its term in the
    loss.

    Args:
        weight: factor of the penalty in the loss, at least 0.

    Raises:
        ArgumentError: the weight is negative or not finite.
    """

    name: ClassVar[str]
    anchored: ClassVar[bool] = False

    def __init__(self, weight: float) -> None:
        if not (math.isfinite(weight) and weight >= 0):
            raise ArgumentError(
                f"the weight of {self.name!r} must be finite and >= 0, not {weight}"
            )
        self.weight = weight

    @abstractmethod
    def __call__(self, value: Tensor, origin: Tensor) -> PerImage:
        """The penalty of each image, without its weight.

        Args:
            value: the free tensor, or what the part lets penalties see of it; (batch, ...).
            origin: where the tensor began. Only an anchored penalty may read it.
        """


class Geocross(Penalty):
    """Squared angles between the rows, which keep Z+ near Z, or W+ near W (PULSE, CVPR 2020).

    Args:
        weight: factor in the loss, at least 0.
        first: the first row that counts; those below are not in use.
    """

    name = "geocross"

    def __init__(self, weight: float, *, first: int = 0) -> None:
        super().__init__(weight)
        self.first = first

    def __call__(self, value: Tensor, origin: Tensor) -> PerImage:
        del origin
        return geocross(value[:, self.first :])


class PNorm(Penalty):
    """P-norm+ (Zhu et al., arXiv:2012.09036): mean square of the whitened rows.

    Args:
        whitening: maps w to its whitened coordinates.
        weight: factor in the loss, at least 0.
    """

    name = "p-norm+"

    def __init__(self, whitening: Whitening, weight: float) -> None:
        super().__init__(weight)
        self.whitening = whitening

    def __call__(self, value: Tensor, origin: Tensor) -> PerImage:
        del origin
        return mean_square(self.whitening(value))


class Mahalanobis(Penalty):
    """(v - μ)ᵀ Σ⁻¹ (v - μ), mean over the rows (Wulff & Torralba, arXiv:2009.06529).

    It equals the style width times P-norm+.

    Args:
        whitening: maps w to its whitened coordinates.
        weight: factor in the loss, at least 0.
    """

    name = "mahalanobis"

    def __init__(self, whitening: Whitening, weight: float) -> None:
        super().__init__(weight)
        self.whitening = whitening

    def __call__(self, value: Tensor, origin: Tensor) -> PerImage:
        del origin
        return value.shape[-1] * mean_square(self.whitening(value))


class Gaussian(Penalty):
    """||z||², mean over the rows: minus twice the log density of z (Bora et al., ICML 2017)."""

    name = "gaussian"

    def __call__(self, value: Tensor, origin: Tensor) -> PerImage:
        del origin
        return value.shape[-1] * mean_square(value)


class Distance(Penalty):
    """Mean squared distance from the start: ||F - F0||² in BDInvert (Kang et al., ICCV 2021)."""

    name = "distance"
    anchored = True

    def __call__(self, value: Tensor, origin: Tensor) -> PerImage:
        return mean_square(value - origin)


def geocross(rows: Styles) -> PerImage:
    """Mean over all ordered pairs of rows of the squared angle between them, times width / 8.

    The angle is 2·atan2(||a - b||, ||a + b||) for rows of equal norm (PULSE, Menon et al., CVPR
    2020). A single row has the value 0.
    """
    count, width = rows.shape[1:]
    first, second = torch.triu_indices(count, count, 1, device=rows.device, dtype=torch.int64)
    a, b = rows[:, first], rows[:, second]
    # Unlike the root of a sum, this norm has a gradient where rows coincide: zero.
    apart = torch.linalg.vector_norm(a - b, dim=-1)
    angle = 2 * torch.atan2(apart, torch.linalg.vector_norm(a + b, dim=-1))
    return angle.square().sum(1) * (2 / count**2) * width / 8


def mean_square(value: Tensor) -> PerImage:
    """Mean of squares over all but the batch axis."""
    return value.square().flatten(1).mean(1)
