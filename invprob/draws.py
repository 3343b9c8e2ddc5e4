"""Random numbers: drawn where their generator is, in a stated dtype.

PyTorch draws on the default device and in the default dtype, which belong to the caller. Here the
same seed gives the same numbers, whatever these defaults are.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def normal(
    shape: Sequence[int], rng: torch.Generator, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Independent normal numbers of mean 0 and variance 1.

    Args:
        shape: the shape of the result; () for a single number.
        rng: the generator that they are drawn from.
        dtype: a floating-point dtype. float32 and float64 draw different numbers.

    Returns:
        The numbers, on the generator's device.
    """
    return torch.randn(tuple(shape), generator=rng, dtype=dtype, device=rng.device)


def uniform(
    shape: Sequence[int], rng: torch.Generator, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Independent numbers from 0 up to 1, without 1 itself.

    Args:
        shape: the shape of the result; () for a single number.
        rng: the generator that they are drawn from.
        dtype: a floating-point dtype. float32 and float64 draw different numbers.

    Returns:
        The numbers, on the generator's device.
    """
    return torch.rand(tuple(shape), generator=rng, dtype=dtype, device=rng.device)


def integers(low: int, high: int, shape: Sequence[int], rng: torch.Generator) -> Tensor:
    """Independent whole numbers.

    Args:
        low: the least of them.
        high: one more than the largest.
        shape: the shape of the result; () for a single number.
        rng: the generator that they are drawn from.

    Returns:
        The numbers, int64, on the generator's device.
    """
    return torch.randint(
        low, high, tuple(shape), generator=rng, dtype=torch.int64, device=rng.device
    )


def permutation(count: int, rng: torch.Generator) -> Tensor:
    """The numbers from 0 to count - 1 in random order.

    Args:
        count: how many they are.
        rng: the generator that they are drawn from.

    Returns:
        (count,) int64, on the generator's device.
    """
    return torch.randperm(count, generator=rng, dtype=torch.int64, device=rng.device)
