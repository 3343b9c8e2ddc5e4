"""What a frozen weight gives once and for all."""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor


@final
class Derived:
    """What `compute` makes of a tensor, kept while the tensor stays frozen and the same."""

    def __init__(self, compute: Callable[[Tensor], Tensor]) -> None:
        self._compute = compute
        self._kept: Tensor | None = None
        self._state: tuple[int, int, torch.dtype] | None = None

    def of(self, source: Tensor) -> Tensor:
        """Compute, or give what is kept; of a tensor that takes a gradient nothing is."""
        if source.requires_grad:
            return self._compute(source)
        state = (source.data_ptr(), source._version, source.dtype)
        if self._kept is None or state != self._state:
            with torch.inference_mode(False):  # what is kept may serve a gradient later
                self._kept, self._state = self._compute(source.detach()), state
        return self._kept
