"""Total variation of the difference from a reference image, as a term of the primal-dual method."""

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.losses.base import BoundTerm, Term
from invprob.losses.duals import Dual, differences
from invprob.operators.base import Operator
from invprob.types import Images, Measured


class ReferenceVariationDual(Term):
    """α Σ sqrt(Σ_c |∇(x - x₀)_c|²), x₀ the image at which the descent starts.

    An edge of x costs nothing where x₀ has the same one: the first term of equation (2) of "Prior
    image constrained compressed sensing" (Chen, Tang & Leng, Med. Phys. 2008).

    Args:
        share: α, at least 0. With 0 the reference has no effect.
        sigma: the step size σ of the dual variable.

    Raises:
        ArgumentError: α is negative.
    """

    def __init__(self, share: float, sigma: float) -> None:
        super().__init__("reference-dual", 1.0)
        if not share >= 0:
            raise ArgumentError(f"share must be at least 0, not {share}")
        self.share, self.sigma = share, sigma

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Begin with a dual variable of 0 and without a reference."""
        return _Reference(self, target.new_zeros(len(target), *operator.image_shape))


class _Reference(Dual):
    """The dual variable of ∇(x - x₀), (batch, 2, *image); each pixel's is at most α long."""

    reference: Tensor
    known: Tensor

    def __init__(self, term: ReferenceVariationDual, image: Tensor) -> None:
        super().__init__(image.new_zeros(len(image), 2, *image.shape[1:]))
        self.sigma, self._radius = term.sigma, term.share
        self.register_buffer("reference", image)
        self.register_buffer("known", torch.zeros((), dtype=torch.bool, device="cpu"))

    def map(self, image: Images, prediction: Measured) -> Tensor:
        del prediction
        with torch.no_grad():  # and without a look at `known`, for which the device would wait
            self.reference.copy_(torch.where(self.known, self.reference, image))
            self.known.fill_(True)
        return differences(image - self.reference)

    def proximal(self, value: Tensor) -> Tensor:
        length = value.square().sum((1, 2), keepdim=True).sqrt()
        return value * (self._radius / length.clamp(min=max(self._radius, 1e-12)))
