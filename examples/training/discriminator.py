"""The StyleGAN2 discriminator: residual blocks, minibatch deviation, one logit an image."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.priors.stylegan.layers import activate


def smooth_down(x: Tensor) -> Tensor:
    """Low-pass with (1, 3, 3, 1) / 8 along both axes and keep every second sample."""
    kernel = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype, device=x.device) / 8
    weight = torch.outer(kernel, kernel).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, weight, stride=2, padding=1, groups=x.shape[1])


def minibatch_deviation(x: Tensor, group: int = 4) -> Tensor:
    """Append one channel: the standard deviation over `group` images, averaged over all features.

    Images i, i + n/group, i + 2n/group, ... are compared; a batch of n that `group` does not divide
    is one group.
    """
    batch, channels, height, width = x.shape
    size = group if batch % group == 0 else batch
    exact = x.to(torch.promote_types(x.dtype, torch.float32))
    grouped = exact.reshape(size, batch // size, channels, height, width)
    deviation = (grouped.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
    plane = deviation.repeat(size).view(batch, 1, 1, 1).expand(batch, 1, height, width)
    return torch.cat([x, plane.to(x.dtype)], 1)


class Block(nn.Module):
    """Two 3x3 convolutions, the second halving the size, beside a linear skip (figure 7)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.second = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, h, w) -> (batch, outputs, h/2, w/2)."""
        deep = activate(self.second(smooth_down(activate(self.first(x)))))
        result: Tensor = (deep + self.skip(smooth_down(x))) / math.sqrt(2.0)
        return result


class Discriminator(nn.Module):
    """Logit of being real for images of one size; `channels` from 4 px up, as in a generator."""

    def __init__(self, resolution: int, channels: Sequence[int]) -> None:
        super().__init__()
        if resolution != 4 << (len(channels) - 1):
            raise ArgumentError(
                f"channels must count from 4 to {resolution} px, not hold {len(channels)} numbers"
            )
        rising = list(channels)[::-1]
        self.from_rgb = nn.Conv2d(3, rising[0], 1)
        self.blocks = nn.ModuleList(Block(inputs, outputs) for inputs, outputs in pairwise(rising))
        deepest = rising[-1]
        self.last = nn.Conv2d(deepest + 1, deepest, 3, padding=1)
        self.dense = nn.Linear(deepest * 16, deepest)
        self.logit = nn.Linear(deepest, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 3, size, size) -> (batch,) logits."""
        x = activate(self.from_rgb(images))
        for block in self.blocks:
            x = block(x)
        x = activate(self.last(minibatch_deviation(x)))
        logits: Tensor = self.logit(activate(self.dense(x.flatten(1))))
        return logits[:, 0].float()
