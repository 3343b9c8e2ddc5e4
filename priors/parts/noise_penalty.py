"""Keeping noise maps white: a penalty of each image, and a renormalisation after each step."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from invprob.types import PerImage


def noise_autocorrelation(maps: Sequence[Tensor]) -> PerImage:
    """Squared correlation of each noise map with itself shifted by one pixel, over a pyramid.

    Sum over maps and over sizes, halved by 2x2 means down to 8 px, of mean(n·roll_x n)² +
    mean(n·roll_y n)² (Karras et al., CVPR 2020, appendix D). White noise has 0 in expectation.
    """
    total = maps[0].new_zeros(maps[0].shape[0])
    for noise in maps:
        level = noise
        while True:
            for axis in (2, 3):
                correlation = (level * level.roll(1, axis)).mean((1, 2, 3))
                total = total + correlation.square()
            if level.shape[2] <= 8:
                break
            level = F.avg_pool2d(level, 2)
    return total


@torch.no_grad()
def renormalise_(maps: Sequence[Tensor]) -> None:
    """Bring each map of each image to mean 0 and root mean square 1, in place."""
    for noise in maps:
        noise -= noise.mean((1, 2, 3), keepdim=True)
        noise *= noise.square().mean((1, 2, 3), keepdim=True).rsqrt()
