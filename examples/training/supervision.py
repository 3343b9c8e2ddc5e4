"""Supervision by known factors: codes z and features of rendered faces, growing, and the loss."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.priors.stylegan.generator import Generator, GeneratorConfig

from .adversarial import fresh_networks
from .face_factors import Backdrop, face_laws, gather
from .factors import RACES, Array, Factors, Law, Name, decode, encode

RARE = 0.15  # indicators of rare names are scaled by no less than this standard deviation


class FaceCodes:
    """z ~ N(0, I) of numbered renders: one law a factor, the background's field, the rest free.

    `features` (count, features) holds the same factors as a network would like to read them:
    numbers in standard deviations, names as centred indicators. Raises `ArgumentError` where z has
    too few coordinates.
    """

    def __init__(self, renderer: Any, seed: int, indices: Sequence[int], width: int) -> None:
        self.factors, fields = gather(renderer, seed, indices)
        self.factors["index"] = np.arange(len(indices))
        self.laws: list[Law] = [*face_laws(renderer.TABLES, self.factors), Backdrop(fields)]
        self.used = sum(law.width for law in self.laws)
        self.width = width
        if self.used > width:
            raise ArgumentError(
                f"width must be at least {self.used}, one coordinate a factor, not {width}"
            )
        own = {**self.factors, "backdrop": self.laws[-1].encode(self.factors, _unused())}
        raw = np.concatenate([self._column(law, own) for law in self.laws], 1)
        least = np.concatenate([self._least(law) for law in self.laws])
        spread = raw.std(0)
        self._mean, self._scale = raw.mean(0), np.where(spread > 0, np.maximum(spread, least), 1)
        self.features = self._normal(raw)

    def draw(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        """(len(rows), width) codes; what factors leave open is drawn from `rng`."""
        z = encode(self.laws, {name: value[rows] for name, value in self.factors.items()}, rng)
        z = np.concatenate([z, rng.standard_normal((len(rows), self.width - self.used))], 1)
        return torch.from_numpy(z).float()

    def pairs(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """z ~ N(0, I) (count, width) and the features (count, features) that it stands for."""
        z = rng.standard_normal((count, self.width))
        factors = decode(self.laws, z)
        raw = np.concatenate([self._column(law, factors) for law in self.laws], 1)
        return torch.from_numpy(z).float(), self._normal(raw)

    def columns(self) -> dict[str, range]:
        """Which columns of `features` belong to which factor."""
        places: dict[str, range] = {}
        start = 0
        for law in self.laws:
            names = RACES if law.name == "race" else (law.name,)
            width = self._column(law, self._first()).shape[1] // len(names)
            for name in names:
                places[name] = range(start, start + width)
                start += width
        return places

    def _normal(self, raw: Array) -> Tensor:
        return torch.from_numpy((raw - self._mean) / self._scale).float()

    def _column(self, law: Law, factors: Factors) -> Array:
        if isinstance(law, Name):
            known = np.unique(self.factors[law.name])
            return np.asarray(factors[law.name][:, None] == known, np.float64)
        names = RACES if law.name == "race" else (law.name,)
        columns = [factors[name].reshape(len(factors[name]), -1) for name in names]
        return np.concatenate(columns, 1).astype(np.float64)

    def _least(self, law: Law) -> Array:
        return np.full(self._column(law, self._first()).shape[1], RARE * isinstance(law, Name))

    def _first(self) -> Factors:
        first = {name: value[:1] for name, value in self.factors.items()}
        return {**first, "backdrop": self.laws[-1].encode(first, _unused())}


def _unused() -> np.random.Generator:
    """For laws that draw nothing."""
    return np.random.default_rng(0)


def likeness(drawn: Tensor, real: Tensor) -> dict[str, Tensor]:
    """Mean smoothed L1 of `pixels` and mean L1 of their `slopes`, of (batch, 3, h, w) twice."""
    gap = drawn - real
    return {
        "pixels": (gap.square() + 1e-4).sqrt().mean(),
        "slopes": gap.diff(dim=2).abs().mean() + gap.diff(dim=3).abs().mean(),
    }


@torch.no_grad()
def start_quietly(generator: Generator, blocks: int = 0) -> None:
    """Let the styles of the `blocks` from that one on hardly depend on w, with a small RGB.

    A generator whose layers all vary at random with all factors must first unlearn nearly all of
    it. One that starts from a mean image learned as much in 1,000 steps as the other in 3,000.
    """
    for name, parameter in generator.named_parameters():
        part, _, rest = name.partition(".")
        if part not in ("layers", "to_rgb"):
            continue
        index = int(rest.partition(".")[0])
        block = index if part == "to_rgb" else (index + 1) // 2
        if block >= blocks:
            if name.endswith("affine.weight"):
                parameter.mul_(0.1)
            elif part == "to_rgb" and name.endswith(".weight"):
                parameter.mul_(0.3 if blocks == 0 else 0.1)


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
    start_quietly(larger, old.num_blocks)
    larger.load_state_dict({**larger.state_dict(), **generator.state_dict()})
    return larger


def fixed_noise_strengths(generator: Generator) -> None:
    """Fix the noise at a small strength, because a pixel loss would only learn to remove it."""
    for name, strength in generator.named_parameters():
        if name.endswith("noise_strength"):
            strength.requires_grad_(False).fill_(0.1)
