"""How noise maps are kept white: a penalty, and a normalisation after each step.

Karras et al., CVPR 2020, appendix D.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from invprob.types import NoiseMap, PerImage

SMALLEST = 8  # pixels of the coarsest level of the pyramid


def noise_autocorrelation(maps: Sequence[NoiseMap]) -> PerImage:
    """Squared correlation of each map with itself, shifted by one pixel, at several sizes.

    The sum over maps and sizes of mean(n·roll_x n)² + mean(n·roll_y n)². Each map is halved by 2x2
    means down to 8 pixels. White noise has 0 in expectation.

    Args:
        maps: (batch, 1, h, w) each.
    """
    total = maps[0].new_zeros(maps[0].shape[0])
    for noise in maps:
        level = noise
        while True:
            for axis in (2, 3):
                correlation = (level * level.roll(1, axis)).mean((1, 2, 3))
                total = total + correlation.square()
            if level.shape[2] <= SMALLEST:
                break
            level = F.avg_pool2d(level, 2)
    return total


@torch.no_grad()
def renormalise_(maps: Sequence[Tensor]) -> None:
    """Bring each map of each image to mean 0 and root mean square 1, in place."""
    for noise in maps:
        noise -= noise.mean((1, 2, 3), keepdim=True)
        noise *= noise.square().mean((1, 2, 3), keepdim=True).rsqrt()
