"""Style spaces: Z, Z+, Gaussianised Z+, W, W+, W++, and heads that map random codes to W+."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError, PriorError
from invprob.priors.parts.base import Drawn, Free, FreePart, Part, normal, repeated
from invprob.priors.parts.constraints import Constraint
from invprob.priors.parts.heads import MappingHead, StyleHead
from invprob.priors.parts.penalties import Penalty
from invprob.priors.parts.projected import Projected, Readout, check_readout, settle_draws
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.statistics import Statistics, after_activation, before_activation
from invprob.priors.stylegan.synthesis import scales_of
from invprob.types import Styles

Rows = Literal["one", "each"]  # one latent for all layers, or one a layer


def _count(rows: Rows, generator: Generator) -> int:
    return 1 if rows == "one" else generator.num_layers


def map_rows(generator: Generator, z: Styles) -> Styles:
    """The mapping network on every row of (batch, rows, width) by itself.

    Its normalisation is that of one z, over the last axis; rows must not be normalised together.
    """
    w: Styles = generator.mapping(z.flatten(0, 1)).unflatten(0, z.shape[:2])
    return w


def rows_in(realised: Mapping[str, Tensor]) -> Styles | None:
    """The style rows of a solution, if it names any; raises `PriorError` for scales of W++."""
    if "styles" not in realised and "scales.0" in realised:
        raise PriorError("the scales of W++ are those of no style rows; go on in W++ or hold them")
    return realised.get("styles")


class W(FreePart):
    """W: one free w for all layers, starting at the generator's mean w.

    `jitter` is the standard deviation of what is added to w at each step, falling to nothing at
    three quarters of the stage: the exploration of the StyleGAN2 projector (Karras et al., CVPR
    2020, appendix D).
    """

    def __init__(
        self,
        *,
        jitter: float = 0.0,
        constraints: Sequence[Constraint] = (),
        penalties: Sequence[Penalty] = (),
        lr_scale: float = 1.0,
    ) -> None:
        super().__init__(constraints=constraints, penalties=penalties, lr_scale=lr_scale)
        if not jitter >= 0:
            raise ArgumentError(f"jitter must be at least 0, not {jitter}")
        self.jitter = jitter

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        del rng
        variables = self.free([generator.mean_w.expand(batch, 1, -1)])
        variables.register_buffer("progress", torch.zeros(()))
        return variables

    def anneal_(self, variables: nn.Module, progress: float) -> None:
        variables.get_buffer("progress").fill_(progress)

    def draw(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        assert isinstance(variables, Free)
        w: Tensor = variables.tensors[0]
        if self.jitter:
            left = (1 - variables.get_buffer("progress").to(w) / 0.75).clamp_min(0)
            # One draw for the whole batch, so that a batch agrees with single runs.
            w = w + self.jitter * left.square() * normal((1, *w.shape[1:]), w, rng)
        return {"styles": w.expand(-1, generator.num_layers, -1)}

    def settle(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        del rng
        assert isinstance(variables, Free)
        return {"styles": variables.tensors[0].expand(-1, generator.num_layers, -1)}

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        """Take the mean of the rows, which is the nearest single one."""
        del generator
        assert isinstance(variables, Free)
        rows = rows_in(realised)
        if rows is not None:
            variables.move_([rows.mean(1, keepdim=True)])


class WPlus(FreePart):
    """W+: one free w a layer (Abdal et al., ICCV 2019).

    It starts at the generator's mean w, or at random in [-1, 1], as that paper does for images
    unlike the generator's.
    """

    def __init__(
        self,
        *,
        begin: Literal["mean", "uniform"] = "mean",
        constraints: Sequence[Constraint] = (),
        penalties: Sequence[Penalty] = (),
        lr_scale: float = 1.0,
    ) -> None:
        super().__init__(constraints=constraints, penalties=penalties, lr_scale=lr_scale)
        self.begin = begin

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        rows = generator.mean_w.expand(1, generator.num_layers, -1)
        if self.begin == "uniform":
            rows = (2 * torch.rand(rows.shape, generator=rng) - 1).to(rows)
        return self.free([repeated(rows, batch)])

    def draw(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        del generator, rng
        assert isinstance(variables, Free)
        return {"styles": variables.tensors[0]}

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        del generator
        assert isinstance(variables, Free)
        rows = rows_in(realised)
        if rows is not None:
            variables.move_([rows])


class WPlusPlus(Part):
    """W++: every input channel of every modulated convolution has a w of its own.

    A channel's scale is linear in its w, a·w + b, so that w moves along a only, and one variable
    u a channel carries the same path: scale = start + ||a||·u (Poirier-Ginter & Lalonde, CVPR 2023,
    where a convolution and the ToRGB of one row share these w; here each has its own).
    """

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        del rng
        rows = generator.mean_w.expand(batch, generator.num_layers, -1)
        bases = generator.scales(rows)
        return Free([torch.zeros_like(base)[..., None] for base in bases], held=bases)

    def draw(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        del rng
        assert isinstance(variables, Free)
        modules = [module for _, module in generator.modulations()]
        parts = zip(variables.tensors, variables.held, modules, strict=True)
        return {
            f"scales.{index}": base + module.affine.weight.norm(dim=1) * moved[..., 0]
            for index, (moved, base, module) in enumerate(parts)
        }

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        assert isinstance(variables, Free)
        if "styles" not in realised and "scales.0" not in realised:
            return
        bases = scales_of(generator, realised)
        zeros = [torch.zeros_like(tensor) for tensor in variables.tensors]
        variables.move_([*zeros, *bases])


class Z(FreePart):
    """Z or Z+: one free z for all layers, or one a layer, through the mapping network.

    The mapping network looks at the direction of z alone; starting at norm sqrt(width) with
    `Spheres` keeps the length from growing, which would slow the descent.
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

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        width = generator.z_width
        z = normal((1, _count(self.rows, generator), width), generator.mean_w, rng)
        z = z * (math.sqrt(width) / z.norm(dim=-1, keepdim=True))
        return self.free([repeated(z, batch)])

    def draw(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        del rng
        assert isinstance(variables, Free)
        w = map_rows(generator, variables.tensors[0])
        return {"styles": w.expand(-1, generator.num_layers, -1)}

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        del variables, generator, realised
        raise PriorError(
            "Z cannot go on from style rows: the mapping network has no inverse; take a method in "
            "W, W+ or the Gaussianised Z+ (pulse, ilo)"
        )


class GaussianZ(FreePart):
    """Z+ through a Gaussian fit of W in place of the mapping network: w = LReLU(σ ⊙ z + μ).

    μ and σ are mean and standard deviation of each coordinate of v = LReLU_5(w) (PULSE, Menon et
    al., CVPR 2020; ILO, Daras et al., ICML 2021). `penalise` says whether penalties see z or w.
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

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        shape = (1, _count(self.rows, generator), generator.style_width)
        return self.free([repeated(normal(shape, generator.mean_w, rng), batch)])

    def _w(self, z: Styles) -> Styles:
        return after_activation(self.statistics.diagonal.to(z) * z + self.statistics.mean.to(z))

    def penalised(self, variables: Free) -> list[Tensor]:
        z: Tensor = variables.tensors[0]
        return [z if self.penalise == "z" else self._w(z)]

    def draw(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        del rng
        assert isinstance(variables, Free)
        w = self._w(variables.tensors[0])
        return {"styles": w.expand(-1, generator.num_layers, -1)}

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        """Invert the fit; one z for all layers takes the mean over the rows."""
        del generator
        assert isinstance(variables, Free)
        rows = rows_in(realised)
        if rows is None:
            return
        v = before_activation(rows)
        z = (v - self.statistics.mean.to(v)) / self.statistics.diagonal.clamp_min(1e-6).to(v)
        variables.move_([z.mean(1, keepdim=True) if self.rows == "one" else z])


class ProjectedStyles(Projected):
    """P_s: fresh z+ ~ N(0, I) at every step, mapped to w+; "mean" adds the mean w."""

    name = "styles"

    def head(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        return StyleHead(self.shape, generator.num_layers, generator.style_width, batch, rng)

    def own(self, generator: Generator) -> Tensor:
        return generator.mean_w.expand(1, generator.num_layers, -1)

    def found(self, generator: Generator, realised: Mapping[str, Tensor]) -> Tensor | None:
        del generator
        return rows_in(realised)

    def code(self, generator: Generator, rng: torch.Generator) -> Tensor:
        return normal((1, generator.num_layers, generator.style_width), generator.mean_w, rng)


class MappedStyles(Part):
    """The mapping network as head: its weights are trained on fresh z, or z+, at every step.

    `weights` "own" starts from the generator's (fine-tuned), "new" from fresh ones; the codes are
    one z for all layers or one a layer. One network makes every row, so that rows cannot differ but
    by their codes: the ablation of Fig. 2 of the paper.
    """

    def __init__(
        self,
        weights: Literal["own", "new"],
        rows: Rows = "each",
        *,
        readout: Readout = "mean_w",
        lr_scale: float = 1.0,
    ) -> None:
        super().__init__(lr_scale)
        check_readout(readout)
        self.weights = weights
        self.rows: Rows = rows
        self.readout: Readout = readout

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> nn.Module:
        layers = [layer for layer in generator.mapping_layers if isinstance(layer, nn.Linear)]
        return MappingHead(layers, batch, rng if self.weights == "new" else None)

    def _code(self, generator: Generator, rng: torch.Generator) -> Tensor:
        shape = (1, _count(self.rows, generator), generator.z_width)
        return normal(shape, generator.mean_w, rng)

    def draw(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        w: Tensor = variables(self._code(generator, rng))
        return {"styles": w.expand(-1, generator.num_layers, -1)}

    def settle(self, variables: nn.Module, generator: Generator, rng: torch.Generator) -> Drawn:
        w = settle_draws(self.readout, variables, lambda: self._code(generator, rng))
        return {"styles": w.expand(-1, generator.num_layers, -1)}

    def adopt_(
        self, variables: nn.Module, generator: Generator, realised: Mapping[str, Tensor]
    ) -> None:
        del variables, generator, realised
        raise PriorError("the mapping network as head cannot go on from style rows; take sphinx")
