"""The weights of the synthesis network: those that were trained, or free ones for each image.

Moving them is image-adaptive reconstruction (Hussein, Tirer & Giryes, AAAI 2020) and pivotal tuning
(Roich et al., ACM TOG 2022).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from invprob.errors import ArgumentError, PriorError
from invprob.priors.base import ParamGroup
from invprob.priors.parts.base import Part, StartedPart
from invprob.priors.parts.free import FreePart, StartedFreePart
from invprob.priors.stylegan.differences import no_difference
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.types import PerImage


class TrainedWeights(Part):
    """The weights that the generator was trained to; nothing is free."""

    def start(
        self, generator: Generator, batch: int, rng: torch.Generator
    ) -> "StartedTrainedWeights":
        del batch, rng
        return StartedTrainedWeights(self, generator)


class StartedTrainedWeights(StartedPart[TrainedWeights]):
    """The generator's own weights, which all images share."""

    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        del rng
        return SynthesisInputs()

    def adopt_(self, inputs: SynthesisInputs) -> None:
        """Accept the trained weights alone: nothing moves, and no other weights may be lost."""
        if any(bool(difference.any()) for difference in (inputs.weights or {}).values()):
            raise PriorError(
                "the trained weights cannot start from others; use FreeWeights, or keep those with "
                "Frozen(FreeWeights())"
            )


class FreeWeights(FreePart):
    """Weights of the convolutions, free for each image. They start where they were trained.

    Each tensor moves at a rate relative to its own root mean square, because tensors of different
    layers have very different sizes.

    Args:
        layers: the synthesis layers whose weights move, counted from 0. None: all of them.
        colours: whether the ToRGB layer that follows such a layer moves as well.
        distance: weight of the penalty on the mean squared difference from the trained weights, in
            units of each tensor's mean square, at least 0.
        lr_scale: the learning rate of a tensor, divided by its root mean square and by the learning
            rate of the optimiser; positive.
        scheduled: see `FreePart`.

    Raises:
        ArgumentError: `layers` is empty or below 0, `distance` is negative, or `lr_scale` is not
            positive.
    """

    def __init__(
        self,
        *,
        layers: Sequence[int] | None = None,
        colours: Literal["free", "trained"] = "free",
        distance: float = 0.0,
        lr_scale: float = 1.0,
        scheduled: bool = True,
    ) -> None:
        super().__init__(lr_scale=lr_scale, scheduled=scheduled)
        if layers is not None and (not layers or min(layers) < 0):
            raise ArgumentError(
                f"layers must name synthesis layers from 0 on, not {list(layers)}; for none of "
                "them use TrainedWeights"
            )
        if not (math.isfinite(distance) and distance >= 0):
            raise ArgumentError(f"distance must be finite and at least 0, not {distance}")
        self.layers = None if layers is None else tuple(sorted(set(layers)))
        self.colours, self.distance = colours, distance

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> "StartedWeights":
        """Start at the trained weights.

        Raises:
            ArgumentError: the generator has no such layer.
        """
        del rng
        return StartedWeights(self, generator, self.names(generator), batch)

    def names(self, generator: Generator) -> list[str]:
        """The generator's names of the weights that move, in the order in which it uses them.

        So those of a smaller generator (`Generator.truncate`) come first.

        Args:
            generator: the network.

        Returns:
            Names such as "layers.3.weight".

        Raises:
            ArgumentError: the generator has no such layer.
        """
        last = generator.num_layers - 2
        chosen = range(last + 1) if self.layers is None else self.layers
        names = []
        for layer in chosen:
            generator.feature_shape(layer)  # which refuses a layer that is not there
            names.append(f"layers.{layer}.weight")
            if self.colours == "free" and layer % 2 == 0:
                names.append(f"to_rgb.{layer // 2}.weight")
        return names


class StartedWeights(StartedFreePart[FreeWeights]):
    """Differences from the trained weights, (batch, *shape) each.

    Args:
        part: the settings.
        generator: the network whose weights they are.
        names: the weights that move, by the generator's names.
        batch: number of images.
    """

    def __init__(
        self, part: FreeWeights, generator: Generator, names: Sequence[str], batch: int
    ) -> None:
        trained = generator.synthesis_weights()
        super().__init__(part, generator, [no_difference(trained[name], batch) for name in names])
        self.names = tuple(names)
        sizes = [float(trained[name].square().mean().sqrt()) for name in names]
        self.sizes = [size or 1.0 for size in sizes]  # a tensor of zeros has no size to go by

    def draw(self, rng: torch.Generator) -> SynthesisInputs:
        del rng
        return SynthesisInputs(weights=dict(zip(self.names, self.tensors, strict=True)))

    def settle(self, rng: torch.Generator) -> SynthesisInputs:
        """The differences in half precision, so that files stay small."""
        del rng
        weights = zip(self.names, self.tensors, strict=True)
        return SynthesisInputs(weights={name: tensor.half() for name, tensor in weights})

    def groups(self) -> list[ParamGroup]:
        """A group for each tensor, with a rate in proportion to its size."""
        part = self.part
        return [
            ParamGroup([tensor], part.lr_scale * size, part.scheduled)
            for tensor, size in zip(self.tensors, self.sizes, strict=True)
        ]

    def penalised(self) -> list[Tensor]:
        """The differences relative to the size of the trained tensors."""
        return [tensor / size for tensor, size in zip(self.tensors, self.sizes, strict=True)]

    def regularisers(self) -> Mapping[str, PerImage]:
        terms = dict(super().regularisers())
        if self.part.distance:
            means = [value.square().flatten(1).mean(1) for value in self.penalised()]
            terms["weights"] = self.part.distance * torch.stack(means).mean(0)
        return terms

    def adopt_(self, inputs: SynthesisInputs) -> None:
        """Begin at the weights of another solution.

        Raises:
            PriorError: weights differ there that do not move here.
        """
        weights = inputs.weights or {}
        for name, difference in weights.items():
            if name not in self.names and bool(difference.any()):
                raise PriorError(
                    f"{name} was moved before and is not free here; let FreeWeights move its layer"
                )
        zeros = (torch.zeros_like(tensor) for tensor in self.tensors)
        each = zip(self.names, zeros, strict=True)
        self.move_([weights.get(name, zero) for name, zero in each])
