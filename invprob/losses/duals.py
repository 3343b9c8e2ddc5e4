"""Terms of the primal-dual method (`invprob.solver.primal_dual`), each with its dual variable.

A term stands for F(K x) with F convex. At each step it moves its dual variable,

    y <- y + ρ (ỹ - y),  ỹ = prox of σF* at y + σ K x̄,

and returns <K x̄, y>, of which the gradient is K'y. ρ is the relaxation, from 1 (none) to below 2.
"""

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.losses.base import BoundTerm, Term
from invprob.operators.base import LinearOperator, Operator
from invprob.types import Images, Measured, PerImage

DIFFERENCES = math.sqrt(8)  # bound of the norm of ∇ (Chambolle, J. Math. Imaging Vis. 2004)
RELAXATION = 1.6  # ρ; a quarter to a third fewer steps than with 1


class Dual(nn.Module):
    """A bound term with its dual variable, which a snapshot holds."""

    value: Tensor

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.register_buffer("value", value)

    @abstractmethod
    def map(self, image: Images, prediction: Measured) -> Tensor:
        """K x̄."""

    @abstractmethod
    def proximal(self, value: Tensor) -> Tensor:
        """The proximal map of σF*."""

    def forward(self, image: Images, prediction: Measured) -> PerImage:
        """Move the dual variable; returns <K x̄, y> for each image."""
        mapped = self.map(image, prediction)
        with torch.no_grad():
            self.value.lerp_(self.proximal(self.value + self.sigma * mapped), RELAXATION)
        return (mapped * self.value).flatten(1).sum(1)

    sigma: float


class _Differences(Dual):
    """A term of ∇x, with a dual variable (batch, 2, *image)."""

    def __init__(self, value: Tensor, sigma: float) -> None:
        super().__init__(value)
        self.sigma = sigma

    def map(self, image: Images, prediction: Measured) -> Tensor:
        del prediction
        return differences(image)


class TotalVariationDual(Term):
    """Σ sqrt(Σ_c |∇x_c|²): total variation, isotropic and joint over the channels.

    The edges of all channels are one edge (Blomgren & Chan, IEEE Trans. Image Process. 1998). y is
    clipped to the unit ball at each pixel.

    Args:
        sigma: the step size σ of y.
    """

    def __init__(self, sigma: float) -> None:
        super().__init__("tv-dual", 1.0)
        self.sigma = sigma

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        return _TotalVariation(target.new_zeros(len(target), 2, *operator.image_shape), self.sigma)


class _TotalVariation(_Differences):
    def proximal(self, value: Tensor) -> Tensor:
        return value / value.square().sum((1, 2), keepdim=True).sqrt().clamp(min=1)


class GradientDual(Term):
    """||∇x||² / 2: the squared differences of neighbouring pixels, each channel by itself.

    Args:
        sigma: the step size σ of y.
    """

    def __init__(self, sigma: float) -> None:
        super().__init__("gradient-dual", 1.0)
        self.sigma = sigma

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        return _Gradient(target.new_zeros(len(target), 2, *operator.image_shape), self.sigma)


class _Gradient(_Differences):
    def proximal(self, value: Tensor) -> Tensor:
        return value / (1 + self.sigma)


class DataDual(Term):
    """||A x - y||² / (2 λ), or A x = y where λ is 0, with A scaled to the norm of ∇.

    Args:
        fidelity: λ of min R(x) + ||A x - y||² / (2 λ), at least 0.
        sigma: the step size σ of y.

    Raises:
        ArgumentError: λ is negative; by `bind`, the operator is not linear.
    """

    detector = "offset"

    def __init__(self, fidelity: float, sigma: float) -> None:
        super().__init__("data-dual", 1.0)
        if not 0 <= fidelity < math.inf:
            raise ArgumentError(f"fidelity must be finite and at least 0, not {fidelity}")
        self.fidelity, self.sigma = fidelity, sigma

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        if not isinstance(operator, LinearOperator):
            raise ArgumentError(
                "the primal-dual method needs a linear operator, which this one is not; take "
                "--method tv-descent"
            )
        scale = DIFFERENCES / float(operator.norm())
        return _Data(self, target, scale)


class _Data(Dual):
    def __init__(self, term: DataDual, target: Measured, scale: float) -> None:
        super().__init__(torch.zeros_like(target))
        self._target, self._scale, self.sigma = target, scale, term.sigma
        self._shrink = 1 / (1 + term.sigma * scale**2 * term.fidelity)

    def map(self, image: Images, prediction: Measured) -> Tensor:
        del image
        return self._scale * (prediction - self._target)

    def proximal(self, value: Tensor) -> Tensor:
        return self._shrink * value


def differences(images: Images) -> Tensor:
    """∇x: forward differences down and to the right, 0 at the border; (batch, 2, *image)."""
    down = nn.functional.pad(images[..., 1:, :] - images[..., :-1, :], (0, 0, 0, 1))
    right = nn.functional.pad(images[..., 1:] - images[..., :-1], (0, 1))
    return torch.stack([down, right], 1)
