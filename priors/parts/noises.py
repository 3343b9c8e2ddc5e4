"""Noise maps: those stored with the generator, or free ones (B)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from invprob.errors import ArgumentError, PriorError
from invprob.priors.parts.base import Part, StartedPart, normal, repeated
from invprob.priors.parts.constraints import Constraint
from invprob.priors.parts.free import FreePart, StartedFreePart
from invprob.priors.parts.noise_penalty import noise_autocorrelation, renormalise_
from invprob.priors.parts.penalties import Penalty
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.types import PerImage


class StoredNoise(Part):
    """The noise maps stored with the generator; nothing is free."""

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> "StartedStoredNoise":
        del batch, rng
        return StartedStoredNoise(self, generator)


class StartedStoredNoise(StartedPart[StoredNoise]):
    """The stored maps, which all images share."""

    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        del rng
        return SynthesisInputs(noise=dict(enumerate(self.generator.noise_maps())))

    def adopt_(self, inputs: SynthesisInputs) -> None:
        """Accept the stored maps alone: nothing moves, and no other maps may be lost."""
        noise = inputs.noise or {}
        for layer, own in enumerate(self.generator.noise_maps()):
            if not bool((noise.get(layer, own) == own).all()):
                raise PriorError(
                    "the stored noise maps cannot start from others; use FreeNoise, or keep those "
                    "with Frozen(FreeNoise())"
                )


class FreeNoise(FreePart):
    """B: noise maps that start at N(0, 1).

    Args:
        first: how many maps are free, counted from the coarsest; the rest stay at their start.
            None frees all.
        regulariser: weight of the noise autocorrelation of the StyleGAN2 projector (Karras et al.,
            CVPR 2020, appendix D). With a positive weight each map returns to mean 0 and variance 1
            after a step, as in that projector.
        constraints: see `FreePart`.
        penalties: see `FreePart`.
        lr_scale: see `FreePart`.
        scheduled: see `FreePart`.

    Raises:
        ArgumentError: `first` is less than 1, or `regulariser` negative.
    """

    def __init__(
        self,
        *,
        first: int | None = None,
        regulariser: float = 0.0,
        constraints: Sequence[Constraint] = (),
        penalties: Sequence[Penalty] = (),
        lr_scale: float = 1.0,
        scheduled: bool = True,
    ) -> None:
        super().__init__(
            constraints=constraints, penalties=penalties, lr_scale=lr_scale, scheduled=scheduled
        )
        if not regulariser >= 0:
            raise ArgumentError(f"regulariser must be at least 0, not {regulariser}")
        if first is not None and first < 1:
            raise ArgumentError(f"first must be at least 1 noise map, not {first}")
        self.first, self.regulariser = first, regulariser

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> "StartedNoise":
        maps = [
            repeated(normal((1, 1, height, width), generator.mean_w, rng), batch)
            for height, width in generator.noise_shapes
        ]
        free = len(maps) if self.first is None else self.first
        return StartedNoise(self, generator, maps[:free], maps[free:])


class StartedNoise(StartedFreePart[FreeNoise]):
    """Free noise maps (batch, 1, h, w) and fixed ones, from the coarsest to the finest."""

    @property
    def maps(self) -> list[Tensor]:
        """All maps, in synthesis order."""
        return [*self.tensors, *self.fixed]

    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        del rng
        return SynthesisInputs(noise=dict(enumerate(self.maps)))

    def regularisers(self) -> Mapping[str, PerImage]:
        terms = dict(super().regularisers())
        if self.part.regulariser:
            terms["noise"] = self.part.regulariser * noise_autocorrelation(list(self.tensors))
        return terms

    def project_(self) -> None:
        super().project_()
        if self.part.regulariser:
            renormalise_(list(self.tensors))

    def adopt_(self, inputs: SynthesisInputs) -> None:
        noise = inputs.noise or {}
        self.move_([noise.get(layer, own.detach()) for layer, own in enumerate(self.maps)])
