"""Heads that map random codes to style rows: P_s, and the mapping network as head."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

import invprob.draws as draws
from invprob.errors import PriorError
from invprob.priors.parts.base import Part, StartedPart, normal
from invprob.priors.parts.heads import StyleHead
from invprob.priors.parts.projected import (
    Projected,
    Readout,
    StartedProjected,
    check_readout,
    settle_draws,
)
from invprob.priors.parts.w_spaces import styles_in
from invprob.priors.parts.z_spaces import Rows, count_rows
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.priors.stylegan.layers import activate, normalise
from invprob.types import Styles


class ProjectedStyles(Projected):
    """P_s: a head that maps a random z+ (1, layers, width) to w+.

    Section 3.2 of SPHInX. Around "mean" it adds the mean w to every row.
    """

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> "StartedStyleHead":
        layers, width = generator.num_layers, generator.style_width
        head = StyleHead(self.shape, layers, width, batch, rng)
        own = generator.mean_w.expand(1, layers, -1)
        return StartedStyleHead(self, generator, head, own, batch, rng)


class StartedStyleHead(StartedProjected):
    """A style head for each image."""

    def fresh_code(self, rng: torch.Generator) -> Tensor:
        shape = (1, self.generator.num_layers, self.generator.style_width)
        return normal(shape, self.generator.mean_w, rng)

    def inputs(self, output: Tensor) -> SynthesisInputs:
        return SynthesisInputs(styles=output)

    def output_in(self, inputs: SynthesisInputs) -> Tensor | None:
        return styles_in(inputs)


class MappedStyles(Part):
    """The mapping network as head: its weights are trained on fresh codes at every step.

    One network makes every row, so rows differ by their codes alone: the ablation of Fig. 2 of the
    SPHInX paper.

    Args:
        weights: "own" starts at the generator's network, "new" at a fresh one.
        rows: one code z for all layers ("one"), or one for "each".
        readout: how the head settles on one output, see `settle_draws`.
        lr_scale: factor of the optimiser's learning rate, positive.

    Raises:
        ArgumentError: `readout` is unknown, or `lr_scale` is not positive.
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

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> "MappingHead":
        return MappingHead(self, generator, batch, rng)


class MappingHead(StartedPart[MappedStyles]):
    """A mapping network of its own for each image.

    Its variables are those of training: weights and biases over their gains, 0.01/sqrt(fan-in) and
    0.01 (StyleGAN's equalised learning rate), so that an optimiser moves them as training did. New
    weights are N(0, 1) / 0.01, new biases 0.

    Args:
        part: the settings.
        generator: the network whose mapping network is the start.
        batch: number of images.
        rng: source of new weights.
    """

    RATE = 0.01  # StyleGAN2's learning-rate multiplier of the mapping network

    def __init__(
        self, part: MappedStyles, generator: Generator, batch: int, rng: torch.Generator
    ) -> None:
        super().__init__(part, generator)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for layer in generator.mapping_layers:
            if not isinstance(layer, nn.Linear):
                continue
            weight = layer.weight.detach().T / self._gain(layer.in_features)
            bias = layer.bias.detach() / self.RATE
            if part.weights == "new":
                weight = (draws.normal(weight.shape, rng) / self.RATE).to(weight)
                bias = torch.zeros_like(bias)
            self.weights.append(nn.Parameter(weight.expand(batch, -1, -1).clone()))
            self.biases.append(nn.Parameter(bias.expand(batch, 1, -1).clone()))

    def _gain(self, fan_in: int) -> float:
        return self.RATE / math.sqrt(fan_in)

    def forward(self, z: Styles) -> Styles:
        """Map z (1 or batch, rows, width) to w (batch, rows, width), every row alike."""
        x = normalise(z).expand(self.weights[0].shape[0], -1, -1)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            gain = self._gain(weight.shape[1])
            x = activate(torch.baddbmm(bias * self.RATE, x, weight * gain))
        return x

    def _code(self, rng: torch.Generator) -> Tensor:
        shape = (1, count_rows(self.part.rows, self.generator), self.generator.z_width)
        return normal(shape, self.generator.mean_w, rng)

    def _inputs(self, w: Styles) -> SynthesisInputs:
        return SynthesisInputs(styles=w.expand(-1, self.generator.num_layers, -1))

    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        return self._inputs(self(self._code(rng)))

    def settle(self, rng: torch.Generator) -> SynthesisInputs:
        return self._inputs(settle_draws(self.part.readout, self, lambda: self._code(rng)))

    def adopt_(self, inputs: SynthesisInputs) -> None:
        """Refuse, as no weights are known that make given rows."""
        del inputs
        raise PriorError("the mapping network as head cannot start from style rows; use sphinx")
