"""Training of encoders on a generator's own samples: every draw derives from the seed and the step.

A sample is a pair of style rows and the image drawn from them. Drawing an image costs as much as
learning from it. So samples are drawn in pools, and a pool may be passed over a few times.
"""

import copy
import hashlib
import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.draws import normal, permutation
from invprob.encoder.linear_part import fit_linear_part_
from invprob.encoder.plan import Plan
from invprob.encoder.samples import Samples, draw_styles
from invprob.encoder.scores import draw_from_base, figures
from invprob.errors import ArgumentError, FileError
from invprob.files import atomic_write
from invprob.perceptual.distance import Absent, PerceptualDistance
from invprob.priors.encoder_files import Trained, build_encoder
from invprob.priors.encoders import Encoder, ToolkitEncoder
from invprob.priors.generator_files import fingerprint
from invprob.priors.stylegan.generator import Generator
from invprob.streams import derive, stream
from invprob.types import Images

LPIPS_WEIGHT = {"toolkit": 0.8, "base-code": 10.0}  # those of pSp and of BDInvert
BATCH_DRAWN = 16  # images drawn at once for a pool


@final
class EncoderTraining:
    """An encoder in training, on the device of the generator.

    The same plan, generator, start and perceptual network give the same numbers on the same
    machine, interrupted or not. `encoder` is the network, `taken` the number of steps so far.

    Args:
        generator: Draws the samples.
        plan: Everything else that determines the training.
        perceptual: Adds LPIPS to the loss where images are compared.
        start: An encoder of the plan's kind to start from; None starts from random weights.
    """

    @undisturbed()
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
        z = normal((10_000, generator.z_width), stream(plan.seed, "spread of w"))
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

    @undisturbed()
    def step(self) -> dict[str, float]:
        """Take one step and return its weighted losses by name."""
        plan = self.plan
        for group in self.adam.param_groups:
            group["lr"] = plan.rate_at(self.taken)
        truth = self._batch()
        rng = stream(plan.seed, f"{plan.kind} jitter", self.taken)
        jitter = plan.jitter * normal((2, plan.batch, 3, 1, 1), rng)
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
        pool = self._pool_number(self.pool_at(self.taken))
        order = permutation(plan.pool, stream(plan.seed, f"{plan.kind} order", turn))
        picked = order[position * plan.batch : (position + 1) * plan.batch].to(self.device)
        return Samples(pool.styles[picked], pool.images[picked].float())

    def pool_at(self, step: int) -> int:
        """The number of the pool from which the samples of a step come."""
        return step // (self.plan.pool // self.plan.batch) // self.plan.passes

    def _pool_number(self, number: int) -> Samples:
        """A pool by its number; the last one asked for is kept."""
        if self._pool is None or self._pool[0] != number:
            rng = stream(self.plan.seed, f"{self.plan.kind} pool", number)
            self._pool = (number, self._draw_pool(rng))
        return self._pool[1]

    @torch.no_grad()
    def _draw_pool(self, rng: torch.Generator) -> Samples:
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

    @undisturbed()
    def finished(self) -> Trained:
        """A copy of the encoder as a file keeps it, in half precision, with its record.

        The linear part of a toolkit encoder is fitted on the last pools it learnt from. The
        record's figures come from held-out samples: as many as a pool has, at most 256.
        """
        encoder = copy.deepcopy(self.encoder).requires_grad_(False)
        if isinstance(encoder, ToolkitEncoder):
            last = self.pool_at(self.taken - 1)
            numbers = range(max(0, last + 1 - self.plan.fitted), last + 1)
            fit_linear_part_(encoder, (self._pool_number(number) for number in numbers))
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
        """Everything that a resumed training needs, as tensors and plain values."""
        return {
            "taken": self.taken,
            "of": self._identity(),
            "encoder": self.encoder.state_dict(),
            "adam": self.adam.state_dict(),
        }

    @undisturbed()
    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned.

        Raises:
            ArgumentError: Another training made that state.
        """
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


def digest(network: nn.Module) -> str:
    """The sha256 of a network's tensors."""
    whole = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        whole.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()


@checked
def train(
    training: EncoderTraining,
    *,
    checkpoint: Path | None = None,
    every: int = 100,
    progress: Callable[[int, Mapping[str, float]], None] = lambda taken, losses: None,
) -> None:
    """Take the steps that are left.

    Args:
        training: What to train.
        checkpoint: Where to write the state; None writes nothing.
        every: Steps between two checkpoints.
        progress: Called after each step with the number of steps taken and the step's losses.

    Raises:
        FileError: The checkpoint cannot be written.
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
    """Continue from a checkpoint.

    Raises:
        FileError: The file is damaged or holds something else.
        ArgumentError: It is a checkpoint of another training.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        complete = {"taken", "of", "encoder", "adam"} <= set(state)
    except (OSError, RuntimeError, EOFError, TypeError, pickle.UnpicklingError) as error:
        raise FileError(f"{path} cannot be read as a checkpoint: {error}") from None
    if not complete:
        raise FileError(f"{path} is not a checkpoint of an encoder's training")
    training.load_state(state)
