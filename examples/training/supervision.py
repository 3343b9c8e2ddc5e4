"""Supervision by known factors: codes z and regression targets of rendered faces, and the loss."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.perceptual import PerceptualDistance
from invprob.priors.stylegan2 import Generator, GeneratorConfig
from invprob.streams import stream

from .adversarial import fresh_networks
from .face_factors import Backdrop, face_laws, gather
from .factors import RACES, Array, Law, Name, encode


class FaceCodes:
    """z ~ N(0, I) of numbered renders: one law a factor, the background's field, the rest free.

    `targets` (count, factors) holds what w should still tell linearly: numbers in standard
    deviations, names as indicators. Raises `ArgumentError` where z has too few coordinates.
    """

    def __init__(self, renderer: Any, seed: int, indices: Sequence[int], width: int) -> None:
        self.factors, fields = gather(renderer, seed, indices)
        self.factors["index"] = np.arange(len(indices))
        self.laws: list[Law] = [*face_laws(renderer.TABLES, self.factors), Backdrop(fields)]
        self.free = width - sum(law.width for law in self.laws)
        if self.free < 0:
            raise ArgumentError(
                f"width must be at least {width - self.free}, one coordinate a factor, not {width}"
            )
        columns = [self._column(law) for law in self.laws[:-1]]
        self.targets = torch.from_numpy(np.concatenate(columns, 1)).float()

    def _column(self, law: Law) -> Array:
        if isinstance(law, Name):
            values = self.factors[law.name]
            return np.asarray(values[:, None] == np.unique(values), np.float64)
        names = RACES if law.name == "race" else (law.name,)
        numbers = np.stack([self.factors[name] for name in names], 1).astype(np.float64)
        return np.asarray((numbers - numbers.mean(0)) / np.maximum(numbers.std(0), 1e-9))

    def draw(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        """(len(rows), width) codes; what factors leave open is drawn from `rng`."""
        z = encode(self.laws, {name: value[rows] for name, value in self.factors.items()}, rng)
        z = np.concatenate([z, rng.standard_normal((len(rows), self.free))], 1)
        return torch.from_numpy(z).float()


class Likeness(nn.Module):
    """Mean smoothed L1 of pixels, half the L1 of their differences, and LPIPS where it is had."""

    def __init__(self, perceptual: PerceptualDistance | None) -> None:
        super().__init__()
        self.perceptual = perceptual

    def forward(self, drawn: Tensor, real: Tensor) -> Tensor:
        """(batch, 3, h, w) twice, in [-1, 1] -> scalar."""
        gap = drawn - real
        pixels = (gap.square() + 1e-4).sqrt().mean()
        slopes = gap.diff(dim=2).abs().mean() + gap.diff(dim=3).abs().mean()
        loss = pixels + 0.5 * slopes
        if self.perceptual is None:
            return loss
        if real.shape[2] < 64:  # the network sees little in smaller images
            drawn, real = (
                F.interpolate(x, scale_factor=2.0, mode="bilinear") for x in (drawn, real)
            )
        distance: Tensor = self.perceptual(drawn, real)
        return loss + distance.mean()


def grow(generator: Generator, resolution: int, channels: Sequence[int], seed: int) -> Generator:
    """A larger generator that begins near the enlarged image of `generator`."""
    old = generator.config
    config = GeneratorConfig(
        resolution,
        tuple(channels[: resolution.bit_length() - 2]),
        old.style_width,
        old.mapping_layers,
    )
    larger, _ = fresh_networks(config, seed)
    with torch.no_grad():
        for layer in list(larger.to_rgb)[len(generator.to_rgb) :]:
            dict(layer.named_parameters())["weight"].mul_(0.1)  # quiet at first
    larger.load_state_dict({**larger.state_dict(), **generator.state_dict()})
    return larger


def fixed_noise_strengths(generator: Generator) -> None:
    """Set noise to a little everywhere and keep it: a pixel loss would only learn to remove it."""
    for name, strength in generator.named_parameters():
        if name.endswith("noise_strength"):
            strength.requires_grad_(False).fill_(0.1)


def fresh_head(width: int, targets: int, seed: int) -> nn.Linear:
    """The linear map from w to factor targets that is trained along."""
    head = nn.Linear(width, targets)
    with torch.no_grad():
        draw = torch.randn(head.weight.shape, generator=stream(seed, "head"))
        head.weight.copy_(draw / width**0.5)
        head.bias.zero_()
    return head
