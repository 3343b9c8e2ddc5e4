"""Style spaces without a mapping network: W, W+ and W++."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from invprob.draws import uniform
from invprob.errors import ArgumentError, PriorError
from invprob.priors.parts.base import normal, repeated
from invprob.priors.parts.constraints import Constraint
from invprob.priors.parts.free import FreePart, StartedFreePart
from invprob.priors.parts.penalties import Penalty
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.priors.stylegan.synthesis import scales_of
from invprob.types import Styles


def styles_in(inputs: SynthesisInputs) -> Styles | None:
    """The style rows of the inputs, None if they have neither rows nor scales.

    Raises:
        PriorError: they hold scales of W++, which no style rows give.
    """
    if inputs.styles is None and inputs.scales is not None:
        raise PriorError(
            "no style rows give the scales of W++; use WPlusPlus, or keep them with "
            "Frozen(WPlusPlus())"
        )
    return inputs.styles


class W(FreePart):
    """W: one free w for all layers, which starts at the generator's mean w.

    Args:
        jitter: standard deviation of the noise that is added to w at the first step. It falls to
            nothing at three quarters of the stage: the exploration of the StyleGAN2 projector
            (Karras et al., CVPR 2020, appendix D).
        constraints: see `FreePart`.
        penalties: see `FreePart`.
        lr_scale: see `FreePart`.

    Raises:
        ArgumentError: `jitter` is negative.
    """

    def __init__(
        self,
        *,
        jitter: float = 0.0,
        constraints: Sequence[Constraint] = (),
        penalties: Sequence[Penalty] = (),
        lr_scale: float = 1.0,
    ) -> None:
        super().__init__(constraints=constraints, penalties=penalties, lr_scale=lr_scale)
        if not jitter >= 0:
            raise ArgumentError(f"jitter must be at least 0, not {jitter}")
        self.jitter = jitter

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> "StartedW":
        del rng
        return StartedW(self, generator, batch)


class StartedW(StartedFreePart[W]):
    """A free w, (batch, 1, width), and how much of the stage is done.

    Args:
        part: the settings.
        generator: the network whose mean w is the start.
        batch: number of images.
    """

    progress: Tensor

    def __init__(self, part: W, generator: Generator, batch: int) -> None:
        super().__init__(part, generator, [generator.mean_w.expand(batch, 1, -1)])
        self.register_buffer("progress", torch.zeros((), dtype=torch.float32, device="cpu"))

    def anneal_(self, progress: float) -> None:
        self.progress.fill_(progress)

    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        w: Tensor = self.tensors[0]
        if self.part.jitter:
            left = (1 - self.progress.to(w) / 0.75).clamp_min(0)
            # One draw for the whole batch, so that a batch agrees with single runs.
            w = w + self.part.jitter * left.square() * normal((1, *w.shape[1:]), w, rng)
        return SynthesisInputs(styles=w.expand(-1, self.generator.num_layers, -1))

    def settle(self, rng: torch.Generator) -> SynthesisInputs:
        """The w itself, without jitter."""
        del rng
        return SynthesisInputs(styles=self.tensors[0].expand(-1, self.generator.num_layers, -1))

    def adopt_(self, inputs: SynthesisInputs) -> None:
        """Move to the mean of the rows, which is the nearest single one."""
        rows = styles_in(inputs)
        if rows is not None:
            self.move_([rows.mean(1, keepdim=True)])


class WPlus(FreePart):
    """W+: one free w for each layer (Abdal et al., ICCV 2019).

    Args:
        begin: "mean" starts at the generator's mean w. "uniform" starts at random in [-1, 1], as
            that paper does for images unlike the generator's.
        constraints: see `FreePart`.
        penalties: see `FreePart`.
        lr_scale: see `FreePart`.
    """

    def __init__(
        self,
        *,
        begin: Literal["mean", "uniform"] = "mean",
        constraints: Sequence[Constraint] = (),
        penalties: Sequence[Penalty] = (),
        lr_scale: float = 1.0,
    ) -> None:
        super().__init__(constraints=constraints, penalties=penalties, lr_scale=lr_scale)
        self.begin = begin

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> "StartedWPlus":
        rows = generator.mean_w.expand(1, generator.num_layers, -1)
        if self.begin == "uniform":
            rows = (2 * uniform(rows.shape, rng) - 1).to(rows)
        return StartedWPlus(self, generator, [repeated(rows, batch)])


class StartedWPlus(StartedFreePart[WPlus]):
    """Free style rows, (batch, layers, width)."""

    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        del rng
        return SynthesisInputs(styles=self.tensors[0])

    def adopt_(self, inputs: SynthesisInputs) -> None:
        rows = styles_in(inputs)
        if rows is not None:
            self.move_([rows])


class WPlusPlus(FreePart):
    """W++: every input channel of every modulated convolution has a w of its own.

    A channel's scale is linear in its w, a·w + b, so a gradient moves w along a only. One variable
    u for each channel takes the same path: scale = start + ||a||·u (Poirier-Ginter & Lalonde, CVPR
    2023, where a convolution and the ToRGB of one row share these w; here each has its own).
    """

    def __init__(self) -> None:
        super().__init__()

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> "StartedWPlusPlus":
        del rng
        rows = generator.mean_w.expand(batch, generator.num_layers, -1)
        starts = generator.scales(rows)
        free = [torch.zeros_like(start)[..., None] for start in starts]
        return StartedWPlusPlus(self, generator, free, starts)


class StartedWPlusPlus(StartedFreePart[WPlusPlus]):
    """For each modulated convolution a free u (batch, inputs, 1), and the scales at its start."""

    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        del rng
        each = zip(self.tensors, self.fixed, self.generator.modulations(), strict=True)
        return SynthesisInputs(
            scales=[
                start + module.affine.weight.norm(dim=1) * u[..., 0]
                for u, start, (_, module) in each
            ]
        )

    def adopt_(self, inputs: SynthesisInputs) -> None:
        if inputs.styles is None and inputs.scales is None:
            return
        zeros = [torch.zeros_like(tensor) for tensor in self.tensors]
        self.move_([*zeros, *scales_of(self.generator, inputs)])
