"""What the projection heads of SPHInX have in common: fresh codes, and how a head settles."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.priors.parts.base import Drawn, Part, copy_, repeated
from invprob.priors.parts.heads import HeadShape
from invprob.priors.stylegan.generator import Generator

Readout = Literal["mean_w", "last", "fresh", "zero"]
Draws = Literal["fresh", "kept"]
READOUTS: tuple[Readout, ...] = ("mean_w", "last", "fresh", "zero")
MEAN_DRAWS = 64  # draws averaged by the readout `mean_w`


def settle_draws(
    readout: Readout, draw: Callable[[Tensor], Tensor], code: Callable[[], Tensor]
) -> Tensor:
    """Reduce a head to one tensor.

    `last` takes the draw of the last step (the paper), `fresh` another one, `zero` the head's value
    at 0, `mean_w` the mean over 64 draws, which lies where the vicinity of every draw agrees.
    """
    first = code()
    if readout == "last":
        return draw(first)
    if readout == "fresh":
        return draw(code())
    if readout == "zero":
        return draw(torch.zeros_like(first))
    total = draw(first)
    for _ in range(MEAN_DRAWS - 1):
        total = total + draw(code())
    return total / MEAN_DRAWS


def check_readout(readout: str) -> None:
    """Raise `ArgumentError` unless `readout` is one of `READOUTS`."""
    if readout not in READOUTS:
        raise ArgumentError(f"readout must be one of {', '.join(READOUTS)}, not {readout!r}")


class Anchored(nn.Module):
    """A head and the tensor, (batch, ...), that its outputs are added to."""

    anchor: Tensor

    def __init__(self, head: nn.Module, anchor: Tensor) -> None:
        super().__init__()
        self.head = head
        self.register_buffer("anchor", anchor.clone())

    def forward(self, code: Tensor) -> Tensor:
        """What the head makes of a code, added to the anchor."""
        made: Tensor = self.head(code)
        return made + self.anchor


class Projected(Part):
    """A trained head on a fresh random code at every step (SPHInX, section 3.2).

    With "kept" `codes` the code of the start is the head's throughout and where it settles, so that
    the loss is the same function at each step and `readout` says nothing. `around` "zero" is the
    paper; "mean" adds what the generator itself would have used. Where a head goes on from another
    solution, it adds what that realised.
    """

    name: ClassVar[str]  # of what the head draws

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

    @abstractmethod
    def head(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        """A new head for each image."""

    @abstractmethod
    def own(self, generator: Generator) -> Tensor:
        """What the generator itself would have used, (1, ...)."""

    @abstractmethod
    def found(self, generator: Generator, realised: Mapping[str, Tensor]) -> Tensor | None:
        """What a solution has in place of the head's outputs, if it says."""

    @abstractmethod
    def code(self, generator: Generator, rng: torch.Generator) -> Tensor:
        """A random code, shared by the batch."""

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        own = self.own(generator)
        anchor = own if self.around == "mean" else torch.zeros_like(own)
        variables = Anchored(self.head(generator, batch, rng).to(own), repeated(anchor, batch))
        if self.codes == "kept":
            variables.register_buffer("code", self.code(generator, rng))
        return variables

    def draw(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        kept = self.codes == "kept"
        code = variables.get_buffer("code") if kept else self.code(generator, rng)
        return {self.name: variables(code)}

    def settle(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        if self.codes == "kept":
            return self.draw(variables, generator, rng)
        return {self.name: settle_draws(self.readout, variables, lambda: self.code(generator, rng))}

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        assert isinstance(variables, Anchored)
        found = self.found(generator, realised)
        if found is not None:
            copy_(variables.anchor, found)
