"""Free weights that keep what the generator draws near the image: pivotal tuning."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.priors.parts.base import copy_, normal, repeated
from invprob.priors.parts.w_spaces import styles_in
from invprob.priors.parts.weights import FreeWeights, StartedWeights
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.priors.stylegan.synthesis import synthesise
from invprob.types import PerImage


class LocalWeights(FreeWeights):
    """Free weights with the locality regularisation of Roich et al. (ACM TOG 2022, section 3.3).

    At every step a fresh w_z is drawn, and the style w_r = w_p + α (w_z - w_p) / ||w_z - w_p|| is
    near the pivot w_p. The penalty is the mean squared difference between what the moved and the
    trained weights draw from w_r.

    Args:
        radius: α, above 0.
        locality: weight of the penalty, at least 0.
        lr_scale: see `FreeWeights`.

    Raises:
        ArgumentError: a number is out of range.
    """

    def __init__(self, radius: float, locality: float, *, lr_scale: float = 1.0) -> None:
        super().__init__(lr_scale=lr_scale)
        if not 0 < radius < math.inf:
            raise ArgumentError(f"radius must be above 0 and finite, not {radius}")
        if not 0 <= locality < math.inf:
            raise ArgumentError(f"locality must be at least 0 and finite, not {locality}")
        self.radius, self.locality = radius, locality

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> "StartedLocal":
        del rng
        return StartedLocal(self, generator, self.names(generator), batch)


class StartedLocal(StartedWeights):
    """Differences from the trained weights, the pivot (batch, layers, width) and the last w_z."""

    pivot: Tensor
    nearby: Tensor

    def __init__(
        self, part: LocalWeights, generator: Generator, names: Sequence[str], batch: int
    ) -> None:
        super().__init__(part, generator, names, batch)
        self._local = part
        rows = generator.mean_w.expand(1, generator.num_layers, -1)
        self.register_buffer("pivot", repeated(rows, batch).clone())
        self.register_buffer("nearby", generator.mean_w.clone().view(1, 1, -1))

    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        """The weights; w_z is drawn for the penalty."""
        with torch.no_grad():
            z = normal((1, self.generator.z_width), self.generator.mean_w, rng)
            self.nearby.copy_(self.generator.mapping(z)[:, None])
        return super().draw(rng)

    def regularisers(self) -> Mapping[str, PerImage]:
        terms = dict(super().regularisers())
        away = torch.nn.functional.normalize(self.nearby - self.pivot, dim=-1)
        styles = self.pivot + self._local.radius * away
        weights = dict(zip(self.names, self.tensors, strict=True))
        moved = synthesise(self.generator, SynthesisInputs(styles=styles, weights=weights))
        with torch.no_grad():
            trained = synthesise(self.generator, SynthesisInputs(styles=styles))
        squares = (moved - trained).square().flatten(1).mean(1)
        terms["locality"] = self._local.locality * squares
        return terms

    def adopt_(self, inputs: SynthesisInputs) -> None:
        """Begin at the weights of another solution; its style rows are the pivot."""
        super().adopt_(inputs)
        rows = styles_in(inputs)
        if rows is not None:
            copy_(self.pivot, rows)
