"""What a caller has set in torch for itself does not reach into this package's results.

A host program may have switched gradients off, computes in half precision, or creates its tensors
in float64 or on a GPU. Public functions that compute say what they need by one decorator:

    @undisturbed()      # finds or makes something: gradients on, ordinary tensors come out
    @own_precision()    # can be differentiated by the caller, whose gradient mode holds
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

_CPU = torch.device("cpu")
# The types of device that torch can compute on in mixed precision.
_MIXED = ("cpu", "cuda", "mps", "xpu", "hpu", "mtia", "xla", "ipu", "maia", "privateuseone")


@contextmanager
def own_precision() -> Iterator[None]:
    """Compute in the dtype of the tensors at hand: autocast is off for every device.

    A tensor that is created without a dtype is float32, one that is created without a device lies
    on the CPU.
    """
    with ExitStack() as stack:
        for device in _MIXED:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        before = torch.get_default_dtype()
        if before is not torch.float32:
            stack.callback(torch.set_default_dtype, before)
            torch.set_default_dtype(torch.float32)
        if torch.get_default_device() != _CPU:
            stack.enter_context(_CPU)
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Compute with gradients and outside of inference mode, in this package's own precision.

    What is made inside is an ordinary tensor, which a caller can use with autograd.
    """
    with own_precision(), torch.inference_mode(False), torch.enable_grad():
        yield
