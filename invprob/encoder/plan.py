"""What determines the training of an encoder, and the usual choices."""

import math
import time
from dataclasses import dataclass, replace
from typing import Literal

import torch

from invprob.errors import ArgumentError, UnknownNameError
from invprob.priors.encoder_files import KINDS, Kind
from invprob.registry import suggest

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Plan:
    """What determines a training, beside the generator and the perceptual network.

    Nothing is flipped, because pose and the side of the light are coordinates of w.

    Args:
        kind: Which encoder, "toolkit" or "base-code".
        steps: Steps of Adam.
        batch: Samples in each step.
        rate: The highest learning rate. It rises over the first twentieth of the steps, then falls
            along a cosine.
        seed: Determines every draw.
        mixed: Share of samples, 0 to 1, with the rows of two w that change at a random row. The
            others have one w.
        truncation: Each w is moved towards the mean w by a factor ψ ~ U(truncation, 1).
        jitter: Standard deviation of a gain and an offset of each colour in what the encoder sees.
        image_every: The toolkit encoder compares images in every such step. The base-code encoder
            compares images in every step.
        pool: Samples that are drawn at once, a multiple of `batch`.
        passes: How often each pool is passed over, each time in a new order.
        fitted: Number of last pools on which the linear part of the toolkit encoder is fitted.
        precision: What the networks multiply in.

    Raises:
        UnknownNameError: There is no such kind.
        ArgumentError: A number is out of its range.
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
    precision: Precision = "float32"

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
        """The learning rate of step 0, 1, ..., steps - 1."""
        rise = min(1.0, (step + 1) / max(1, self.steps // 20))
        return self.rate * rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def named_kinds(name: str) -> tuple[Kind, ...]:
    """The kinds of encoder that a name stands for; "both" stands for all of them.

    Raises:
        UnknownNameError: There is no such kind.
    """
    known: dict[str, tuple[Kind, ...]] = {"both": KINDS}
    known |= {kind: (kind,) for kind in KINDS}
    if name not in known:
        raise UnknownNameError(
            f"no encoder is named {name!r}.{suggest(name, known)} Known: {', '.join(known)}."
        )
    return known[name]


def usual_plan(
    kind: Kind, *, steps: int | None = None, seed: int = 0, precision: Precision = "float32"
) -> Plan:
    """The usual plan for a kind of encoder.

    Args:
        kind: "toolkit" or "base-code".
        steps: None takes 3000 for "toolkit" and 1000 for "base-code". A training of few steps draws
            a smaller pool.
        seed: Determines every draw.
        precision: What the networks multiply in.
    """
    usual = {
        "toolkit": Plan("toolkit", 3000),
        "base-code": Plan("base-code", 1000, batch=8, rate=1e-3, mixed=0.5, passes=4),
    }
    plan = usual[kind]
    count = plan.steps if steps is None else steps
    pool = max(plan.batch, min(plan.pool, count * plan.batch))
    return replace(plan, steps=count, seed=seed, pool=pool, precision=precision)


def usual_precision(device: torch.device) -> Precision:
    """bfloat16 where the device multiplies it in hardware, else float32.

    A processor without such instructions emulates them, which can take a hundred times as long as
    float32. What a processor lists and what the libraries use differ, so a short trial decides.
    """
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and _faster_in_bfloat16()
    return "bfloat16" if native else "float32"


def _faster_in_bfloat16() -> bool:
    """Whether the processor convolves bfloat16 in at most 0.8 of the time of float32."""
    return _seconds(torch.bfloat16) < 0.8 * _seconds(torch.float32)


def _seconds(dtype: torch.dtype) -> float:
    """The least seconds that a small convolution takes."""
    images = torch.ones(2, 64, 16, 16, dtype=dtype, device="cpu")
    kernels = torch.ones(64, 64, 3, 3, dtype=dtype, device="cpu")
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        torch.nn.functional.conv2d(images, kernels, padding=1)
        taken.append(time.perf_counter() - began)
    return min(taken)
