"""One step of StyleGAN2 training, and all the state that a resumed run needs."""

import copy
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.priors.stylegan.generator import Generator, GeneratorConfig
from invprob.streams import stream

from .discriminator import Discriminator
from .equalised import adam, initialise
from .objectives import discriminator_loss, generator_loss, path_lengths, r1_penalty
from .synthesis import fresh_noise, synthesise, weights_of


@dataclass(frozen=True)
class Settings:
    """What decides the course of a training, besides networks and images.

    `gamma` weighs R1, done at every `r1_every`-th step; `path_weight` the path length, at every
    `path_every`-th; `mixing` is the chance that an image has two styles; the average of the
    generator has a half-life of `average_images`, and while the run is young of `average_ramp`
    times the images seen. `dtype` is what convolutions compute in, float32 or bfloat16; penalties
    stay in float32.
    """

    batch: int
    rate: float
    gamma: float
    seed: int
    r1_every: int = 16
    path_weight: float = 2.0
    path_every: int = 4
    mixing: float = 0.9
    average_images: float = 10_000.0
    average_ramp: float = 0.05
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.batch < 2:
            raise ArgumentError(f"batch must be at least 2, not {self.batch}")
        if self.dtype not in ("float32", "bfloat16"):
            raise ArgumentError(f"dtype must be float32 or bfloat16, not {self.dtype!r}")
        if self.r1_every < 1 or self.path_every < 1:
            raise ArgumentError(
                f"r1_every and path_every must be at least 1, not {self.r1_every} and "
                f"{self.path_every}"
            )


class Trainer:
    """Generator, its average, discriminator and both optimisers; `step` advances them all.

    Every draw comes from a stream that seed, name and step determine, so that a run cut into
    pieces is the same run.
    """

    def __init__(
        self, generator: Generator, discriminator: Discriminator, settings: Settings
    ) -> None:
        self.generator = generator.requires_grad_(True)
        self.average = copy.deepcopy(generator).requires_grad_(False)
        self.discriminator = discriminator
        self.settings = settings
        self.taken = 0
        self.path_mean = torch.zeros((), device=generator.constant.device)
        self.generator_adam = _lazy_adam(generator, settings.rate, settings.path_every)
        self.discriminator_adam = _lazy_adam(discriminator, settings.rate, settings.r1_every)

    def step(self, real: Tensor) -> dict[str, Tensor]:
        """Learn from (batch, 3, size, size) images in [-1, 1]; losses as detached scalars."""
        losses = self._step_discriminator(real)
        losses.update(self._step_generator())
        self._follow()
        self.taken += 1
        return losses

    def _step_discriminator(self, real: Tensor) -> dict[str, Tensor]:
        settings = self.settings
        self.discriminator.requires_grad_(True)
        with torch.no_grad():
            fake = self._draw("discriminator", settings.batch)
        loss = discriminator_loss(self._judge(real), self._judge(fake))
        losses = {"discriminator": loss.detach()}
        if self.taken % settings.r1_every == 0:
            # In full precision: a second derivative in bfloat16 is mostly noise.
            penalty = r1_penalty(self.discriminator, real)
            loss = loss + settings.r1_every * settings.gamma / 2 * penalty
            losses["r1"] = penalty.detach()
        _descend(self.discriminator_adam, loss)
        return losses

    def _step_generator(self) -> dict[str, Tensor]:
        settings = self.settings
        self.discriminator.requires_grad_(False)
        loss = generator_loss(self._judge(self._draw("generator", settings.batch)))
        losses = {"generator": loss.detach()}
        if settings.path_weight > 0 and self.taken % settings.path_every == 0:
            penalty, length = self._path_penalty()
            loss = loss + settings.path_every * settings.path_weight * penalty
            losses["path"] = length
        _descend(self.generator_adam, loss)
        return losses

    def _path_penalty(self) -> tuple[Tensor, Tensor]:
        """Squared deviation of path lengths from their running mean, on half a batch."""
        rng = stream(self.settings.seed, "path", self.taken)
        styles = self._styles(rng, max(1, self.settings.batch // 2))
        weights = weights_of(self.generator, torch.float32)
        noise = fresh_noise(self.generator, len(styles), rng, styles)
        lengths = path_lengths(synthesise(self.generator, weights, styles, noise), styles, rng)
        self.path_mean = self.path_mean.lerp(lengths.detach().mean(), 0.01)
        return (lengths - self.path_mean).square().mean(), lengths.detach().mean()

    def _draw(self, name: str, batch: int) -> Tensor:
        """Images of the generator in training, float32."""
        rng = stream(self.settings.seed, name, self.taken)
        dtype = getattr(torch, self.settings.dtype)
        styles = self._styles(rng, batch).to(dtype)
        weights = weights_of(self.generator, dtype)
        noise = fresh_noise(self.generator, batch, rng, styles)
        return synthesise(self.generator, weights, styles, noise).float()

    def _styles(self, rng: torch.Generator, batch: int) -> Tensor:
        """(batch, layers, width): rows of one w, or of two with a random place of change."""
        generator, layers = self.generator, self.generator.num_layers
        z = torch.randn(2 * batch, generator.style_width, generator=rng)
        first, second = generator.mapping(z.to(generator.constant)).chunk(2)
        change = torch.randint(1, layers, (batch, 1), generator=rng)
        mixed = torch.rand(batch, 1, generator=rng) < self.settings.mixing
        change = torch.where(mixed, change, layers).to(first.device)
        own = torch.arange(layers, device=first.device) < change
        return torch.where(own[:, :, None], first[:, None], second[:, None])

    def _judge(self, images: Tensor) -> Tensor:
        half = self.settings.dtype == "bfloat16"
        with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
            logits: Tensor = self.discriminator(images)
        return logits

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the generator."""
        settings = self.settings
        seen = (self.taken + 1) * settings.batch
        half_life = min(settings.average_images, settings.average_ramp * seen)
        towards = 1 - 0.5 ** (settings.batch / half_life)
        averaged, current = self.average.parameters(), self.generator.parameters()
        for mean, value in zip(averaged, current, strict=True):
            mean.lerp_(value, towards)

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs, for `torch.save`."""
        return {
            "config": self.generator.config.to_json(),
            "settings": asdict(self.settings),
            "taken": self.taken,
            "path_mean": self.path_mean,
            "generator": self.generator.state_dict(),
            "average": self.average.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "generator_adam": self.generator_adam.state_dict(),
            "discriminator_adam": self.discriminator_adam.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`; raises `ArgumentError` where it is of another training."""
        here = {"config": self.generator.config.to_json(), **asdict(self.settings)}
        there = {"config": state["config"], **state["settings"]}
        other = [name for name in here if here[name] != there.get(name)]
        if other:
            raise ArgumentError(
                "the checkpoint is of another training: "
                + ", ".join(f"{name} is {there.get(name)}, not {here[name]}" for name in other)
            )
        for name in ("generator", "average", "discriminator"):
            getattr(self, name).load_state_dict(state[name])
        self.generator_adam.load_state_dict(state["generator_adam"])
        self.discriminator_adam.load_state_dict(state["discriminator_adam"])
        self.taken = int(state["taken"])
        self.path_mean = state["path_mean"].to(self.path_mean)


def fresh_networks(config: GeneratorConfig, seed: int) -> tuple[Generator, Discriminator]:
    """An untrained pair; noise maps included, `seed` determines it."""
    generator = Generator(config)
    initialise(generator, stream(seed, "generator weights"))
    for layer in generator.synthesis_layers():
        layer.lay_out()  # else each convolution does it anew
    maps = stream(seed, "noise maps")
    for noise in generator.noise_maps():
        noise.copy_(torch.randn(noise.shape, generator=maps))
    return generator, fresh_discriminator(config, seed)


def fresh_discriminator(config: GeneratorConfig, seed: int) -> Discriminator:
    """An untrained discriminator as wide as the generator."""
    discriminator = Discriminator(config.resolution, config.channels)
    initialise(discriminator, stream(seed, "discriminator weights"))
    return discriminator


def usual_gamma(resolution: int, batch: int) -> float:
    """A weight of R1 to begin with: 2e-4 · pixels / batch (StyleGAN2-ADA's automatic setting)."""
    return 2e-4 * resolution**2 / batch


def _lazy_adam(network: torch.nn.Module, rate: float, every: int) -> torch.optim.Adam:
    """Adam for a loss whose regulariser comes at every k-th step only (StyleGAN2, section 3.1)."""
    share = every / (every + 1)
    return adam(network, rate * share, betas=(0.0, math.pow(0.99, share)))


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
