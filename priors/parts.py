"""The three inputs of a synthesis network, each with its choices of free variables.

A StyleGAN prior is style × content × noise. A part makes its variables (`start`), draws its tensor
at each step (`draw`) and settles on the tensor that a solution keeps (`settle`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError, PriorError
from invprob.priors.base import ParamGroup
from invprob.priors.heads import ContentHead, HeadShape, StyleHead
from invprob.priors.regularisers import noise_autocorrelation, renormalise_
from invprob.priors.stylegan2 import Generator
from invprob.types import PerImage

Readout = Literal["mean_w", "last", "fresh", "zero"]
READOUTS: tuple[Readout, ...] = ("mean_w", "last", "fresh", "zero")
MEAN_DRAWS = 64  # draws averaged by the readout `mean_w`


class Part(ABC):
    """One input of the synthesis network: which variables it has and how they become tensors."""

    def __init__(self, lr_scale: float = 1.0, *, scheduled: bool = True) -> None:
        if not lr_scale > 0:
            raise ArgumentError(f"lr_scale must be positive, not {lr_scale}")
        self.lr_scale = lr_scale
        self.scheduled = scheduled

    @abstractmethod
    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        """The part's free variables, alike for the images of the batch; perhaps none."""

    @abstractmethod
    def draw(
        self, variables: nn.Module, generator: Generator, rng: torch.Generator
    ) -> list[Tensor]:
        """The tensors of one step, each with the batch or 1 in front."""

    def settle(
        self, variables: nn.Module, generator: Generator, rng: torch.Generator
    ) -> list[Tensor]:
        """The tensors a solution keeps; by default those that a step would draw."""
        return self.draw(variables, generator, rng)

    def groups(self, variables: nn.Module) -> list[ParamGroup]:
        """The part's parameters, with its learning-rate scale."""
        parameters = list(variables.parameters())
        return [ParamGroup(parameters, self.lr_scale, self.scheduled)] if parameters else []

    def regularisers(self, variables: nn.Module) -> Mapping[str, PerImage]:
        """Terms of the part's variables, weighted; by default none."""
        del variables
        return {}

    def project_(self, variables: nn.Module) -> None:
        """Restore the part's constraints in place; by default there are none."""
        del variables

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        """Move the variables in place to what another solution realised (see `Prior.adopt_`).

        What `realised` does not name stays. Raises `PriorError`, as by default, where the part
        cannot go on from another's tensors.
        """
        del variables, generator, realised
        raise PriorError(
            f"{type(self).__name__} cannot go on from another solution; begin with it, or take a "
            "part that can"
        )


class Free(nn.Module):
    """Tensors that are free variables themselves."""

    def __init__(self, tensors: list[Tensor]) -> None:
        super().__init__()
        self.tensors = nn.ParameterList(nn.Parameter(tensor.clone()) for tensor in tensors)


def adopt_tensor_(target: Tensor, name: str, realised: Mapping[str, Tensor]) -> None:
    """Copy a realised tensor, where there is one, into `target` (batch, ...).

    Raises `PriorError` where it has another shape.
    """
    found = realised.get(name)
    if found is None:
        return
    if found.shape[1:] != target.shape[1:] or len(found) not in (1, len(target)):
        raise PriorError(
            f"{name} of shape {tuple(found.shape)} cannot be adopted by variables of shape "
            f"{tuple(target.shape)}"
        )
    with torch.no_grad():
        target.copy_(found)


def _repeat(tensor: Tensor, batch: int) -> Tensor:
    return tensor.expand(batch, *tensor.shape[1:])


def _normal(shape: tuple[int, ...], like: Tensor, rng: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=rng).to(like)


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


class WPlus(Part):
    """W+: one free w a layer, starting at the generator's mean w (Abdal et al., ICCV 2019)."""

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        del rng
        return Free([generator.mean_w.expand(batch, generator.num_layers, -1)])

    def draw(
        self, variables: nn.Module, generator: Generator, rng: torch.Generator
    ) -> list[Tensor]:
        del generator, rng
        assert isinstance(variables, Free)
        return [variables.tensors[0]]

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        del generator
        assert isinstance(variables, Free)
        adopt_tensor_(variables.tensors[0], "styles", realised)


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

    `around` "zero" is the paper; "mean" adds what the generator itself would have used. Where a
    head goes on from another solution, it adds what that realised.
    """

    realised_name: str

    def __init__(
        self,
        shape: HeadShape,
        *,
        readout: Readout = "mean_w",
        around: Literal["zero", "mean"] = "zero",
        lr_scale: float = 1.0,
        scheduled: bool = True,
    ) -> None:
        super().__init__(lr_scale, scheduled=scheduled)
        check_readout(readout)
        self.shape = shape
        self.readout: Readout = readout
        self.around = around

    @abstractmethod
    def head(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        """The heads of a batch."""

    @abstractmethod
    def own(self, generator: Generator) -> Tensor:
        """What the generator itself would have used."""

    @abstractmethod
    def code(self, generator: Generator, rng: torch.Generator) -> Tensor:
        """A random code, shared by the batch."""

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        own = self.own(generator)
        anchor = own if self.around == "mean" else torch.zeros_like(own)
        head = self.head(generator, batch, rng).to(own)
        return Anchored(head, anchor.expand(batch, *own.shape[1:]))

    def draw(
        self, variables: nn.Module, generator: Generator, rng: torch.Generator
    ) -> list[Tensor]:
        return [variables(self.code(generator, rng))]

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        del generator
        assert isinstance(variables, Anchored)
        adopt_tensor_(variables.anchor, self.realised_name, realised)

    def settle(
        self, variables: nn.Module, generator: Generator, rng: torch.Generator
    ) -> list[Tensor]:
        return [
            settle_draws(
                self.readout, lambda code: variables(code), lambda: self.code(generator, rng)
            )
        ]


class ProjectedStyles(Projected):
    """P_s: fresh z+ ~ N(0, I) at every step, mapped to w+; "mean" adds the mean w."""

    realised_name = "styles"

    def head(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        return StyleHead(self.shape, generator.num_layers, generator.style_width, batch, rng)

    def own(self, generator: Generator) -> Tensor:
        return generator.mean_w.expand(1, generator.num_layers, -1)

    def code(self, generator: Generator, rng: torch.Generator) -> Tensor:
        return _normal((1, generator.num_layers, generator.style_width), generator.mean_w, rng)


class LearnedConstant(Part):
    """The generator's own constant input; nothing is free."""

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        del rng
        return Repeated(batch)

    def draw(
        self, variables: nn.Module, generator: Generator, rng: torch.Generator
    ) -> list[Tensor]:
        del rng
        assert isinstance(variables, Repeated)
        return [_repeat(generator.constant[None], variables.batch)]

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        """Stay the generator's own."""


class Repeated(nn.Module):
    """No variables, but the number of images they would be for."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch = batch


class FreeContent(Part):
    """S: a free 4x4 tensor in place of the constant, starting from it."""

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        del rng
        return Free([_repeat(generator.constant[None], batch)])

    def draw(
        self, variables: nn.Module, generator: Generator, rng: torch.Generator
    ) -> list[Tensor]:
        del generator, rng
        assert isinstance(variables, Free)
        return [variables.tensors[0]]

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        del generator
        assert isinstance(variables, Free)
        adopt_tensor_(variables.tensors[0], "content", realised)


class ProjectedContent(Projected):
    """P_c: a fresh random code at every step, mapped to content; "mean" adds the constant."""

    realised_name = "content"

    def head(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        return ContentHead(self.shape.content_channels, generator.content_shape[0], batch, rng)

    def own(self, generator: Generator) -> Tensor:
        return generator.constant[None]

    def code(self, generator: Generator, rng: torch.Generator) -> Tensor:
        return _normal((1, self.shape.content_channels, 4, 4), generator.mean_w, rng)


class StoredNoise(Part):
    """The noise maps stored with the generator; nothing is free."""

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        del generator, rng
        return Repeated(batch)

    def draw(
        self, variables: nn.Module, generator: Generator, rng: torch.Generator
    ) -> list[Tensor]:
        del variables, rng
        return generator.noise_maps()

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        """Stay the generator's own."""


class FreeNoise(Part):
    """B: every noise map is free, starting at N(0, 1).

    `regulariser` weighs the autocorrelation penalty of the StyleGAN2 projector, and a positive one
    also brings each map back to mean 0 and variance 1 after a step, as that projector does.
    """

    def __init__(
        self, *, regulariser: float = 0.0, lr_scale: float = 1.0, scheduled: bool = True
    ) -> None:
        super().__init__(lr_scale, scheduled=scheduled)
        if not regulariser >= 0:
            raise ArgumentError(f"regulariser must be at least 0, not {regulariser}")
        self.regulariser = regulariser

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        maps = [
            _normal((1, 1, height, width), generator.mean_w, rng)
            for height, width in generator.noise_shapes
        ]
        return Free([_repeat(noise, batch) for noise in maps])

    def draw(
        self, variables: nn.Module, generator: Generator, rng: torch.Generator
    ) -> list[Tensor]:
        del generator, rng
        assert isinstance(variables, Free)
        return list(variables.tensors)

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        del generator
        assert isinstance(variables, Free)
        for index, noise in enumerate(variables.tensors):
            adopt_tensor_(noise, f"noise.{index}", realised)

    def regularisers(self, variables: nn.Module) -> Mapping[str, PerImage]:
        if not self.regulariser:
            return {}
        assert isinstance(variables, Free)
        return {"noise": self.regulariser * noise_autocorrelation(list(variables.tensors))}

    def project_(self, variables: nn.Module) -> None:
        if self.regulariser:
            assert isinstance(variables, Free)
            renormalise_(list(variables.tensors))
