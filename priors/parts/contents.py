"""What enters the synthesis network: the learned constant, free S, free features, the head P_c."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from invprob.errors import ArgumentError, PriorError
from invprob.priors.parts.base import Part, StartedPart, normal, repeated
from invprob.priors.parts.constraints import Constraint
from invprob.priors.parts.free import FreePart, StartedFreePart
from invprob.priors.parts.heads import ContentHead
from invprob.priors.parts.penalties import Penalty
from invprob.priors.parts.projected import Projected, StartedProjected
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.inputs import LayerInput, SynthesisInputs
from invprob.priors.stylegan.synthesis import features_at


def content_in(inputs: SynthesisInputs) -> Tensor | None:
    """The 4x4 content of the inputs, None if they have none.

    Raises:
        PriorError: they hold the features of a higher layer.
    """
    if inputs.content is None:
        return None
    if inputs.content.layer:
        raise PriorError(
            f"4x4 content cannot start from the features that enter layer {inputs.content.layer}"
        )
    return inputs.content.features


class LearnedConstant(Part):
    """The generator's own constant; nothing is free."""

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> "StartedConstant":
        del rng
        return StartedConstant(self, generator, batch)


class StartedConstant(StartedPart[LearnedConstant]):
    """The constant for each image of a batch.

    Args:
        part: the settings.
        generator: the network whose constant it is.
        batch: number of images.
    """

    def __init__(self, part: LearnedConstant, generator: Generator, batch: int) -> None:
        super().__init__(part, generator)
        self.batch = batch

    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        del rng
        constant = self.generator.constant[None]
        return SynthesisInputs(content=LayerInput(repeated(constant, self.batch)))

    def adopt_(self, inputs: SynthesisInputs) -> None:
        """Accept the constant alone: nothing moves, and no other content may be lost."""
        content = content_in(inputs)
        if content is not None and not bool((content == self.generator.constant).all()):
            raise PriorError(
                "the learned constant cannot start from other content; use FreeContent, or keep "
                "that content with Frozen(FreeContent())"
            )


class FreeContent(FreePart):
    """S: a free 4x4 tensor in place of the constant.

    Args:
        begin: "constant" starts at the learned constant, "normal" at N(0, 1), as the published
            code's content does.
        constraints: see `FreePart`.
        penalties: see `FreePart`.
        lr_scale: see `FreePart`.
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

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> "StartedContent":
        content = generator.constant[None]
        if self.begin == "normal":
            content = normal(tuple(content.shape), content, rng)
        return StartedContent(self, generator, [repeated(content, batch)])


class StartedContent(StartedFreePart[FreeContent]):
    """Free content (batch, C, 4, 4)."""

    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        del rng
        return SynthesisInputs(content=LayerInput(self.tensors[0]))

    def adopt_(self, inputs: SynthesisInputs) -> None:
        content = content_in(inputs)
        if content is not None:
            self.move_([content])


class FreeFeatures(FreePart):
    """The features that enter a synthesis layer, free in place of everything below.

    Intermediate layers in ILO (Daras et al., ICML 2021), the base code of BDInvert (Kang et al.,
    ICCV 2021). They start where the mean w has them, or where another solution does.

    Args:
        layer: the synthesis layer that they enter, from 1 on.
        skip: "kept" keeps the RGB image that the blocks below have made, so that the image stays
            where it was. "dropped" leaves it out, as the published codes do.
        constraints: see `FreePart`.
        penalties: see `FreePart`.
        lr_scale: see `FreePart`.

    Raises:
        ArgumentError: `layer` is less than 1.
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
            raise ArgumentError(f"features enter a layer from 1 on, not {layer}; use FreeContent")
        self.layer, self.skip = layer, skip

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> "StartedFeatures":
        del rng
        rows = generator.mean_w.expand(1, generator.num_layers, -1)
        features, skip = features_at(generator, self.layer, SynthesisInputs(styles=rows))
        fixed = [] if self.skip == "dropped" else [repeated(skip, batch)]
        return StartedFeatures(self, generator, [repeated(features, batch)], fixed)


class StartedFeatures(StartedFreePart[FreeFeatures]):
    """Free features (batch, C, h, w), and the skip image as a fixed tensor where it is kept."""

    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        del rng
        skip = self.fixed[0] if self.fixed else None
        return SynthesisInputs(content=LayerInput(self.tensors[0], self.part.layer, skip))

    def adopt_(self, inputs: SynthesisInputs) -> None:
        features, skip = features_at(self.generator, self.part.layer, inputs)
        self.move_([features, skip] if self.fixed else [features])


class ProjectedContent(Projected):
    """P_c: a head that maps a random code (1, content_channels, 4, 4) to content.

    Section 3.2 of SPHInX. Around "mean" it adds the learned constant.
    """

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> "StartedContentHead":
        head = ContentHead(self.shape.content_channels, generator.content_shape[0], batch, rng)
        return StartedContentHead(self, generator, head, generator.constant[None], batch, rng)


class StartedContentHead(StartedProjected):
    """A content head for each image."""

    def fresh_code(self, rng: torch.Generator) -> Tensor:
        shape = (1, self.part.shape.content_channels, 4, 4)
        return normal(shape, self.generator.mean_w, rng)

    def inputs(self, output: Tensor) -> SynthesisInputs:
        return SynthesisInputs(content=LayerInput(output))

    def output_in(self, inputs: SynthesisInputs) -> Tensor | None:
        return content_in(inputs)
