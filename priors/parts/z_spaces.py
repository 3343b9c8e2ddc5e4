"""Style spaces of Gaussian latents: Z and Z+ by the mapping network or by a Gaussian fit of W."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from invprob.errors import PriorError
from invprob.priors.parts.base import normal, repeated
from invprob.priors.parts.constraints import Constraint
from invprob.priors.parts.free import FreePart, StartedFreePart
from invprob.priors.parts.penalties import Penalty
from invprob.priors.parts.w_spaces import styles_in
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.priors.stylegan.statistics import Statistics, after_activation, before_activation
from invprob.types import Styles

Rows = Literal["one", "each"]  # one latent for all layers, or one for each layer


def count_rows(rows: Rows, generator: Generator) -> int:
    """How many latents an image has."""
    return 1 if rows == "one" else generator.num_layers


def map_rows(generator: Generator, z: Styles) -> Styles:
    """The mapping network on every row of (batch, rows, width) by itself.

    The network normalises the last axis; rows must not be normalised together.
    """
    w: Styles = generator.mapping(z.flatten(0, 1)).unflatten(0, z.shape[:2])
    return w


class Z(FreePart):
    """Z or Z+: free z that go through the mapping network.

    The network looks at the direction of z alone. z starts with norm sqrt(width). The constraint
    `Spheres` keeps it there, as a growing norm would slow the descent.

    Args:
        rows: "one" z for all layers, or one for "each".
        constraints: see `FreePart`.
        penalties: see `FreePart`.
        lr_scale: see `FreePart`.
    """

    def __init__(
        self,
        rows: Rows = "one",
        *,
        constraints: Sequence[Constraint] = (),
        penalties: Sequence[Penalty] = (),
        lr_scale: float = 1.0,
    ) -> None:
        super().__init__(constraints=constraints, penalties=penalties, lr_scale=lr_scale)
        self.rows: Rows = rows

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> "StartedZ":
        width = generator.z_width
        z = normal((1, count_rows(self.rows, generator), width), generator.mean_w, rng)
        z = z * (math.sqrt(width) / z.norm(dim=-1, keepdim=True))
        return StartedZ(self, generator, [repeated(z, batch)])


class StartedZ(StartedFreePart[Z]):
    """Free z, (batch, 1 or layers, z width)."""

    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        del rng
        w = map_rows(self.generator, self.tensors[0])
        return SynthesisInputs(styles=w.expand(-1, self.generator.num_layers, -1))

    def adopt_(self, inputs: SynthesisInputs) -> None:
        """Refuse, as the mapping network has no inverse."""
        del inputs
        raise PriorError(
            "Z cannot start from style rows: the mapping network has no inverse; use a method in "
            "W, W+ or the Gaussianised Z+ (pulse, ilo)"
        )


class GaussianZ(FreePart):
    """Z+ through a Gaussian fit of W in place of the mapping network: w = LReLU(σ ⊙ z + μ).

    μ and σ are mean and standard deviation of each coordinate of v = LReLU_5(w) (PULSE, Menon et
    al., CVPR 2020; ILO, Daras et al., ICML 2021).

    Args:
        statistics: of the generator's W.
        rows: "one" z for all layers, or one for "each".
        penalise: whether the penalties see "z" or "w".
        constraints: see `FreePart`; they act on z.
        penalties: see `FreePart`.
        lr_scale: see `FreePart`.
    """

    def __init__(
        self,
        statistics: Statistics,
        rows: Rows = "each",
        *,
        penalise: Literal["z", "w"] = "z",
        constraints: Sequence[Constraint] = (),
        penalties: Sequence[Penalty] = (),
        lr_scale: float = 1.0,
    ) -> None:
        super().__init__(constraints=constraints, penalties=penalties, lr_scale=lr_scale)
        self.statistics, self.penalise = statistics, penalise
        self.rows: Rows = rows

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> "StartedGaussianZ":
        shape = (1, count_rows(self.rows, generator), generator.style_width)
        return StartedGaussianZ(
            self, generator, [repeated(normal(shape, generator.mean_w, rng), batch)]
        )

    def w(self, z: Styles) -> Styles:
        """The w of z."""
        return after_activation(self.statistics.diagonal.to(z) * z + self.statistics.mean.to(z))

    def z(self, w: Styles) -> Styles:
        """The z of w, the inverse."""
        v = before_activation(w)
        return (v - self.statistics.mean.to(v)) / self.statistics.diagonal.clamp_min(1e-6).to(v)


class StartedGaussianZ(StartedFreePart[GaussianZ]):
    """Free z, (batch, 1 or layers, width)."""

    def penalised(self) -> list[Tensor]:
        z: Tensor = self.tensors[0]
        return [z if self.part.penalise == "z" else self.part.w(z)]

    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        del rng
        w = self.part.w(self.tensors[0])
        return SynthesisInputs(styles=w.expand(-1, self.generator.num_layers, -1))

    def adopt_(self, inputs: SynthesisInputs) -> None:
        """Invert the fit; one z for all layers becomes the mean over the rows."""
        rows = styles_in(inputs)
        if rows is None:
            return
        z = self.part.z(rows)
        self.move_([z.mean(1, keepdim=True) if self.part.rows == "one" else z])
