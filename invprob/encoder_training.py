"""Training of the encoders on a generator's own samples; every draw is fresh, a resume bit-exact."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.perceptual import Absent, PerceptualDistance
from invprob.priors.encoders import BASE_LAYER, BaseCodeEncoder, ToolkitEncoder
from invprob.priors.files import fingerprint
from invprob.priors.stylegan2 import Generator
from invprob.streams import derive, stream
from invprob.types import Images, Styles

Kind = Literal["toolkit", "base-code"]
Precision = Literal["float32", "bfloat16"]
LPIPS_WEIGHT = {"toolkit": 0.8, "base-code": 10.0}  # methods of pSp and of BDInvert


@dataclass(frozen=True)
class Plan:
    """What determines a training, beside the generator and the perceptual network.

    The rate rises over the first twentieth and falls along a cosine. Of each batch the share
    `mixed` has rows of two w, changed at a random row. `jitter` is the standard deviation of gain
    and offset of each colour of what the encoder sees; there are no flips, because pose and side of
    light are coordinates of w. Every `image_every`-th step of the toolkit encoder has the image terms.
    """

    kind: Kind
    steps: int
    batch: int = 16
    rate: float = 1e-3
    seed: int = 0
    mixed: float = 0.5
    jitter: float = 0.03
    image_every: int = 16
    pool: int = 2048
    passes: int = 4
    precision: Precision = "bfloat16"

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.image_every < 1:
            raise ArgumentError(
                "steps, batch and image_every must be at least 1, "
                f"not {self.steps}, {self.batch} and {self.image_every}"
            )

    def rate_at(self, step: int) -> float:
        """Learning rate of step 0, 1, ..., steps - 1."""
        warm = max(1, self.steps // 20)
        rise = min(1.0, (step + 1) / warm)
        return self.rate * rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))


@dataclass(frozen=True)
class Sample:
    """Style rows (batch, layers, width) and the image drawn from them."""

    styles: Styles
    images: Images


def draw_styles(generator: Generator, batch: int, rng: torch.Generator, *, mixed: float) -> Styles:
    """Rows at truncation U(0.5, 1) to the mean w; the share `mixed` from two w, before and after a row."""
    layers, width = generator.num_layers, generator.style_width
    z = torch.randn(2, batch, width, generator=rng)
    psi = 0.5 + 0.5 * torch.rand(batch, 1, generator=rng)
    change = torch.randint(1, layers, (batch,), generator=rng)
    change[torch.rand(batch, generator=rng) >= mixed] = layers
    first, second = (generator.mean_w.lerp(generator.mapping(part), psi) for part in z)
    before = torch.arange(layers)[None, :, None] < change[:, None, None]
    return torch.where(before, first[:, None], second[:, None])


def draw_from_base(generator: Generator, features: Tensor, styles: Styles) -> Images:
    """The image from base features that enter `layers[BASE_LAYER]`, without a skip from below."""
    maps, rows = generator.noise_maps(), styles.unbind(1)
    x, image = features, None
    for layer in range(BASE_LAYER, len(generator.layers)):
        x = generator.layers[layer](x, rows[layer], maps[layer])
        if layer % 2 == 0:
            from invprob.priors.layers import upsample

            rgb = generator.to_rgb[layer // 2](x, rows[layer + 1])
            image = rgb if image is None else upsample(image) + rgb
    return image


@final
class EncoderTraining:
    """The state of a training, and its step."""

    def __init__(
        self, generator: Generator, plan: Plan, perceptual: PerceptualDistance | Absent
    ) -> None:
        self.generator, self.plan, self.perceptual = generator, plan, perceptual
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(plan.seed, f"{plan.kind} encoder"))
            if plan.kind == "toolkit":
                self.encoder: Any = ToolkitEncoder(generator.config)
            else:
                self.encoder = BaseCodeEncoder(generator.config)
        w = generator.mapping(
            torch.randn(10_000, generator.style_width, generator=stream(plan.seed, "spread of w"))
        )
        self.variance = float(w.var(0, correction=0).sum())
        if plan.kind == "toolkit":
            self.encoder.mean_w.copy_(generator.mean_w)
            self.encoder.unit.fill_(math.sqrt(self.variance / generator.style_width))
        self.adam = torch.optim.Adam(self.encoder.parameters(), plan.rate, betas=(0.9, 0.99))
        self.taken = 0
        self._pool: tuple[int, Sample] | None = None

    def step(self) -> dict[str, float]:
        """One step; what it measured, by name."""
        plan = self.plan
        for group in self.adam.param_groups:
            group["lr"] = plan.rate_at(self.taken)
        truth = self._batch()
        rng = stream(plan.seed, f"{plan.kind} jitter", self.taken)
        gain, offset = plan.jitter * torch.randn(2, plan.batch, 3, 1, 1, generator=rng)
        seen = truth.images * (1 + gain) + offset
        self.encoder.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=plan.precision == "bfloat16"):
            losses = self._losses(seen, truth)
        total = torch.stack(list(losses.values())).sum()
        self.adam.zero_grad(set_to_none=True)
        total.backward()
        self.adam.step()
        self.taken += 1
        return {name: float(value.detach()) for name, value in losses.items()}

    def _batch(self) -> Sample:
        """The samples of this step: those of a pool in a new order at each of its passes."""
        plan = self.plan
        batches = plan.pool // plan.batch
        turn, position = divmod(self.taken, batches)
        number = turn // plan.passes
        if self._pool is None or self._pool[0] != number:
            self._pool = (number, self._draw_pool(stream(plan.seed, f"{plan.kind} pool", number)))
        pool = self._pool[1]
        order = torch.randperm(plan.pool, generator=stream(plan.seed, f"{plan.kind} order", turn))
        chosen = order[position * plan.batch : (position + 1) * plan.batch]
        return Sample(pool.styles[chosen], pool.images[chosen].float())

    @torch.no_grad()
    def _draw_pool(self, rng: torch.Generator) -> Sample:
        plan = self.plan
        styles = draw_styles(self.generator, plan.pool, rng, mixed=plan.mixed)
        with torch.autocast("cpu", torch.bfloat16, enabled=plan.precision == "bfloat16"):
            images = [self.generator.synthesis(part).half() for part in styles.split(16)]
        return Sample(styles, torch.cat(images))

    def _losses(self, seen: Images, truth: Sample) -> dict[str, Tensor]:
        if self.plan.kind == "base-code":
            features = self.encoder(seen)
            return self._image_losses(
                draw_from_base(self.generator, features, truth.styles), truth.images
            )
        styles = self.encoder(seen).float()
        distance = (styles - truth.styles).square().sum(2).mean() / self.variance
        losses = {"w": distance}
        if self.taken % self.plan.image_every == 0:
            losses |= self._image_losses(self.generator.synthesis(styles), truth.images)
        return losses

    def _image_losses(self, drawn: Images, images: Images) -> dict[str, Tensor]:
        losses = {"image": F.mse_loss(drawn.float(), images)}
        if isinstance(self.perceptual, PerceptualDistance):
            weight = LPIPS_WEIGHT[self.plan.kind]
            losses["lpips"] = weight * self.perceptual(drawn, images).float().mean()
        return losses

    def state(self) -> dict[str, Any]:
        return {
            "taken": self.taken,
            "plan": asdict(self.plan),
            "generator": fingerprint(self.generator),
            "encoder": self.encoder.state_dict(),
            "adam": self.adam.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.encoder.load_state_dict(state["encoder"])
        self.adam.load_state_dict(state["adam"])
        self.taken = state["taken"]


@torch.no_grad()
def held_out_ratio(encoder: ToolkitEncoder, generator: Generator, *, count: int = 64, seed: int = 1):
    rng = stream(seed, "held-out w")
    w = generator.mapping(torch.randn(count, generator.style_width, generator=rng))
    encoder.eval()
    rows = w[:, None].expand(-1, generator.num_layers, -1)
    found = torch.cat([encoder(generator.synthesis(part)) for part in rows.split(16)])
    mean = (generator.mean_w - w).norm(dim=1).mean()
    return (found - rows).norm(dim=2).mean(0) / mean
