"""Free pixels with total variation: what can be done without a generator."""

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.priors.base import Code, Prior
from invprob.registry import register
from invprob.types import Images, PerImage, Shape, Spec

SMOOTHING = 0.01  # differences below it, in units of [-1, 1], are penalised quadratically


class PixelCode(Code):
    """The image itself, (batch, channel, height, width)."""

    def __init__(self, pixels: Tensor) -> None:
        super().__init__()
        self.pixels = nn.Parameter(pixels)


@register.prior("pixels")
class Pixels(Prior[PixelCode]):
    """Every pixel is free, and the total variation of the image is penalised.

    The penalty is weight · total variation / n, with n image elements as in the data term (Rudin,
    Osher & Fatemi, Physica D, 1992). Pixels start at 0, which is grey, or at an adopted image.

    Raises:
        ArgumentError: the weight is negative or not finite.
    """

    origin: Tensor

    def __init__(
        self,
        image_shape: Shape,
        weight: Annotated[float, "weight of the total variation, at least 0"] = 0.0,
    ) -> None:
        super().__init__(image_shape)
        if not 0 <= weight < float("inf"):
            raise ArgumentError(f"weight must be finite and at least 0, not {weight}")
        self.weight = weight
        origin = torch.zeros((), dtype=torch.float32, device="cpu")
        self.register_buffer("origin", origin, persistent=False)  # device and dtype

    def start(self, batch: int, rng: torch.Generator) -> PixelCode:
        """Grey images."""
        del rng
        return PixelCode(self.origin.new_zeros(batch, *self.image_shape))

    def decode(self, code: PixelCode, rng: torch.Generator) -> Images:
        """The pixels."""
        del rng
        return code.pixels.clone()  # so that images of earlier steps stay as they were

    def regularisers(self, code: PixelCode) -> Mapping[str, PerImage]:
        """The total variation as "tv", if its weight is not 0."""
        if not self.weight:
            return {}
        elements = code.pixels[0].numel()
        return {"tv": self.weight / elements * total_variation(code.pixels, SMOOTHING)}

    def adopt_(self, code: PixelCode, realised: Mapping[str, Tensor]) -> None:
        """Copy the image of another solution.

        Raises:
            PriorError: the solution names no image.
        """
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
    """Σ sqrt(∂x² + ∂y² + ε²) - ε over pixels and channels.

    Args:
        images: (batch, channel, height, width).
        smoothing: ε.

    Returns:
        One value for each image. ∂x and ∂y are forward differences, 0 at the far border.
    """
    down = nn.functional.pad(images[..., 1:, :] - images[..., :-1, :], (0, 0, 0, 1))
    right = nn.functional.pad(images[..., 1:] - images[..., :-1], (0, 1))
    length = (down.square() + right.square() + smoothing**2).sqrt() - smoothing
    return length.flatten(1).sum(1)
