"""An image and its variants along one direction: G(w* + α_k D / ||D||) (SPHInX, appendix B)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

import invprob.draws as draws
from invprob.errors import ArgumentError, PriorError
from invprob.priors.base import Code, ParamGroup, Prior
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.priors.stylegan.prior import StyleGANCode, StyleGANPrior
from invprob.priors.stylegan.synthesis import synthesise
from invprob.registry import register
from invprob.types import Images, PerImage, Spec, Styles

MARGIN = 2.0  # τ of appendix B


class TraversalCode(Code):
    """The free variables of one direction for each image.

    Args:
        latents: the variables of w*, and of content, noise maps and weights, which all pictures of
            an image share.
        direction: D, (batch, layers, width).
        scales: α_1 to α_K, (batch, K).
    """

    def __init__(self, latents: StyleGANCode, direction: Tensor, scales: Tensor) -> None:
        super().__init__()
        self.latents = latents
        self.direction, self.scales = nn.Parameter(direction), nn.Parameter(scales)


@final
@register.prior("traversal")
class Traversal(Prior[TraversalCode]):
    """An image and K variants of it, I_k = G(w* + α_k D / ||D||) with α_0 = 0 (SPHInX, appendix B).

    An image of this prior is a series: the K + 1 pictures lie one behind the other along the
    channel axis, (3 (K + 1), height, width), and `invprob.operators.series` measures them. They are
    drawn at once. w*, content, noise maps and weights are those of another prior, and the pictures
    share them. The direction D has a row for each style row. Each row is divided by its own length,
    as in the published code; the paper's ||D|| could also mean the length of all rows together.

    D begins at Gaussian numbers, and the scales α at 0. There the gradient of D is 0, so that D
    learns nothing until a scale has moved. The margin moves the last scale, and then those before
    it one after another.

    Raises:
        ArgumentError: there is no variant, or the margin or a rate is negative.
    """

    def __init__(
        self,
        latents: Annotated[StyleGANPrior, "what draws the image; its style part gives style rows"],
        variants: Annotated[int, "K, how many variants of the image there are, at least 1"],
        margin: Annotated[
            float, "τ, by how much the scales should grow from picture to picture"
        ] = MARGIN,
        margin_weight: Annotated[float, "weight of the margin's term in the objective"] = 1.0,
        direction_rate: Annotated[
            float, "learning rate of D relative to that of the other variables, above 0"
        ] = 1.0,
        scale_rate: Annotated[
            float, "learning rate of the scales relative to that of the other variables, above 0"
        ] = 1.0,
    ) -> None:
        if variants < 1:
            raise ArgumentError(f"variants must be at least 1, not {variants}")
        for name, value in (("margin", margin), ("margin_weight", margin_weight)):
            if not 0 <= value < float("inf"):
                raise ArgumentError(f"{name} must be a finite number of at least 0, not {value}")
        for name, value in (("direction_rate", direction_rate), ("scale_rate", scale_rate)):
            if not 0 < value < float("inf"):
                raise ArgumentError(f"{name} must be a finite number above 0, not {value}")
        channels, *rest = latents.image_shape
        super().__init__(((variants + 1) * channels, *rest))
        self.latents, self.variants = latents, variants
        self.margin, self.margin_weight = margin, margin_weight
        self.direction_rate, self.scale_rate = direction_rate, scale_rate

    def start(self, batch: int, rng: torch.Generator) -> TraversalCode:
        """The start of the other prior, then D ~ N(0, 1), and α = 0."""
        latents = self.latents.start(batch, rng)
        mean = self.latents.generator.mean_w
        shape = (1, self.latents.generator.num_layers, mean.shape[-1])
        direction = draws.normal(shape, rng).to(mean).expand(batch, -1, -1).clone()
        return TraversalCode(latents, direction, mean.new_zeros(batch, self.variants))

    def decode(self, code: TraversalCode, rng: torch.Generator) -> Images:
        """Draw the pictures of each image, in one pass."""
        inputs = code.latents.draw(rng)
        return self._draw(inputs, unit_rows(code.direction), code.scales)

    def groups(self, code: TraversalCode) -> list[ParamGroup]:
        """Those of the other prior, D, and the scales."""
        return [
            *self.latents.groups(code.latents),
            ParamGroup([code.direction], self.direction_rate),
            ParamGroup([code.scales], self.scale_rate),
        ]

    def regularisers(self, code: TraversalCode) -> Mapping[str, PerImage]:
        """Those of the other prior, and the margin."""
        own = self.margin_weight * margin_loss(code.scales, self.margin)
        return {**self.latents.regularisers(code.latents), "margin": own}

    def project_(self, code: TraversalCode) -> None:
        """As the other prior does."""
        self.latents.project_(code.latents)

    def anneal_(self, code: TraversalCode, progress: float) -> None:
        """As the other prior does."""
        self.latents.anneal_(code.latents, progress)

    @torch.no_grad()
    def adopt_(self, code: TraversalCode, realised: Mapping[str, Tensor]) -> None:
        """Move w* as the other prior does; the direction and the scales too, where they are given.

        Raises:
            PriorError: the other prior cannot start there, or there are other scales.
        """
        self.latents.adopt_(code.latents, realised)
        for name, own in (("direction", code.direction), ("scales", code.scales)):
            found = realised.get(name)
            if found is None:
                continue
            if found.shape != own.shape:
                raise PriorError(
                    f"{name} of shape {tuple(own.shape)} cannot start from one of shape "
                    f"{tuple(found.shape)}"
                )
            own.copy_(found)

    def realise(self, code: TraversalCode, rng: torch.Generator) -> dict[str, Tensor]:
        """What the other prior keeps of w*, then D / ||D|| as "direction", and "scales"."""
        own = {"direction": unit_rows(code.direction), "scales": code.scales}
        return {**self.latents.realise(code.latents, rng), **own}

    def render(self, realised: Mapping[str, Tensor]) -> Images:
        """Draw the pictures of each image."""
        inputs = SynthesisInputs.from_tensors(realised)
        return self._draw(inputs, realised["direction"], realised["scales"])

    @torch.no_grad()
    def mean_image(self) -> Images:
        """The mean image, as often as there are pictures."""
        return self.latents.mean_image().repeat(1, self.variants + 1, 1, 1)

    def spec(self) -> dict[str, Any]:
        """The spec of the other prior, and the options."""
        return {
            "type": "traversal",
            "latents": self.latents.spec(),
            "variants": self.variants,
            "margin": self.margin,
            "margin_weight": self.margin_weight,
            "direction_rate": self.direction_rate,
            "scale_rate": self.scale_rate,
        }

    @classmethod
    def from_spec(cls, spec: Spec) -> "Traversal":
        """Build the prior again."""
        options = {name: value for name, value in spec.items() if name not in ("type", "latents")}
        return cls(StyleGANPrior.from_spec(spec["latents"]), **options)

    def _draw(self, inputs: SynthesisInputs, direction: Tensor, scales: Tensor) -> Images:
        """G(w* + α_k D / ||D||) for k = 0 to K, with α_0 = 0, along the channel axis."""
        if inputs.styles is None:
            raise PriorError(
                "a traversal moves style rows, and this style part gives scales in their place; "
                "take W+ or a style head"
            )
        batch, pictures = len(scales), self.variants + 1
        alpha = functional.pad(scales, (1, 0))  # α_0 = 0: the image itself
        moved = inputs.styles[:, None] + alpha[..., None, None] * direction[:, None]
        shared = {
            name: _for_pictures(value, batch, pictures)
            for name, value in inputs.to_tensors().items()
            if name != "styles"
        }
        all_inputs = SynthesisInputs.from_tensors({**shared, "styles": moved.flatten(0, 1)})
        drawn = synthesise(self.latents.generator, all_inputs)
        return drawn.view(batch, self.image_shape[0], *drawn.shape[2:])


def unit_rows(direction: Styles) -> Styles:
    """D / ||D||, each row by itself."""
    return functional.normalize(direction, dim=-1, eps=torch.finfo(direction.dtype).tiny)


def margin_loss(scales: Tensor, margin: float = MARGIN) -> PerImage:
    """L_margin = Σ_{k=1..K} max(0, τ - α_k) + Σ_{k=1..K-1} max(0, τ - (α_{k+1} - α_k)).

    The paper prints one k without a range, max(0, τ - α_k) + max(0, τ - α_{k+1} + α_k), and says
    that the scales shall increase with k. With the sums it is 0 if and only if each scale is at
    least τ and lies at least τ above the one before it. If all scales are 0, it is τ (2K - 1).

    Args:
        scales: α_1 to α_K, (batch, K).
        margin: τ.

    Returns:
        The loss of each image, (batch,).
    """
    short = functional.relu(margin - scales).sum(1)
    return short + functional.relu(margin - scales.diff(dim=1)).sum(1)


def _for_pictures(value: Tensor, batch: int, pictures: int) -> Tensor:
    """An input of a batch, or one that all images share, for each picture of each image."""
    each: Sequence[int] = (batch, *value.shape[1:])
    return value.expand(each).repeat_interleave(pictures, 0)
