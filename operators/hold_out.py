"""Leave measurements out, so that they can judge what was restored from the others."""

import math
from typing import Annotated

import torch
from torch import Tensor

from invprob.draws import permutation
from invprob.errors import ArgumentError
from invprob.operators.checks import checked_shape, seeded
from invprob.operators.masks import Masked
from invprob.operators.units import NEVER, numbers
from invprob.registry import register
from invprob.types import Shape


@register.operator("hold-out")
class HoldOut(Masked):
    """Hide a random share of all elements, each element by itself.

        y[i] = x[i] where element i is kept, else 0

    As the outermost operator of a chain it hides measurements, which can then judge what was
    restored from the others (`--stop held-out`). Of n elements k = max(1, round(share · n)) are
    hidden: the first k of `randperm(n)`, drawn from `torch.Generator().manual_seed(seed)` on the
    CPU. What remains is not rescaled.

    Raises:
        ArgumentError: the share is outside (0, 1), or leaves no element.
    """

    def __init__(
        self,
        image_shape: Shape,
        share: Annotated[float, "share of the elements that are hidden, in (0, 1)"] = 0.05,
        seed: int = 0,
    ) -> None:
        shape = checked_shape("image_shape", image_shape)
        kept = torch.ones(math.prod(shape), dtype=torch.bool, device="cpu")
        if not 0 < share < 1 or round(share * len(kept)) >= len(kept):
            raise ArgumentError(
                f"share must be in (0, 1) and leave some of the {len(kept)} elements, got {share}"
            )
        hidden = max(1, round(share * len(kept)))
        kept[permutation(len(kept), seeded(seed))[:hidden]] = False
        super().__init__(shape, kept.view(shape))
        self.share, self.seed = share, seed

    def units(self) -> Tensor:
        """The elements that are kept, each by itself."""
        return torch.where(self.seen.cpu(), numbers(self.measurement_shape), NEVER)

    @classmethod
    def example(cls) -> "HoldOut":
        """A fifth of small colour images."""
        return cls((3, 8, 8), share=0.2)
