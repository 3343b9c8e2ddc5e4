"""From factors to w: an embedding trained beside the synthesis, and the mapping that succeeds it.

A generator that has to find out both what z means and how to draw it learns neither for a long
time. So the synthesis first learns from an embedding of the factors themselves. Then the mapping
network z -> w learns to reproduce that embedding, from as many draws of z as it needs.
"""

import copy
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.layers import GAIN, activate, normalise
from invprob.streams import stream


class FactorEmbedding(nn.Module):
    """w = features, each weighed by how much it shows, plus a small network of them.

    The coordinates of w are the factors themselves where there is a coordinate for each; the
    network, zero at first, fills the rest and bends what is not linear, such as a turning head.
    """

    importance: Tensor
    offset: Tensor  # what the mapping network adds to w; see `start_mapping`

    def __init__(self, importance: Tensor, width: int, seed: int) -> None:
        super().__init__()
        count = len(importance)
        self.register_buffer("importance", importance)
        self.register_buffer("offset", torch.zeros(width))
        self.width = width
        self.first = nn.Linear(count, width)
        self.second = nn.Linear(width, width)
        rng = stream(seed, "embedding")
        with torch.no_grad():
            for layer, scale in ((self.first, 1.0), (self.second, 0.0)):
                draw = torch.randn(layer.weight.shape, generator=rng)
                layer.weight.copy_(draw * scale / math.sqrt(layer.in_features))
                layer.bias.zero_()

    def forward(self, features: Tensor) -> Tensor:
        """(batch, features) -> (batch, width)."""
        weighed = features * self.importance
        straight = F.pad(weighed, (0, self.width - features.shape[1]))
        bent: Tensor = self.second(activate(self.first(weighed)))
        return straight + bent


def importance_of(features: Tensor, images: Tensor, ridge: float = 1e-3) -> Tensor:
    """Return how much each feature shows in (count, 3, h, w) images, about 1: its effect's root.

    The effect is the norm of a feature's coefficients in a linear regression of the pixels.
    """
    small = [F.adaptive_avg_pool2d(part.float(), 32) / 127.5 for part in images.split(500)]
    pixels = torch.cat(small).flatten(1)
    pixels = pixels - pixels.mean(0)
    gram = features.T @ features / len(features) + ridge * torch.eye(features.shape[1])
    effect = torch.linalg.solve(gram, features.T @ pixels / len(features)).square().mean(1).sqrt()
    return (effect / effect.median()).sqrt().clamp(0.5, 2.5)


@torch.no_grad()
def start_mapping(generator: Generator, z: Tensor, w: Tensor, seed: int) -> Tensor:
    """Set the mapping network to the best linear map from z to w; return the offset it adds.

    Hidden layers are near the identity, with biases that keep most of their inputs where the
    activation is linear; the last is solved for. So that its activation does not bend w about zero,
    the mapping gives w + offset, four standard deviations, which `fold_offset` takes back.
    """
    rng = stream(seed, "mapping start")
    width = generator.style_width
    hidden = normalise(z)
    entering = torch.zeros(width)
    *first, last = (layer for layer in generator.mapping_layers if isinstance(layer, nn.Linear))
    for layer in first:
        draw = torch.randn(width, width, generator=rng) * (0.1 / math.sqrt(width))
        bias = 0.5 + 2.5 * torch.rand(width, generator=rng)
        layer.weight.copy_((torch.eye(width) + draw) / GAIN)
        layer.bias.copy_(bias - layer.weight @ entering)
        entering = bias * GAIN
        hidden = activate(layer(hidden))
    offset = 4 * w.std(0)
    mean, target = hidden.mean(0), (w + offset) / GAIN
    centred = (hidden - mean).double()
    gram = centred.T @ centred + 1e-4 * len(z) * torch.eye(width, dtype=torch.float64)
    weight = torch.linalg.solve(gram, centred.T @ (target - target.mean(0)).double()).float().T
    last.weight.copy_(weight)
    last.bias.copy_(target.mean(0) - weight @ mean)
    return offset


def fit_mapping(
    generator: Generator,
    embedding: FactorEmbedding,
    pairs: Callable[[int], tuple[Tensor, Tensor]],
    *,
    steps: int,
    batch: int = 256,
    rate: float = 1e-3,
) -> float:
    """Train z -> w to give the embedding, plus its offset, of the factors that z stands for.

    `pairs(count)` draws z and features afresh. Returns the share of the variance of w that stays
    unexplained, over the last tenth of the steps.
    """
    z_pool, w_pool = _pool(embedding, pairs, 40 * batch)
    embedding.offset.copy_(start_mapping(generator, z_pool, w_pool, 0))
    spread = w_pool.var(0).sum().item()
    layers = generator.mapping_layers.requires_grad_(True)
    optimiser = torch.optim.Adam(layers.parameters(), lr=rate, betas=(0.9, 0.99), fused=True)
    missed: list[float] = []
    for step in range(steps):
        if step % 80 == 0:  # each pair is seen about twice, then replaced
            z_pool, w_pool = _pool(embedding, pairs, 40 * batch)
        rows = torch.randint(len(z_pool), (batch,), generator=stream(0, "mapping rows", step))
        optimiser.param_groups[0]["lr"] = rate * min(1.0, step / 50, 2 * (1 - step / steps))
        given = generator.mapping(z_pool[rows]) - embedding.offset
        error = (given - w_pool[rows]).square().sum(1).mean()
        optimiser.zero_grad(set_to_none=True)
        error.backward()
        optimiser.step()
        missed.append(error.item() / spread)
    late = missed[-max(1, steps // 10) :]
    return sum(late) / len(late)


@torch.no_grad()
def fold_offset(generator: Generator, embedding: FactorEmbedding) -> Generator:
    """A copy whose synthesis reads w with its offset, as a generator on its own must."""
    folded = copy.deepcopy(generator)
    for module in [*folded.layers, *folded.to_rgb]:
        affine = module.get_submodule("affine")
        assert isinstance(affine, nn.Linear)
        affine.bias.sub_(affine.weight @ embedding.offset)
    return folded


@torch.no_grad()
def _pool(
    embedding: FactorEmbedding, pairs: Callable[[int], tuple[Tensor, Tensor]], count: int
) -> tuple[Tensor, Tensor]:
    z, features = pairs(count)
    return z, embedding(features)
