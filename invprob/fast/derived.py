"""Tensors computed from a fixed buffer: at first use, for each dtype and device, never saved."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor


class _Entry(NamedTuple):
    buffer: Tensor
    state: tuple[int, int]  # version and place in memory
    values: Tensor


class Derived:
    """Keeps what is computed from a buffer, such as its spectrum or a cast, for later calls.

    A buffer of its own would not do: `Module.to(dtype)` breaks complex ones, and a cast at every
    call costs as much as the arithmetic. When the buffer is replaced or changed in place, the
    values are computed again. Copies and pickles start empty.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[torch.dtype, torch.device], _Entry] = {}

    def of(
        self,
        buffer: Tensor,
        like: Tensor | None = None,
        transform: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Compute `transform(buffer)`, or return what was computed before.

        Args:
            buffer: The fixed tensor.
            like: A tensor with the dtype and device to return; complex values get the complex
                dtype that belongs to it. None takes the buffer's.
            transform: None leaves the values as they are.

        Returns:
            A tensor without gradient.
        """
        like = buffer if like is None else like
        key = (like.dtype, like.device)
        state = (0 if buffer.is_inference() else buffer._version, buffer.data_ptr())
        known = self._known.get(key)
        if known is None or known.buffer is not buffer or known.state != state:
            # Later calls may need gradients, so these must not become inference tensors.
            with torch.inference_mode(False), torch.no_grad():
                values = buffer if transform is None else transform(buffer)
                dtype = like.dtype.to_complex() if values.is_complex() else like.dtype
                values = values.to(like.device, dtype)
            known = self._known[key] = _Entry(buffer, state, values)
        return known.values

    def __len__(self) -> int:
        """The number of pairs of dtype and device for which values are kept."""
        return len(self._known)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles start empty."""
        return Derived, ()
