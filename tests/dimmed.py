"""A prior with one free number, whose descents have a closed form."""

from typing import Any

import torch
from torch import Tensor, nn

from invprob.priors import Code, Prior

SHAPE = (3, 8, 8)
RATE = 0.1  # each step takes a tenth of what is left
PATTERN = torch.randn(SHAPE, generator=torch.Generator().manual_seed(8), dtype=torch.float64)


class Brightness(Code):
    """How bright the pattern is."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.brightness = nn.Parameter(torch.zeros(batch, 1, 1, 1, dtype=torch.float64))


class Dimmed(Prior):
    """A known pattern of unknown brightness, which starts at 0."""

    def start(self, batch: int, rng: torch.Generator) -> Code:
        del rng
        return Brightness(batch)

    def decode(self, code: Code, rng: torch.Generator) -> Tensor:
        del rng
        assert isinstance(code, Brightness)
        image: Tensor = code.brightness * PATTERN
        return image

    def adopt_(self, code: Code, realised: Any) -> None:
        assert isinstance(code, Brightness)
        with torch.no_grad():
            code.brightness.copy_(realised["image"][:, :1, :1, :1] / PATTERN[0, 0, 0])

    def spec(self) -> dict[str, Any]:
        return {"type": "dimmed"}


def brightness(step: int) -> float:
    return 1 - (1 - RATE) ** step
