"""A discriminator on the features of a classifier (Sauer et al., Projected GANs, NeurIPS 2021).

The features are those that LPIPS compares anyway, so judging them costs little beside the
perceptual loss. One small head a layer gives a map of logits; hinge losses.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invprob.streams import stream


class FeatureCritic(nn.Module):
    """Logits of being real, from a list of feature maps."""

    def __init__(self, channels: Sequence[int], width: int, seed: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(count, width, 1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(width, width, 3, padding=1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(width, 1, 1),
            )
            for count in channels
        )
        rng = stream(seed, "critic")
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name.endswith("bias"):
                    parameter.zero_()
                else:
                    draw = torch.randn(parameter.shape, generator=rng)
                    parameter.copy_(draw * math.sqrt(1.5 / parameter[0].numel()))

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """(batch, 1, h, w) logits, one map a layer."""
        return [head(x) for head, x in zip(self.heads, features, strict=True)]


def critic_loss(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Hinge loss of the critic, averaged over layers."""
    both = [F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(both).mean()


def deceiving_loss(fake: Sequence[Tensor]) -> Tensor:
    """Hinge loss of the generator, averaged over layers."""
    return -torch.stack([f.mean() for f in fake]).mean()
