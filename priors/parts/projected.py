"""What the projection heads of SPHInX have in common: fresh codes, and how a head settles."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.priors.parts.base import Part, StartedPart, copy_, repeated
from invprob.priors.parts.heads import HeadShape
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.inputs import SynthesisInputs

Readout = Literal["mean_w", "last", "fresh", "zero"]
Draws = Literal["fresh", "kept"]
READOUTS: tuple[Readout, ...] = ("mean_w", "last", "fresh", "zero")
MEAN_DRAWS = 64  # draws averaged by the readout `mean_w`


def settle_draws(
    readout: Readout, head: Callable[[Tensor], Tensor], code: Callable[[], Tensor]
) -> Tensor:
    """Reduce a head to one output.

    Args:
        readout: "last" returns the output of the last step's code (as the paper does), "fresh" that
            of another code, "zero" that of the code 0, "mean_w" the mean over 64 codes.
        head: maps a code to an output.
        code: draws a code; the first one is that of the last step.
    """
    first = code()
    if readout == "last":
        return head(first)
    if readout == "fresh":
        return head(code())
    if readout == "zero":
        return head(torch.zeros_like(first))
    total = head(first)
    for _ in range(MEAN_DRAWS - 1):
        total = total + head(code())
    return total / MEAN_DRAWS


def check_readout(readout: str) -> None:
    """Raise `ArgumentError` unless `readout` is one of `READOUTS`."""
    if readout not in READOUTS:
        raise ArgumentError(f"readout must be one of {', '.join(READOUTS)}, not {readout!r}")


class Projected(Part):
    """A head that is trained on a fresh random code at every step (SPHInX, section 3.2).

    Args:
        shape: widths of the heads.
        readout: how the head settles on one output, see `settle_draws`. It has no effect with kept
            codes.
        around: what is added to the head's output. "zero" adds nothing, as in the paper; "mean"
            adds what the generator would have used without a head.
        codes: "fresh" draws a new code at every step. "kept" uses the code of the start at every
            step and for the solution, so that the loss is the same function at each step.
        lr_scale: factor of the optimiser's learning rate, positive.
        scheduled: whether the learning-rate schedule applies.

    Raises:
        ArgumentError: `readout` or `codes` is unknown, or `lr_scale` is not positive.
    """

    def __init__(
        self,
        shape: HeadShape,
        *,
        readout: Readout = "mean_w",
        around: Literal["zero", "mean"] = "zero",
        codes: Draws = "fresh",
        lr_scale: float = 1.0,
        scheduled: bool = True,
    ) -> None:
        super().__init__(lr_scale, scheduled=scheduled)
        check_readout(readout)
        if codes not in ("fresh", "kept"):
            raise ArgumentError(f"codes must be fresh or kept, not {codes!r}")
        self.shape, self.codes = shape, codes
        self.readout: Readout = readout
        self.around = around


class StartedProjected(StartedPart[Projected], ABC):
    """A head for each image, and the anchor to which it adds its output.

    An anchor that was adopted from another solution replaces that of the start.

    Args:
        part: the settings.
        generator: the network whose input is made.
        head: maps a code to an output (batch, ...).
        own: what the generator uses without a head, (1, ...).
        batch: number of images.
        rng: source of the kept code.
    """

    anchor: Tensor
    code: Tensor | None

    def __init__(
        self,
        part: Projected,
        generator: Generator,
        head: nn.Module,
        own: Tensor,
        batch: int,
        rng: torch.Generator,
    ) -> None:
        super().__init__(part, generator)
        self.head = head.to(own)
        anchor = own if part.around == "mean" else torch.zeros_like(own)
        self.register_buffer("anchor", repeated(anchor, batch).clone())
        self.register_buffer("code", self.fresh_code(rng) if part.codes == "kept" else None)

    @abstractmethod
    def fresh_code(self, rng: torch.Generator) -> Tensor:
        """A random code (1, ...), which all images of the batch share."""

    @abstractmethod
    def inputs(self, output: Tensor) -> SynthesisInputs:
        """The head's output as an input of the network."""

    @abstractmethod
    def output_in(self, inputs: SynthesisInputs) -> Tensor | None:
        """What the inputs have in place of the head's output, None if they have nothing there."""

    def forward(self, code: Tensor) -> Tensor:
        """The anchor plus what the head makes of a code, (batch, ...)."""
        made: Tensor = self.head(code)
        return made + self.anchor

    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        return self.inputs(self(self.fresh_code(rng) if self.code is None else self.code))

    def settle(self, rng: torch.Generator) -> SynthesisInputs:
        if self.code is not None:
            return self.draw(rng)
        return self.inputs(settle_draws(self.part.readout, self, lambda: self.fresh_code(rng)))

    def adopt_(self, inputs: SynthesisInputs) -> None:
        """Add the head's output to what the inputs hold."""
        found = self.output_in(inputs)
        if found is not None:
            copy_(self.anchor, found)
