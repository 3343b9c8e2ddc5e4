"""Whole numbers from 0 upwards, on a stated device, whatever PyTorch's default device is."""

import torch
from torch import Tensor


def indices(count: int, device: torch.device | str = "cpu") -> Tensor:
    """The numbers from 0 to count - 1.

    Args:
        count: how many they are.
        device: where they are kept.

    Returns:
        (count,) int64.
    """
    return torch.arange(count, dtype=torch.int64, device=device)
