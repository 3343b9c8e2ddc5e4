"""Planted bugs: each breaks one law of a prior's contract and must be caught."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from invprob.errors import ContractError
from invprob.priors import Code, ParamGroup, Prior
from invprob.testing import check_prior


class PixelCode(Code):
    def __init__(self, pixels: Tensor) -> None:
        super().__init__()
        self.pixels = nn.Parameter(pixels)
        self.scale = nn.Parameter(torch.ones(len(pixels), 1, 1, 1))


class Sound(Prior):
    def __init__(self) -> None:
        super().__init__((1, 4, 4))

    def start(self, batch: int, rng: torch.Generator) -> PixelCode:
        return PixelCode(torch.randn(1, 1, 4, 4, generator=rng).repeat(batch, 1, 1, 1))

    def decode(self, code: Code, rng: torch.Generator) -> Tensor:
        assert isinstance(code, PixelCode)
        return code.pixels * code.scale + 0.1 * torch.randn(1, 1, 4, 4, generator=rng)

    def spec(self) -> dict[str, object]:
        return {"type": "sound"}


class StartsDifferently(Sound):
    def start(self, batch: int, rng: torch.Generator) -> PixelCode:
        return PixelCode(torch.randn(batch, 1, 4, 4, generator=rng))


class ForgetsTheBatch(Sound):
    def start(self, batch: int, rng: torch.Generator) -> PixelCode:
        return PixelCode(torch.randn(1, 1, 4, 4, generator=rng))


class DrawsFromNowhere(Sound):
    def decode(self, code: Code, rng: torch.Generator) -> Tensor:
        return super().decode(code, rng) + torch.randn(1, 1, 4, 4)


class MixesTheBatch(Sound):
    def decode(self, code: Code, rng: torch.Generator) -> Tensor:
        image = super().decode(code, rng)
        return image + 1e-6 * image.mean(0, keepdim=True)


class IgnoresTheCode(Sound):
    def decode(self, code: Code, rng: torch.Generator) -> Tensor:
        return 0 * super().decode(code, rng)


class WrongShape(Sound):
    def decode(self, code: Code, rng: torch.Generator) -> Tensor:
        return super().decode(code, rng)[..., :3]


class LosesAVariable(Sound):
    def groups(self, code: Code) -> list[ParamGroup]:
        assert isinstance(code, PixelCode)
        return [ParamGroup([code.pixels])]


class ListsTwice(Sound):
    def groups(self, code: Code) -> list[ParamGroup]:
        return [ParamGroup(list(code.parameters())), *super().groups(code)]


class ScalarTerm(Sound):
    def regularisers(self, code: Code) -> Mapping[str, Tensor]:
        assert isinstance(code, PixelCode)
        return {"size": code.pixels.square().mean()}


class MovesOn(Sound):
    @torch.no_grad()
    def project_(self, code: Code) -> None:
        assert isinstance(code, PixelCode)
        code.pixels.mul_(0.9)


class RendersOtherwise(Sound):
    def render(self, realised: Mapping[str, Tensor]) -> Tensor:
        return realised["image"] + torch.randn(1)


class UnwritableSpec(Sound):
    def spec(self) -> dict[str, object]:
        return {"type": torch.zeros(1)}


def test_a_sound_prior_passes() -> None:
    check_prior(Sound())


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (StartsDifferently(), "starts differently"),
        (ForgetsTheBatch(), "a batch of 3 comes first"),
        (DrawsFromNowhere(), "other images for the same draws"),
        (MixesTheBatch(), "of another"),
        (IgnoresTheCode(), "no free variable"),
        (WrongShape(), "decode\\(\\) gives"),
        (LosesAVariable(), "leaves out"),
        (ListsTwice(), "twice"),
        (ScalarTerm(), "one value an image"),
        (MovesOn(), "called twice"),
        (RendersOtherwise(), "another image"),
        (UnwritableSpec(), "not JSON"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Prior) else "",
)
def test_planted_bugs_are_caught(prior: Prior, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_prior(prior)
