"""Leave measurements out, so that they can judge what was restored from the others."""

from typing import Annotated

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.operators.base import LinearOperator, seeded
from invprob.operators.derived import Derived
from invprob.registry import register
from invprob.types import Images, Measured, Shape


@register.operator("hold-out")
class HoldOut(LinearOperator):
    """Replace a random share of all elements by 0, each element by itself.

    Left out are k = max(1, round(share · n)) of n elements, the first k of `randperm(n)` from
    `torch.Generator().manual_seed(seed)` on the CPU. What remains is not rescaled. As the outermost
    operator of a chain it hides measurements. Raises `ArgumentError` for a share outside (0, 1) or
    one that leaves nothing.
    """

    kept: Tensor  # image_shape, bool

    def __init__(
        self,
        image_shape: Shape,
        share: Annotated[float, "share of the elements that are left out, in (0, 1)"] = 0.05,
        seed: int = 0,
    ) -> None:
        super().__init__(image_shape, image_shape)
        kept = torch.ones(self.image_shape, dtype=torch.bool).flatten()
        if not 0 < share < 1 or round(share * len(kept)) >= len(kept):
            raise ArgumentError(
                f"share must be in (0, 1) and leave some of the {len(kept)} elements, got {share}"
            )
        self.share, self.seed = share, seed
        hidden = max(1, round(share * len(kept)))
        kept[torch.randperm(len(kept), generator=seeded(seed))[:hidden]] = False
        self.register_buffer("kept", kept.view(self.image_shape), persistent=False)
        self._cast = Derived()

    def forward(self, image: Images) -> Measured:
        """The elements, 0 where they are left out."""
        return image * self._cast.of(self.kept, image)

    def adjoint(self, measurement: Measured) -> Images:
        """The same again: the operator is a projection."""
        self.check_measurement(measurement)
        return measurement * self._cast.of(self.kept, measurement)

    def pinv(
        self, measurement: Measured, *, iterations: int = 200, tolerance: float = 1e-6
    ) -> Images:
        """The same again."""
        return self.adjoint(measurement)

    def norm(self, *, iterations: int = 1000, tolerance: float = 1e-7, seed: int = 0) -> float:
        """One, for some element remains."""
        return 1.0

    @classmethod
    def example(cls) -> "HoldOut":
        """A fifth of small colour images."""
        return cls((3, 8, 8), share=0.2)
