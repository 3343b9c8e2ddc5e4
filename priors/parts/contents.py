"""What enters the synthesis network: the learned constant, free S, the content head, features."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError, PriorError
from invprob.priors.parts.base import Drawn, Free, FreePart, Part, Repeated, normal, repeated
from invprob.priors.parts.constraints import Constraint
from invprob.priors.parts.heads import ContentHead
from invprob.priors.parts.penalties import Penalty
from invprob.priors.parts.projected import Projected
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.synthesis import drawn_below, entering


def content_in(generator: Generator, realised: Mapping[str, Tensor]) -> Tensor | None:
    """The content of a solution, if it names any; raises `PriorError` for features higher up."""
    layer, found = entering(generator, realised)
    if layer:
        raise PriorError(f"4x4 content cannot go on from the features that enter layer {layer}")
    return found if "content" in realised else None


class LearnedConstant(Part):
    """The generator's own constant input; nothing is free."""

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        del generator, rng
        return Repeated(batch)

    def draw(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        del rng
        assert isinstance(variables, Repeated)
        return {"content": repeated(generator.constant[None], variables.batch)}

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        """Nothing moves, and nothing of what came before may be lost."""
        del variables
        content = content_in(generator, realised)
        if content is not None and not bool((content == generator.constant).all()):
            raise PriorError(
                "the learned constant cannot go on from other content; free it or hold it"
            )


class FreeContent(FreePart):
    """S: a free 4x4 tensor in place of the constant.

    It starts from the constant, or from N(0, 1), as the published code's content does.
    """

    def __init__(
        self,
        *,
        begin: Literal["constant", "normal"] = "constant",
        constraints: Sequence[Constraint] = (),
        penalties: Sequence[Penalty] = (),
        lr_scale: float = 1.0,
    ) -> None:
        super().__init__(constraints=constraints, penalties=penalties, lr_scale=lr_scale)
        self.begin = begin

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        content = generator.constant[None]
        if self.begin == "normal":
            content = normal(tuple(content.shape), content, rng)
        return self.free([repeated(content, batch)])

    def draw(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        del generator, rng
        assert isinstance(variables, Free)
        return {"content": variables.tensors[0]}

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        assert isinstance(variables, Free)
        content = content_in(generator, realised)
        if content is not None:
            variables.move_([content])


class FreeFeatures(FreePart):
    """The features that enter a synthesis layer, free in place of all below (ILO, BDInvert).

    They start where the mean w, or a stage before, has them. `skip` "kept" holds the RGB image that
    the blocks below have made, so that the image stays where it was; "dropped" leaves it out, as
    the published codes do.
    """

    def __init__(
        self,
        layer: int,
        *,
        skip: Literal["kept", "dropped"] = "kept",
        constraints: Sequence[Constraint] = (),
        penalties: Sequence[Penalty] = (),
        lr_scale: float = 1.0,
    ) -> None:
        super().__init__(constraints=constraints, penalties=penalties, lr_scale=lr_scale)
        if layer < 1:
            raise ArgumentError(f"features enter a layer from 1 on, not {layer}; take FreeContent")
        self.layer, self.skip = layer, skip

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        del rng
        rows = generator.mean_w.expand(1, generator.num_layers, -1)
        features, skip = drawn_below(generator, self.layer, {"styles": rows})
        held = [] if self.skip == "dropped" else [repeated(skip, batch)]
        return self.free([repeated(features, batch)], held)

    def draw(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        del generator, rng
        assert isinstance(variables, Free)
        names = [f"features.{self.layer}", "skip"]
        return dict(zip(names, [*variables.tensors, *variables.held], strict=False))

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        assert isinstance(variables, Free)
        features, skip = drawn_below(generator, self.layer, realised)
        variables.move_([features] if self.skip == "dropped" else [features, skip])


class ProjectedContent(Projected):
    """P_c: a fresh random code at every step, mapped to content; "mean" adds the constant."""

    name = "content"

    def head(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        return ContentHead(self.shape.content_channels, generator.content_shape[0], batch, rng)

    def own(self, generator: Generator) -> Tensor:
        return generator.constant[None]

    def found(self, generator: Generator, realised: Mapping[str, Tensor]) -> Tensor | None:
        return content_in(generator, realised)

    def code(self, generator: Generator, rng: torch.Generator) -> Tensor:
        return normal((1, self.shape.content_channels, 4, 4), generator.mean_w, rng)
