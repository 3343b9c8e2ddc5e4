"""Spectra of fixed kernels: derived at first use, for each dtype and device, and never saved."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Spectra:
    """The spectra of one real kernel in every dtype in which they were asked for.

    A complex buffer does not survive `Module.to(dtype)`; these live beside the buffers. A kernel
    that was replaced or changed in place gets new ones; copies and pickles start empty.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[torch.dtype, torch.device], tuple[Tensor, int, Tensor]] = {}

    def of(self, kernel: Tensor, like: Tensor, transform: Callable[[Tensor], Tensor]) -> Tensor:
        """`transform(kernel)`, in the complex dtype and on the device that fit `like`."""
        key = (like.dtype, like.device)
        version = 0 if kernel.is_inference() else kernel._version
        known = self._known.get(key)
        if known is None or known[0] is not kernel or known[1] != version:
            # Kept for later calls, whose gradients may need it, whatever the mode of this one.
            with torch.inference_mode(False), torch.no_grad():
                spectrum = transform(kernel).to(like.dtype.to_complex())
            known = self._known[key] = (kernel, version, spectrum)
        return known[2]

    def __len__(self) -> int:
        """How many dtypes and devices are known."""
        return len(self._known)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles leave the contents behind."""
        return Spectra, ()
