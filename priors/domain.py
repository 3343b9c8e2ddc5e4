"""A domain-guided prior: the style rows stay where an encoder finds them in their own image."""

from typing import final

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.priors.parts import Part, StartedPart, WPlus
from invprob.priors.parts.penalties import Penalty, mean_square
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.types import PerImage


@final
class DomainGuided(StyleGANPrior):
    """W+ with the penalty weight · mean (w - E(G(w)))² (IDInvert, Zhu et al., ECCV 2020).

    The image is drawn once more for the penalty, so a step costs about twice one of W+.

    Args:
        generator: the network G that is searched.
        encoder: E, which maps images to style rows. It is frozen.
        weight: of the penalty, at least 0.

    Raises:
        ArgumentError: the weight is negative.
    """

    def __init__(self, generator: Generator, encoder: nn.Module, weight: float) -> None:
        encoder.requires_grad_(False).eval()
        super().__init__(generator, style=GuidedWPlus(generator.resolution, encoder, weight))
        self.encoder = encoder  # as a module, so that it moves with the prior


class GuidedWPlus(Part):
    """W+ with the domain penalty.

    Args:
        resolution: size of the images that the encoder was trained on. On a generator of another
            size, as in a search from coarse to fine, there is no penalty.
        encoder: maps images to style rows.
        weight: of the penalty, at least 0.

    Raises:
        ArgumentError: the weight is negative.
    """

    def __init__(self, resolution: int, encoder: nn.Module, weight: float) -> None:
        super().__init__()
        if not weight >= 0:
            raise ArgumentError(f"the weight of the domain penalty must be >= 0, not {weight}")
        self.resolution, self.encoder, self.weight = resolution, encoder, weight

    def start(self, generator: Generator, batch: int, rng: torch.Generator) -> StartedPart:
        if generator.resolution != self.resolution:
            return WPlus().start(generator, batch, rng)
        penalty = DomainPenalty(generator, self.encoder, self.weight)
        return WPlus(penalties=(penalty,)).start(generator, batch, rng)


class DomainPenalty(Penalty):
    """Mean of (w - E(G(w)))² over the style rows w: how far the encoder moves them.

    Args:
        generator: the network G.
        encoder: E, which maps images to style rows.
        weight: factor in the loss, at least 0.
    """

    name = "domain"

    def __init__(self, generator: Generator, encoder: nn.Module, weight: float) -> None:
        super().__init__(weight)
        self.generator, self.encoder = generator, encoder

    def __call__(self, value: Tensor, origin: Tensor) -> PerImage:
        del origin
        seen: Tensor = self.encoder(self.generator.synthesis(value))
        return mean_square(value - seen)
