"""Total variation towards a reference image, as a term of the primal-dual method."""

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.losses.base import BoundTerm, Term
from invprob.losses.duals import Dual, differences
from invprob.operators.base import Operator
from invprob.types import Images, Measured


class ReferenceVariationDual(Term):
    """α Σ |∇(x - x₀)| + (1 - α) Σ |∇x|, lengths joint over the channels, x₀ the first image.

    Equation (2) of "Prior image constrained compressed sensing" (Chen, Tang & Leng, Med. Phys.
    2008): edges of x cost less where x₀ has the same ones. x₀ is the image at which the descent
    starts.

    Args:
        share: α in [0, 1]. With 0 the reference has no effect.
        sigma: the step size σ of the dual variable.

    Raises:
        ArgumentError: α is outside [0, 1].
    """

    def __init__(self, share: float, sigma: float) -> None:
        super().__init__("reference-dual", 1.0)
        if not 0 <= share <= 1:
            raise ArgumentError(f"reference must be a share in [0, 1], not {share}")
        self.share, self.sigma = share, sigma

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Begin with duals of 0 and without a reference."""
        return _Reference(self, target.new_zeros(len(target), *operator.image_shape))


class _Reference(Dual):
    """The dual variables of ∇x and of ∇(x - x₀), (batch, 2, 2, *image)."""

    reference: Tensor
    known: Tensor

    def __init__(self, term: ReferenceVariationDual, image: Tensor) -> None:
        super().__init__(image.new_zeros(len(image), 2, 2, *image.shape[1:]))
        self.sigma = term.sigma
        self.register_buffer("reference", image)
        self.register_buffer("known", torch.zeros((), dtype=torch.bool))
        radii = image.new_tensor([1 - term.share, term.share])
        self._radii = radii.view(1, 2, *[1] * image.ndim)

    def map(self, image: Images, prediction: Measured) -> Tensor:
        del prediction
        if not self.known:
            self.reference.copy_(image.detach())
            self.known.fill_(True)
        return torch.stack([differences(image), differences(image - self.reference)], 1)

    def proximal(self, value: Tensor) -> Tensor:
        """Each block back to the ball of its radius, at each pixel."""
        lengths = value.square().sum((2, 3), keepdim=True).sqrt()
        return value * (self._radii / lengths.clamp(min=1e-12)).clamp(max=1)
