"""Supervised training on rendered faces whose factors are known: one step, and all its state."""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.perceptual.distance import PerceptualDistance
from invprob.perceptual.trunks import NETWORKS
from invprob.priors.stylegan.generator import Generator
from invprob.streams import derive, stream

from .critic import FeatureCritic, critic_loss, deceiving_loss
from .embedding import FactorEmbedding
from .equalised import adam
from .supervision import FaceCodes, fixed_noise_strengths, likeness
from .synthesis import fresh_noise, synthesise, weights_of


@dataclass(frozen=True)
class Stage:
    """`steps` of `batch` images at `size` px; `deceiving` weighs the critic, 0 leaves it out.

    `mapped` draws from w = mapping(z) in place of the embedding and trains the mapping too. `rate`
    is Adam's; it falls to `last` times that over the second half.
    """

    name: str
    size: int
    steps: int
    batch: int
    rate: float
    last: float = 0.25
    deceiving: float = 0.0
    mapped: bool = False


class FaceTrainer:
    """Generator, embedding, critic, their averages and optimisers at one stage."""

    def __init__(
        self,
        stage: Stage,
        generator: Generator,
        embedding: FactorEmbedding,
        critic: FeatureCritic | None,
        codes: FaceCodes,
        perceptual: PerceptualDistance | None,
        *,
        seed: int,
        dtype: torch.dtype,
    ) -> None:
        if stage.deceiving > 0 and (critic is None or perceptual is None):
            raise ArgumentError("a stage with a critic needs a perceptual network")
        self.stage = stage
        self.generator = generator.requires_grad_(True)
        self.embedding = embedding
        self.critic = critic
        self.codes = codes
        self.perceptual = perceptual
        self.seed = seed
        self.dtype = dtype
        self.taken = 0
        fixed_noise_strengths(generator)
        if not stage.mapped:
            generator.mapping_layers.requires_grad_(False)
        self.average = copy.deepcopy(generator).requires_grad_(False)
        self.average_embedding = copy.deepcopy(embedding).requires_grad_(False)
        self.optimiser = adam(generator, 1.0, betas=(0.9, 0.99), mapping_rate=0.1)
        if not stage.mapped:
            self.optimiser.add_param_group({"params": list(embedding.parameters()), "lr": 0.3 / 16})
        self._scales = [float(group["lr"]) for group in self.optimiser.param_groups]
        self.critic_adam = (
            None
            if critic is None
            else torch.optim.Adam(critic.parameters(), 1e-3, (0.0, 0.99), fused=True)
        )

    def step(self, images: Tensor) -> dict[str, Tensor]:
        """Learn from a batch drawn from (count, 3, size, size) uint8; losses, detached."""
        stage = self.stage
        rows = torch.randint(
            len(images), (stage.batch,), generator=stream(self.seed, stage.name, self.taken)
        )
        real = images[rows].float() / 127.5 - 1
        real = F.avg_pool2d(real, real.shape[3] // stage.size)
        rate = stage.rate * self._course()
        for group, scale in zip(self.optimiser.param_groups, self._scales, strict=True):
            group["lr"] = rate * scale
        drawn = self._draw(rows)
        losses = likeness(drawn, real)
        total = losses["pixels"] + 0.5 * losses["slopes"]
        judged: tuple[list[Tensor], list[Tensor]] | None = None
        if self.perceptual is not None:
            seen, truth = self._features(drawn), self._no_grad_features(real)
            losses["lpips"] = self._lpips(seen, truth)
            total = total + losses["lpips"]
            if self.critic is not None and stage.deceiving > 0:
                judged = seen, truth
                self.critic.requires_grad_(False)
                losses["deceiving"] = deceiving_loss(self.critic(seen))
                total = total + stage.deceiving * losses["deceiving"]
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        self.optimiser.step()
        if judged is not None and self.critic is not None and self.critic_adam is not None:
            self.critic.requires_grad_(True)
            fake = self.critic([x.detach() for x in judged[0]])
            losses["critic"] = critic_loss(self.critic(judged[1]), fake)
            self.critic_adam.zero_grad(set_to_none=True)
            losses["critic"].backward()
            self.critic_adam.step()
        self._follow()
        self.taken += 1
        return {name: value.detach() for name, value in losses.items()}

    def _course(self) -> float:
        """Rise over the first 2 %, stay, and fall to `last` over the second half."""
        done = self.taken / self.stage.steps
        fall = 1 - 2 * (1 - self.stage.last) * (done - 0.5)
        return min(1.0, 0.05 + done / 0.02, fall)

    def _draw(self, rows: Tensor) -> Tensor:
        generator, name = self.generator, self.stage.name
        if self.stage.mapped:
            rng = np.random.default_rng(derive(self.seed, name + " codes", self.taken))
            w = generator.mapping(self.codes.draw(rows.numpy(), rng)) - self.embedding.offset
        else:
            w = self.embedding(self.codes.features[rows])
        styles = w.to(self.dtype)[:, None].expand(-1, generator.num_layers, -1)
        noise = fresh_noise(
            generator, len(rows), stream(self.seed, name + " noise", self.taken), styles
        )
        return synthesise(generator, weights_of(generator, self.dtype), styles, noise).float()

    def _features(self, images: Tensor) -> list[Tensor]:
        """What the trunk sees, each pixel's description scaled to length one."""
        network = self.perceptual
        assert network is not None
        if images.shape[2] < 64:  # in smaller images the network sees little
            images = F.interpolate(images, scale_factor=2.0, mode="bilinear")
        taps, seen = NETWORKS[network.name].taps, []
        hidden = torch.addcmul(network.offset, images, network.gain)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            for index, layer in enumerate(network.trunk):
                hidden = layer(hidden)
                if index in taps:
                    exact = hidden.float()
                    seen.append(exact / (exact.square().sum(1, keepdim=True) + 1e-8).sqrt())
        return seen

    @torch.no_grad()
    def _no_grad_features(self, images: Tensor) -> list[Tensor]:
        return self._features(images)

    def _lpips(self, one: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
        assert self.perceptual is not None
        roots = self.perceptual.roots
        layers = [
            ((a - b).square() * root.square()).sum(1).mean()
            for a, b, root in zip(one, other, roots, strict=True)
        ]
        return torch.stack(layers).sum()

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the averages towards generator and embedding."""
        towards = 1 - min(0.998, 1 - 10 / (10 + self.taken))
        pairs: list[tuple[nn.Module, nn.Module]] = [
            (self.average, self.generator),
            (self.average_embedding, self.embedding),
        ]
        for average, current in pairs:
            for mean, value in zip(average.parameters(), current.parameters(), strict=True):
                mean.lerp_(value, towards)

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs, for `torch.save`."""
        state: dict[str, Any] = {"stage": asdict(self.stage), "taken": self.taken}
        for name, part in self._parts().items():
            state[name] = part.state_dict()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state`; raises `ArgumentError` where it is of another stage."""
        if state["stage"] != asdict(self.stage):
            raise ArgumentError(f"the checkpoint is of {state['stage']}, not {asdict(self.stage)}")
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.taken = int(state["taken"])

    def _parts(self) -> dict[str, Any]:
        parts = {
            "generator": self.generator,
            "embedding": self.embedding,
            "average": self.average,
            "average_embedding": self.average_embedding,
            "optimiser": self.optimiser,
            "critic": self.critic,
            "critic_adam": self.critic_adam,
        }
        return {name: part for name, part in parts.items() if part is not None}
