"""Free pixels with total variation: what can be had without any generator."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.priors.base import Code, Prior
from invprob.registry import register
from invprob.types import Images, PerImage, Shape, Spec

SMOOTHING = 0.01  # grey levels of [-1, 1] below which a difference counts as its square


class PixelCode(Code):
    """The image itself, (batch, channel, height, width)."""

    def __init__(self, pixels: Tensor) -> None:
        super().__init__()
        self.pixels = nn.Parameter(pixels)


@register.prior("pixels")
class Pixels(Prior[PixelCode]):
    """Every pixel is free; `weight` · total variation / n keeps them together.

    Rudin, Osher & Fatemi (Physica D, 1992), with n image elements as in the data term. Pixels start
    at 0, or at an image that is adopted. Raises `ArgumentError` unless the weight is at least 0.
    """

    origin: Tensor

    def __init__(self, image_shape: Shape, weight: float = 0.0) -> None:
        super().__init__(image_shape)
        if not 0 <= weight < float("inf"):
            raise ArgumentError(f"weight must be finite and at least 0, not {weight}")
        self.weight = weight
        self.register_buffer("origin", torch.zeros(()), persistent=False)  # device and dtype

    def start(self, batch: int, rng: torch.Generator) -> PixelCode:
        """Grey images."""
        del rng
        return PixelCode(self.origin.new_zeros(batch, *self.image_shape))

    def decode(self, code: PixelCode, rng: torch.Generator) -> Images:
        """The pixels."""
        del rng
        return code.pixels.clone()  # what is handed out stays as it was when the code moves

    def regularisers(self, code: PixelCode) -> Mapping[str, PerImage]:
        """The total variation, where it has a weight."""
        if not self.weight:
            return {}
        elements = code.pixels[0].numel()
        return {"tv": self.weight / elements * total_variation(code.pixels, SMOOTHING)}

    def adopt_(self, code: PixelCode, realised: Mapping[str, Tensor]) -> None:
        """Take the image over; what has none is `PriorError`."""
        if "image" not in realised:
            super().adopt_(code, realised)
        with torch.no_grad():
            code.pixels.copy_(realised["image"])

    def spec(self) -> dict[str, Any]:
        """Shape and weight."""
        return {**super().spec(), "image_shape": list(self.image_shape), "weight": self.weight}

    @classmethod
    def from_spec(cls, spec: Spec) -> "Pixels":
        """Build the prior again."""
        return cls(tuple(spec["image_shape"]), spec["weight"])


def total_variation(images: Images, smoothing: float = 0.0) -> PerImage:
    """Σ sqrt(∂x² + ∂y² + ε²) - ε over pixels and channels, forward differences, 0 at the border."""
    down = nn.functional.pad(images[..., 1:, :] - images[..., :-1, :], (0, 0, 0, 1))
    right = nn.functional.pad(images[..., 1:] - images[..., :-1], (0, 1))
    length = (down.square() + right.square() + smoothing**2).sqrt() - smoothing
    return length.flatten(1).sum(1)
