"""The low-pass filter of StyleGAN2's up-sampling, for features and for images."""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from invprob.fast.linear_map import linear_map

BY_MATRIX = 32  # pixels a side up to which two matrix products are faster than shifted slices


@functools.lru_cache(maxsize=32)
def low_pass(channels: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The FIR (1, 3, 3, 1) ⊗ (1, 3, 3, 1) / 16 for each channel, (channels, 1, 4, 4)."""
    with torch.inference_mode(False):  # the result is kept, and gradients may need it later
        line = torch.tensor((0.25, 0.75, 0.75, 0.25), dtype=dtype, device=device)
        return torch.outer(line, line).expand(channels, 1, 4, 4).contiguous()


def smooth(x: Tensor, padding: int) -> Tensor:
    """Low-pass each channel by the FIR (1, 3, 3, 1) ⊗ (1, 3, 3, 1) / 16.

    The filter's sum is 4, to make up for the zeros between pixels when both axes are doubled. It is
    symmetric: the adjoint is the same filter with a padding of 3 - `padding`.

    Args:
        x: (batch, channels, h, w). A transposed 3x3 convolution of stride 2 gives (2h+1, 2w+1); a
            padding of 1 then leaves (2h, 2w).
        padding: Zeros added on each side.

    Returns:
        (batch, channels, h + 2 padding - 3, w + 2 padding - 3).
    """
    channels = x.shape[1]
    return F.conv2d(x, low_pass(channels, x.dtype, x.device), padding=padding, groups=channels)


def upsample(image: Tensor) -> Tensor:
    """Double both axes by zeros between the pixels and the same FIR: (h, w) -> (2h, 2w).

    Along each axis, an output pixel is 3/4 of one input pixel and 1/4 of its neighbour.
    """
    height, width = image.shape[2:]
    if max(height, width) <= BY_MATRIX:
        down, across = (_doubling(size, image.dtype, image.device) for size in (height, width))
        return down @ (image @ across.T)
    return linear_map(image, _doubled, _halved)


@functools.lru_cache(maxsize=32)
def _doubling(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The matrix of `upsample` along one axis, (2 size, size)."""
    with torch.inference_mode(False):  # the result is kept, and gradients may need it later
        here = torch.eye(size, dtype=dtype, device=device)
        above = torch.diag(here.new_ones(size - 1), -1)
        both = (0.75 * here + 0.25 * above, 0.75 * here + 0.25 * above.T)
        return torch.stack(both, 1).flatten(0, 1)


def _doubled(image: Tensor) -> Tensor:
    """`upsample` by shifted slices."""
    for axis in (2, 3):
        size = image.shape[axis]
        doubled = torch.stack((image, image), axis + 1).mul_(0.75)
        before, after = doubled.unbind(axis + 1)
        before.narrow(axis, 1, size - 1).add_(image.narrow(axis, 0, size - 1), alpha=0.25)
        after.narrow(axis, 0, size - 1).add_(image.narrow(axis, 1, size - 1), alpha=0.25)
        image = doubled.flatten(axis, axis + 1)
    return image


def _halved(image: Tensor) -> Tensor:
    """The adjoint of `upsample`, in operations that can be differentiated again."""
    for axis in (3, 2):
        before, after = image.unflatten(axis, (-1, 2)).unbind(axis + 1)
        size = before.shape[axis]
        image = (before + after).mul_(0.75)
        image.narrow(axis, 0, size - 1).add_(before.narrow(axis, 1, size - 1), alpha=0.25)
        image.narrow(axis, 1, size - 1).add_(after.narrow(axis, 0, size - 1), alpha=0.25)
    return image
