"""The simplest prior: every pixel is free."""

from typing import Any

import torch
from torch import Tensor, nn

from invprob.priors import Code, Prior


class PixelCode(Code):
    def __init__(self, pixels: Tensor) -> None:
        super().__init__()
        self.pixels = nn.Parameter(pixels)


class Pixels(Prior):
    """The simplest prior: every pixel is free."""

    def start(self, batch: int, rng: torch.Generator) -> PixelCode:
        first = 0.1 * torch.randn(1, *self.image_shape, generator=rng, dtype=torch.float64)
        return PixelCode(first.repeat(batch, *[1] * len(self.image_shape)))

    def decode(self, code: Code, rng: torch.Generator) -> Tensor:
        del rng
        assert isinstance(code, PixelCode)
        return code.pixels

    def spec(self) -> dict[str, Any]:
        return {"type": "pixels"}


def images(count: int, *shape: int, seed: int = 3) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(count, *shape, generator=rng, dtype=torch.float64) * 2 - 1
