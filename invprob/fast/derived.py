"""What follows from a fixed buffer: made at first use, for each dtype and device, never saved."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor


class _Entry(NamedTuple):
    buffer: Tensor
    state: tuple[int, int]  # version and place in memory
    values: Tensor


class Derived:
    """A buffer in every dtype in which it was asked for, as it is or transformed: its spectrum.

    A complex buffer does not survive `Module.to(dtype)`, and casts at every call cost as much as
    the arithmetic; these live beside the buffers. A buffer that was replaced or changed in place
    gives new ones; copies and pickles start empty.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[torch.dtype, torch.device], _Entry] = {}

    def of(
        self,
        buffer: Tensor,
        like: Tensor | None = None,
        transform: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """`transform(buffer)`, in the dtype, real or complex, and on the device that fit `like`.

        `like` None means the buffer. No gradient flows.
        """
        like = buffer if like is None else like
        key = (like.dtype, like.device)
        state = (0 if buffer.is_inference() else buffer._version, buffer.data_ptr())
        known = self._known.get(key)
        if known is None or known.buffer is not buffer or known.state != state:
            # Kept for later calls, whose gradients may need it, whatever the mode of this one.
            with torch.inference_mode(False), torch.no_grad():
                values = buffer if transform is None else transform(buffer)
                dtype = like.dtype.to_complex() if values.is_complex() else like.dtype
                values = values.to(like.device, dtype)
            known = self._known[key] = _Entry(buffer, state, values)
        return known.values

    def __len__(self) -> int:
        """How many dtypes and devices are known."""
        return len(self._known)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles leave the contents behind."""
        return Derived, ()
