"""Where an operator computes."""

import torch
from torch import nn


def device_of(operator: nn.Module, otherwise: torch.device) -> torch.device:
    """The device of an operator's tensors.

    Args:
        operator: the operator.
        otherwise: what an operator without tensors has.
    """
    return next((buffer.device for buffer in operator.buffers()), otherwise)
