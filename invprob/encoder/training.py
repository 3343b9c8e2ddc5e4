"""Training of encoders on a generator's own samples: every draw derives from the seed and the step.

A sample is a pair of style rows and the image drawn from them. Drawing costs as much as learning,
so samples come in pools that are passed over a few times, each time in a new order.
"""

import copy
import hashlib
import math
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invprob.encoder.scores import draw_from_base, figures
from invprob.errors import ArgumentError, FileError, UnknownNameError
from invprob.files import atomic_write
from invprob.perceptual.distance import Absent, PerceptualDistance
from invprob.priors.encoder_files import KINDS, Kind, Trained, build_encoder
from invprob.priors.encoders import Encoder, ToolkitEncoder, fitted, pixels
from invprob.priors.generator_files import fingerprint
from invprob.priors.stylegan.generator import Generator
from invprob.registry import suggest
from invprob.streams import derive, stream
from invprob.types import Images, Styles

Precision = Literal["float32", "bfloat16"]
LPIPS_WEIGHT = {"toolkit": 0.8, "base-code": 10.0}  # those of pSp and of BDInvert
BATCH_DRAWN = 16  # images drawn at once for a pool


@dataclass(frozen=True)
class Plan:
    """What determines a training, beside the generator and the perceptual network.

    The rate rises over the first twentieth of the steps and falls along a cosine. The share `mixed`
    of the samples has rows of two w that change at a random row, the rest one w; each w lies ψ of
    its way from the mean w, ψ uniform between `truncation` and 1. `jitter` is the
    standard deviation of gain and offset of each colour in what the encoder sees. Nothing is
    flipped: pose and side of the light are coordinates of w. Every `image_every`-th step of the
    toolkit encoder also compares images; the base-code encoder has no other loss. `pool` samples
    are drawn at a time and passed over `passes` times; in the end the linear part of the toolkit
    encoder is fitted on the last `fitted` pools. Raises `ArgumentError`.
    """

    kind: Kind
    steps: int
    batch: int = 16
    rate: float = 1.5e-3
    seed: int = 0
    mixed: float = 0.25
    truncation: float = 0.8
    jitter: float = 0.02
    image_every: int = 32
    pool: int = 1024
    passes: int = 1
    fitted: int = 16
    precision: Precision = "bfloat16"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownNameError(
                f"no encoder is named {self.kind!r}.{suggest(self.kind, KINDS)} "
                f"Known: {', '.join(KINDS)}."
            )
        for name in ("steps", "batch", "image_every", "pool", "passes", "fitted"):
            if getattr(self, name) < 1:
                raise ArgumentError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.precision not in ("float32", "bfloat16"):
            raise ArgumentError(f"precision must be float32 or bfloat16, got {self.precision!r}")
        if self.pool % self.batch:
            raise ArgumentError(f"pool must be a multiple of batch ({self.batch}), not {self.pool}")
        shares = 0 <= self.mixed <= 1 and 0 <= self.truncation <= 1
        if not (self.rate > 0 and shares and self.jitter >= 0):
            raise ArgumentError(
                "rate must be positive, mixed and truncation from 0 to 1 and jitter at least 0, "
                f"not {self.rate}, {self.mixed}, {self.truncation} and {self.jitter}"
            )

    def rate_at(self, step: int) -> float:
        """Learning rate of step 0, 1, ..., steps - 1."""
        rise = min(1.0, (step + 1) / max(1, self.steps // 20))
        return self.rate * rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def chosen_kinds(name: str) -> tuple[Kind, ...]:
    """The kinds that a name stands for, "both" for all; raises `UnknownNameError`."""
    known: dict[str, tuple[Kind, ...]] = {"both": KINDS}
    known |= {kind: (kind,) for kind in KINDS}
    if name not in known:
        raise UnknownNameError(
            f"no encoder is named {name!r}.{suggest(name, known)} Known: {', '.join(known)}."
        )
    return known[name]


def usual_plan(kind: Kind, *, steps: int | None = None, seed: int = 0) -> Plan:
    """The plan of a kind if no other is asked for; few steps draw a smaller pool."""
    usual = {
        "toolkit": Plan("toolkit", 3000),
        "base-code": Plan("base-code", 1000, batch=8, rate=1e-3, mixed=0.5, passes=4),
    }
    plan = usual[kind]
    taken = plan.steps if steps is None else steps
    pool = max(plan.batch, min(plan.pool, taken * plan.batch))
    return replace(plan, steps=taken, seed=seed, pool=pool)


@dataclass(frozen=True)
class Samples:
    """Style rows (count, layers, width) and the images drawn from them."""

    styles: Styles
    images: Images


@torch.no_grad()
def draw_styles(
    generator: Generator, count: int, rng: torch.Generator, *, mixed: float, truncation: float
) -> Styles:
    """Rows (count, layers, width) truncated towards the mean w by ψ ~ U(truncation, 1).

    The share `mixed` has rows of one w below a random row and of another from it on.
    """
    layers, mean = generator.num_layers, generator.mean_w
    z = torch.randn(2, count, generator.style_width, generator=rng)
    psi = (1 - (1 - truncation) * torch.rand(count, 1, generator=rng)).to(mean)
    change = torch.randint(1, layers, (count,), generator=rng)
    change[torch.rand(count, generator=rng) >= mixed] = layers
    below = (torch.arange(layers) < change[:, None]).to(mean.device)[:, :, None]
    first, second = (mean.lerp(generator.mapping(part.to(mean)), psi)[:, None] for part in z)
    return torch.where(below, first, second)


@final
class EncoderTraining:
    """An encoder in training; one is made where the generator is.

    `encoder` is the network, `taken` the number of steps so far. It begins with the weights of
    `start`, an encoder of the plan's kind, else with random ones. The same plan, generator, start
    and perceptual network give the same numbers, interrupted or not, on the same machine.
    """

    def __init__(
        self,
        generator: Generator,
        plan: Plan,
        perceptual: PerceptualDistance | Absent,
        start: Encoder | None = None,
    ) -> None:
        self.generator, self.plan, self.perceptual = generator, plan, perceptual
        self.device = generator.mean_w.device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(plan.seed, f"{plan.kind} encoder"))
            self.encoder = build_encoder(plan.kind, generator.config)
        self._start = None if start is None else digest(start)
        z = torch.randn(10_000, generator.style_width, generator=stream(plan.seed, "spread of w"))
        w = generator.mapping(z.to(self.device))
        self.variance = float(w.var(0, correction=0).sum())  # std_w², the total variance
        if isinstance(self.encoder, ToolkitEncoder):
            self.encoder.mean_w.copy_(generator.mean_w)
            self.encoder.unit.fill_(math.sqrt(self.variance / generator.style_width))
        if start is not None:
            self.encoder.load_state_dict(start.state_dict())
        self.encoder.to(self.device).train()
        self.adam = torch.optim.Adam(self.encoder.parameters(), plan.rate, betas=(0.9, 0.99))
        self.taken = 0
        self._pool: tuple[int, Samples] | None = None

    def step(self) -> dict[str, float]:
        """Take a step; returns its losses, weighted, by name."""
        plan = self.plan
        for group in self.adam.param_groups:
            group["lr"] = plan.rate_at(self.taken)
        truth = self._batch()
        rng = stream(plan.seed, f"{plan.kind} jitter", self.taken)
        jitter = plan.jitter * torch.randn(2, plan.batch, 3, 1, 1, generator=rng)
        gain, offset = jitter.to(self.device)
        with self._precision():
            losses = self._losses(truth.images * (1 + gain) + offset, truth)
        total = torch.stack(list(losses.values())).sum()
        self.adam.zero_grad(set_to_none=True)
        total.backward()
        self.adam.step()
        self.taken += 1
        return {name: float(value.detach()) for name, value in losses.items()}

    def _precision(self) -> torch.autocast:
        enabled = self.plan.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def _batch(self) -> Samples:
        """The samples of this step."""
        plan = self.plan
        turn, position = divmod(self.taken, plan.pool // plan.batch)
        pool = self._pool_of(self.pool_number(self.taken))
        order = torch.randperm(plan.pool, generator=stream(plan.seed, f"{plan.kind} order", turn))
        chosen = order[position * plan.batch : (position + 1) * plan.batch].to(self.device)
        return Samples(pool.styles[chosen], pool.images[chosen].float())

    def pool_number(self, step: int) -> int:
        """Which pool the samples of a step are from."""
        return step // (self.plan.pool // self.plan.batch) // self.plan.passes

    def _pool_of(self, number: int) -> Samples:
        """A pool by its number; the last one asked for is kept."""
        if self._pool is None or self._pool[0] != number:
            rng = stream(self.plan.seed, f"{self.plan.kind} pool", number)
            self._pool = (number, self._drawn(rng))
        return self._pool[1]

    @torch.no_grad()
    def _drawn(self, rng: torch.Generator) -> Samples:
        plan = self.plan
        styles = draw_styles(
            self.generator, plan.pool, rng, mixed=plan.mixed, truncation=plan.truncation
        )
        with self._precision():
            images = [self.generator.synthesis(s).half() for s in styles.split(BATCH_DRAWN)]
        return Samples(styles, torch.cat(images))

    def _losses(self, seen: Images, truth: Samples) -> dict[str, Tensor]:
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

    def finished(self) -> Trained:
        """The encoder as a file keeps it, in half precision, with the record of its training.

        The linear part of a toolkit encoder is fitted on the last pools it learnt from. The
        record's figures are of as many held-out samples as a pool has, at most 256.
        """
        encoder = copy.deepcopy(self.encoder).requires_grad_(False)
        if isinstance(encoder, ToolkitEncoder):
            last = self.pool_number(self.taken - 1)
            numbers = range(max(0, last + 1 - self.plan.fitted), last + 1)
            fit_shared_(encoder, (self._pool_of(number) for number in numbers))
        for value in encoder.state_dict().values():
            if value.is_floating_point():
                value.copy_(value.half())
        encoder.eval()
        network = self.perceptual
        record = {
            "plan": asdict(self.plan),
            "taken": self.taken,
            "start": self._start,
            "perceptual": None if isinstance(network, Absent) else network.record(),
            "figures": figures(encoder, self.generator, count=min(256, self.plan.pool)),
        }
        return Trained(encoder, record)

    def state(self) -> dict[str, Any]:
        """All that a resumed training needs, tensors and plain values."""
        return {
            "taken": self.taken,
            "of": self._identity(),
            "encoder": self.encoder.state_dict(),
            "adam": self.adam.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; raises `ArgumentError` where another training made it."""
        own = self._identity()
        for name, value in state["of"].items():
            if own.get(name) != value:
                raise ArgumentError(
                    f"the checkpoint is of a training with {name} = {value!r}, this one has "
                    f"{own.get(name)!r}; repeat it with the same options, or start anew: --restart"
                )
        self.encoder.load_state_dict(state["encoder"])
        self.adam.load_state_dict(state["adam"])
        self.taken = int(state["taken"])

    def _identity(self) -> dict[str, Any]:
        network = self.perceptual
        return {
            **asdict(self.plan),
            "generator": fingerprint(self.generator),
            "start": self._start,
            "perceptual": None if isinstance(network, Absent) else network.sha256,
        }


@torch.no_grad()
def fit_shared_(encoder: ToolkitEncoder, pools: Iterable[Samples], ridge: float = 1e-2) -> None:
    """Fit the offset that all rows share, which is linear, to the mean of the rows in closed form.

    Ridge regression of what the present offset misses, on coarsest map and pixels, each divided by
    its spread; the penalty is `ridge` times the mean variance. Adam's steps leave a readout of that
    many correlated numbers far from its optimum.
    """
    encoder.eval()
    inputs, missed = [], []
    for pool in pools:
        for styles, images in zip(pool.styles.split(64), pool.images.split(64), strict=True):
            seen = fitted(images.float())
            inputs.append(torch.cat([encoder.pyramid(seen)[0].flatten(1), pixels(seen)], 1).cpu())
            missed.append(((styles - encoder(seen)).mean(1) / encoder.unit).cpu())
    x, y = torch.cat(inputs), torch.cat(missed)
    split = encoder.shared.in_features
    spread = torch.cat([part.std().expand(part.shape[1]) for part in (x[:, :split], x[:, split:])])
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = (x - x_mean) / spread, y - y_mean
    covariance = (x.T @ x / len(x)).double()
    covariance.diagonal().add_(ridge * covariance.diagonal().mean())
    change = torch.linalg.solve(covariance, (x.T @ y / len(x)).double()).T.float() / spread
    encoder.shared.weight.add_(change[:, :split].to(encoder.shared.weight))
    encoder.direct.weight.add_(change[:, split:].to(encoder.direct.weight))
    encoder.direct.bias.add_((y_mean - change @ x_mean).to(encoder.direct.bias))


def digest(network: nn.Module) -> str:
    """The sha256 of a network's tensors."""
    whole = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        whole.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()


def train(
    training: EncoderTraining,
    *,
    checkpoint: Path | None = None,
    every: int = 100,
    progress: Callable[[int, Mapping[str, float]], None] = lambda taken, losses: None,
) -> None:
    """Take the steps that are left, writing `checkpoint` after each `every` of them.

    `progress` hears after each step how many are taken and what its losses were. Raises `FileError`
    where the checkpoint cannot be written.
    """
    while training.taken < training.plan.steps:
        losses = training.step()
        progress(training.taken, losses)
        if checkpoint is not None and training.taken % every == 0:
            save_checkpoint(training, checkpoint)


def save_checkpoint(training: EncoderTraining, path: Path) -> None:
    """Write the state of a training; an interrupted write leaves the former file."""
    with atomic_write(path) as temporary:
        torch.save(training.state(), temporary)


def load_checkpoint(training: EncoderTraining, path: Path) -> None:
    """Go on from a checkpoint; raises `FileError` for a damaged one, `ArgumentError` for another
    training's."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        complete = {"taken", "of", "encoder", "adam"} <= set(state)
    except (OSError, RuntimeError, EOFError, TypeError, pickle.UnpicklingError) as error:
        raise FileError(f"{path} cannot be read as a checkpoint: {error}") from None
    if not complete:
        raise FileError(f"{path} is not a checkpoint of an encoder's training")
    training.load_state(state)
