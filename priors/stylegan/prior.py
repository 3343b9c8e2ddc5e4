"""A prior made of a StyleGAN2 generator and a choice of style, content and noise."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

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
    StoredNoise,
    WPlus,
)
from invprob.priors.parts.heads import HeadShape, Preset
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.synthesis import synthesise
from invprob.registry import register
from invprob.types import Images, PerImage, Spec


class StyleGANCode(Code):
    """Free variables of style, content and noise; a part without any holds no parameters."""

    def __init__(self, style: nn.Module, content: nn.Module, noise: nn.Module) -> None:
        super().__init__()
        self.style, self.content, self.noise = style, content, noise


@register.prior("stylegan")
class StyleGANPrior(Prior):
    """generator × style × content × noise: the rows of the paper's Table 1.

    The parts default to W+, the learned constant and the stored noise maps. Raises `ArgumentError`
    for a conditional generator of which no class was chosen.
    """

    def __init__(
        self,
        generator: Generator,
        *,
        style: Part | None = None,
        content: Part | None = None,
        noise: Part | None = None,
    ) -> None:
        if generator.config.labels:
            raise ArgumentError(generator.ask_for_label())
        super().__init__(generator.image_shape)
        self.generator = generator
        self.style = style or WPlus()
        self.content = content or LearnedConstant()
        self.noise = noise or StoredNoise()

    def _parts(self, code: Code) -> list[tuple[Part, nn.Module]]:
        assert isinstance(code, StyleGANCode)
        return [
            (self.style, code.style),
            (self.content, code.content),
            (self.noise, code.noise),
        ]

    def start(self, batch: int, rng: torch.Generator) -> Code:
        """Make the variables of the three parts, in the order style, content, noise."""
        parts = (self.style, self.content, self.noise)
        return StyleGANCode(*(part.start(self.generator, batch, rng) for part in parts))

    def decode(self, code: Code, rng: torch.Generator) -> Images:
        """I' = G(P_s(z+), P_c(s), b), algorithm 1 of SPHInX; other parts ignore the draws."""
        return self.render(self._drawn(code, rng))

    def _drawn(self, code: Code, rng: torch.Generator) -> dict[str, Tensor]:
        drawn: dict[str, Tensor] = {}
        for part, variables in self._parts(code):
            drawn.update(part.draw(variables, self.generator, rng))
        return drawn

    def groups(self, code: Code) -> list[ParamGroup]:
        """One group for each part that has free variables."""
        return [group for part, variables in self._parts(code) for group in part.groups(variables)]

    def regularisers(self, code: Code) -> Mapping[str, PerImage]:
        """The terms of all parts."""
        terms: dict[str, PerImage] = {}
        for part, variables in self._parts(code):
            terms.update(part.regularisers(variables))
        return terms

    def project_(self, code: Code) -> None:
        """Restore the constraints of all parts."""
        for part, variables in self._parts(code):
            part.project_(variables)

    def anneal_(self, code: Code, progress: float) -> None:
        """Tell all parts how far their stage is."""
        for part, variables in self._parts(code):
            part.anneal_(variables, progress)

    def adopt_(self, code: Code, realised: Mapping[str, Tensor]) -> None:
        """Let each part move to what it can use of another solution."""
        for part, variables in self._parts(code):
            part.adopt_(variables, self.generator, realised)

    def realise(self, code: Code, rng: torch.Generator) -> dict[str, Tensor]:
        """What the parts settle on: "styles" or "scales.{i}"; "content" or "features.{layer}" and
        perhaps "skip"; "noise.{i}".
        """
        realised: dict[str, Tensor] = {}
        for part, variables in self._parts(code):
            realised.update(part.settle(variables, self.generator, rng))
        return realised

    def render(self, realised: Mapping[str, Tensor]) -> Images:
        """Draw the image of what was realised."""
        return synthesise(self.generator, realised)

    @torch.no_grad()
    def mean_image(self) -> Images:
        """The image of the generator's mean w."""
        rows = self.generator.mean_w.expand(1, self.generator.num_layers, -1)
        return self.generator.synthesis(rows)

    def spec(self) -> dict[str, Any]:
        """Name or path of the generator, what was made of it, and the hash of its weights."""
        return {
            "type": "stylegan",
            "generator": self.generator.source,
            **self.generator.options,
            "fingerprint": fingerprint(self.generator),
        }

    @classmethod
    def from_spec(cls, spec: Spec) -> "StyleGANPrior":
        """Load the named generator; its weights must be those of the spec."""
        if spec["generator"] == "memory":
            raise GeneratorFileError(
                "this solution was made with a generator that was never saved; "
                "build its prior again and call `prior.render(solution.realised)`"
            )
        options = {name: spec.get(name) for name in ("resolution", "label")}
        generator = load_generator(spec["generator"], **options)
        found = fingerprint(generator)
        if found != spec["fingerprint"]:
            raise GeneratorFileError(
                f"{spec['generator']} now has fingerprint {found[:12]}…, but the solution was made "
                f"with {spec['fingerprint'][:12]}…; bring back the file of that time"
            )
        return cls(generator)


def Sphinx(
    generator: Generator,
    *,
    preset: Preset = "paper",
    d: int | None = None,
    readout: Readout = "mean_w",
    noise: Part | None = None,
) -> StyleGANPrior:
    """P_s, P_c and B: style head, content head and noise maps (free unless `noise` differs)."""
    shape = HeadShape.preset(preset, generator.style_width, d)
    return StyleGANPrior(
        generator,
        style=ProjectedStyles(shape, readout=readout),
        content=ProjectedContent(shape, readout=readout),
        noise=noise or FreeNoise(),
    )
