"""A domain-guided prior: the style rows stay where an encoder finds them in their own image."""

from collections.abc import Mapping

from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.priors.base import Code
from invprob.priors.parts import WPlus
from invprob.priors.parts.base import Free
from invprob.priors.parts.noise_penalty import mean_square
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.prior import StyleGANCode, StyleGANPrior
from invprob.types import PerImage


class DomainGuided(StyleGANPrior):
    """W+ with the penalty weight · mean (w - E(G(w)))² (IDInvert, Zhu et al., ECCV 2020).

    `encoder` maps images to style rows and is frozen. The image is drawn once more for the penalty,
    so that a step costs about twice one of W+.
    """

    def __init__(self, generator: Generator, encoder: nn.Module, weight: float) -> None:
        super().__init__(generator, style=WPlus())
        if not weight >= 0:
            raise ArgumentError(f"the weight of the domain penalty must be >= 0, not {weight}")
        self.encoder = encoder.requires_grad_(False).eval()
        self.weight = weight

    def regularisers(self, code: Code) -> Mapping[str, PerImage]:
        """How far the encoder moves the style rows, image by image."""
        assert isinstance(code, StyleGANCode) and isinstance(code.style, Free)
        rows: Tensor = code.style.tensors[0]
        seen: Tensor = self.encoder(self.generator.synthesis(rows))
        return {"domain": self.weight * mean_square(rows - seen)}
