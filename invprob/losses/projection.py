"""The term of projected gradient descent, whose target moves."""

import math

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.losses.base import BoundTerm, Term
from invprob.operators.base import Operator
from invprob.types import Images, Measured, PerImage


class ProjectedGradient(Term):
    """||x - v||² / n to a point v = x₀ - η Aᵀ(A x₀ - y), which is renewed every few steps.

    x₀ is the image at the step at which v is renewed. Minimising the term over the images of a
    generator is the projection of projected gradient descent (Shah & Hegde, ICASSP 2018).
    Aᵀ(A x - y) is the gradient of ||A x - y||² / 2, so that A need not be linear.

    Args:
        step: the step size η.
        inner: how many steps of the optimiser make one projection, at least 1.
        weight: weight of the term in the objective, at least 0.

    Raises:
        ArgumentError: the step is not positive and finite, or `inner` is below 1.
    """

    detector = "none"

    def __init__(self, step: float, inner: int, weight: float = 1.0) -> None:
        super().__init__("projection", weight)
        if not (math.isfinite(step) and step > 0):
            raise ArgumentError(f"step must be positive and finite, not {step}")
        if inner < 1:
            raise ArgumentError(f"inner must be at least 1 step, not {inner}")
        self.step, self.inner = step, inner

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Bind the measurements y and the operator A."""
        return _Projection(self, target, operator)


class _Projection(nn.Module):
    """The bound term; a snapshot holds the point that is projected and the number of the step."""

    goal: Tensor
    calls: Tensor

    def __init__(self, term: ProjectedGradient, target: Measured, operator: Operator) -> None:
        super().__init__()
        self._term, self._target, self._forward = term, target, operator.surrogate
        shape = (len(target), *operator.image_shape)
        self.register_buffer("goal", target.new_zeros(shape))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64, device="cpu"))

    def forward(self, image: Images, prediction: Measured) -> PerImage:
        """The distance to the goal, which is renewed first where that is due."""
        del prediction
        if int(self.calls) % self._term.inner == 0:
            self.goal.copy_(image.detach() - self._term.step * self._gradient(image))
        self.calls += 1
        return (image - self.goal).square().flatten(1).mean(1)

    def _gradient(self, image: Images) -> Images:
        with torch.enable_grad():
            x = image.detach().requires_grad_()
            misfit = (self._forward(x) - self._target).square().sum() / 2
            (gradient,) = torch.autograd.grad(misfit, x)
        return gradient
