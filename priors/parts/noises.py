"""Noise maps: those stored with the generator, or free ones."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError, PriorError
from invprob.priors.parts.base import Drawn, Free, FreePart, Part, Repeated, normal, repeated
from invprob.priors.parts.constraints import Constraint
from invprob.priors.parts.noise_penalty import noise_autocorrelation, renormalise_
from invprob.priors.parts.penalties import Penalty
from invprob.priors.stylegan.generator import Generator
from invprob.types import PerImage


class StoredNoise(Part):
    """The noise maps stored with the generator; nothing is free."""

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        del generator, rng
        return Repeated(batch)

    def draw(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        del variables, rng
        return {f"noise.{index}": noise for index, noise in enumerate(generator.noise_maps())}

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        """Nothing moves, and nothing of what came before may be lost."""
        del variables
        for index, own in enumerate(generator.noise_maps()):
            if not bool((realised.get(f"noise.{index}", own) == own).all()):
                raise PriorError(
                    "the stored noise maps cannot go on from others; free them or hold them"
                )


class FreeNoise(FreePart):
    """B: noise maps N(0, 1), all of them free or the `first` ones only.

    `regulariser` weighs the autocorrelation penalty of the StyleGAN2 projector, and a positive one
    also brings each map back to mean 0 and variance 1 after a step, as that projector does.
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

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        maps = [
            repeated(normal((1, 1, height, width), generator.mean_w, rng), batch)
            for height, width in generator.noise_shapes
        ]
        return self.free(maps[: self.first], [] if self.first is None else maps[self.first :])

    def draw(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        del generator, rng
        assert isinstance(variables, Free)
        maps = [*variables.tensors, *variables.held]
        return {f"noise.{index}": noise for index, noise in enumerate(maps)}

    def regularisers(self, variables: nn.Module) -> Mapping[str, PerImage]:
        terms = dict(super().regularisers(variables))
        if self.regulariser:
            assert isinstance(variables, Free)
            terms["noise"] = self.regulariser * noise_autocorrelation(list(variables.tensors))
        return terms

    def project_(self, variables: nn.Module) -> None:
        super().project_(variables)
        if self.regulariser:
            assert isinstance(variables, Free)
            renormalise_(list(variables.tensors))

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        del generator
        assert isinstance(variables, Free)
        maps: list[Tensor] = [*variables.tensors, *variables.held]
        variables.move_(
            [realised.get(f"noise.{index}", own.detach()) for index, own in enumerate(maps)]
        )
