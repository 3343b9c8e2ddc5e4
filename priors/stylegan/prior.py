"""A prior made of a StyleGAN2 generator and a choice of style, content, noise and weights."""

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor

from invprob.calls import checked
from invprob.errors import ArgumentError, GeneratorFileError
from invprob.priors.base import Code, ParamGroup, Prior
from invprob.priors.generator_files import fingerprint, load_generator
from invprob.priors.parts import (
    FreeNoise,
    LearnedConstant,
    Part,
    ProjectedContent,
    ProjectedStyles,
    Readout,
    StartedPart,
    StoredNoise,
    TrainedWeights,
    WPlus,
)
from invprob.priors.parts.heads import HeadShape, Preset
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.inputs import SynthesisInputs, joined
from invprob.priors.stylegan.synthesis import synthesise
from invprob.registry import register
from invprob.types import Images, PerImage, Spec


class StyleGANCode(Code):
    """The free variables of style, content, noise and weights.

    Args:
        style: the started part that makes style rows or scales.
        content: the started part that makes what enters the synthesis.
        noise: the started part that makes noise maps. Some parts have no variable.
        weights: the started part that makes the weights of the synthesis network.
    """

    def __init__(
        self,
        style: StartedPart,
        content: StartedPart,
        noise: StartedPart,
        weights: StartedPart,
    ) -> None:
        super().__init__()
        self.style, self.content, self.noise, self.weights = style, content, noise, weights

    @property
    def parts(self) -> tuple[StartedPart, ...]:
        """The four parts, in the order in which they draw."""
        return self.style, self.content, self.noise, self.weights

    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        """The inputs of one step."""
        return joined([part.draw(rng) for part in self.parts])

    def settle(self, rng: torch.Generator) -> SynthesisInputs:
        """The inputs that a solution keeps."""
        return joined([part.settle(rng) for part in self.parts])


@register.prior("stylegan")
class StyleGANPrior(Prior[StyleGANCode]):
    """A StyleGAN2 generator with a choice of style, content and noise: the rows of Table 1.

    Its weights may be free as well, see `FreeWeights`.

    A code carries the choices of the prior that started it.

    Raises:
        ArgumentError: the generator is conditional and no class was chosen.
    """

    def __init__(
        self,
        generator: Annotated[Generator, "the network that is searched"],
        *,
        style: Annotated[Part | None, "what gives the style rows; default: W+"] = None,
        content: Annotated[
            Part | None, "what enters the synthesis; default: the learned constant"
        ] = None,
        noise: Annotated[Part | None, "the noise maps; default: those stored"] = None,
        weights: Annotated[
            Part | None, "the weights of the synthesis network; default: those trained"
        ] = None,
    ) -> None:
        if generator.config.labels:
            raise ArgumentError(generator.ask_for_label())
        super().__init__(generator.image_shape)
        self.generator = generator
        self.style = style or WPlus()
        self.content = content or LearnedConstant()
        self.noise = noise or StoredNoise()
        self.weights = weights or TrainedWeights()

    def extra_repr(self) -> str:
        """The generator and its four parts."""
        parts = (self.style, self.content, self.noise, self.weights)
        return ", ".join([repr(self.generator), *(type(part).__name__ for part in parts)])

    def start(self, batch: int, rng: torch.Generator) -> StyleGANCode:
        """Start the four parts, in the order style, content, noise, weights."""
        parts = (self.style, self.content, self.noise, self.weights)
        return StyleGANCode(*(part.start(self.generator, batch, rng) for part in parts))

    def decode(self, code: StyleGANCode, rng: torch.Generator) -> Images:
        """I' = G(P_s(z+), P_c(s), b), lines 5 to 7 of SPHInX's algorithm 1, with any parts."""
        return synthesise(self.generator, code.draw(rng))

    def groups(self, code: StyleGANCode) -> list[ParamGroup]:
        """A group for each part that has free variables."""
        return [group for part in code.parts for group in part.groups()]

    def regularisers(self, code: StyleGANCode) -> Mapping[str, PerImage]:
        """The terms of all parts."""
        terms: dict[str, PerImage] = {}
        for part in code.parts:
            terms.update(part.regularisers())
        return terms

    def project_(self, code: StyleGANCode) -> None:
        """Restore the constraints of all parts."""
        for part in code.parts:
            part.project_()

    def anneal_(self, code: StyleGANCode, progress: float) -> None:
        """Tell all parts how much of their stage is done."""
        for part in code.parts:
            part.anneal_(progress)

    def adopt_(self, code: StyleGANCode, realised: Mapping[str, Tensor]) -> None:
        """Move each part to its inputs in another solution."""
        inputs = SynthesisInputs.from_tensors(realised)
        for part in code.parts:
            part.adopt_(inputs)

    def realise(self, code: StyleGANCode, rng: torch.Generator) -> dict[str, Tensor]:
        """The inputs that the parts settle on, by the names of `SynthesisInputs.to_tensors`."""
        return code.settle(rng).to_tensors()

    def render(self, realised: Mapping[str, Tensor]) -> Images:
        """Draw the images of inputs by these names."""
        return synthesise(self.generator, SynthesisInputs.from_tensors(realised))

    @torch.no_grad()
    def mean_image(self) -> Images:
        """The image of the generator's mean w, (1, 3, height, width)."""
        rows = self.generator.mean_w.expand(1, self.generator.num_layers, -1)
        return self.generator.synthesis(rows)

    def spec(self) -> dict[str, Any]:
        """Name or path of the generator, the options it was loaded with, its fingerprint."""
        return {
            "type": "stylegan",
            "generator": self.generator.source,
            **self.generator.options,
            "fingerprint": fingerprint(self.generator),
        }

    @classmethod
    def from_spec(cls, spec: Spec) -> "StyleGANPrior":
        """Load the generator of a spec.

        Raises:
            GeneratorFileError: the generator was never saved, or its weights have changed since.
        """
        if spec["generator"] == "memory":
            raise GeneratorFileError(
                "this solution was made with a generator that was never saved; "
                "build its prior again and call `prior.render(solution.realised)`"
            )
        options = {name: spec.get(name) for name in ("resolution", "label")}
        try:
            generator = load_generator(spec["generator"], **options)
        except GeneratorFileError as error:
            raise GeneratorFileError(
                f"{error}; the solution was made with this file: bring it back there"
            ) from None
        found = fingerprint(generator)
        if found != spec["fingerprint"]:
            raise GeneratorFileError(
                f"{spec['generator']} now has fingerprint {found[:12]}…, but the solution was made "
                f"with {spec['fingerprint'][:12]}…; bring back the file of that time"
            )
        return cls(generator)


@checked
def Sphinx(
    generator: Generator,
    *,
    preset: Preset = "paper",
    d: int | None = None,
    readout: Readout = "mean_w",
    noise: Part | None = None,
) -> StyleGANPrior:
    """The prior of SPHInX (ICML 2022): style head P_s, content head P_c and noise maps B.

    Args:
        generator: the network that is searched.
        preset: head widths of the "paper" (d = 16) or of the "official" code (d = 32).
        d: width of the style head's bottleneck in place of the preset's.
        readout: how the heads settle on one image, see `settle_draws`.
        noise: the noise maps; None frees them all.
    """
    shape = HeadShape.preset(preset, generator.style_width, d)
    return StyleGANPrior(
        generator,
        style=ProjectedStyles(shape, readout=readout),
        content=ProjectedContent(shape, readout=readout),
        noise=noise or FreeNoise(),
    )
