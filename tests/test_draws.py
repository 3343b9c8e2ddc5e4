"""Draws are those of PyTorch on a CPU in a stated dtype, whatever its defaults are."""

import pytest
import torch
from ambient import AMBIENT
from torch import Tensor

from invprob.draws import integers, normal, permutation, uniform
from invprob.indices import indices


def _drawn() -> list[Tensor]:
    rng = torch.Generator().manual_seed(3)
    return [
        normal((2, 3), rng),
        normal((), rng, torch.float64),
        uniform((4,), rng),
        uniform((4,), rng, torch.float64),
        integers(-2, 5, (6,), rng),
        permutation(7, rng),
        indices(5),
    ]


def test_draws_are_those_of_pytorch() -> None:
    rng = torch.Generator().manual_seed(3)
    expected = [
        torch.randn(2, 3, generator=rng),
        torch.randn((), generator=rng, dtype=torch.float64),
        torch.rand(4, generator=rng),
        torch.rand(4, generator=rng, dtype=torch.float64),
        torch.randint(-2, 5, (6,), generator=rng),
        torch.randperm(7, generator=rng),
        torch.tensor([0, 1, 2, 3, 4]),
    ]
    for drawn, known in zip(_drawn(), expected, strict=True):
        assert drawn.dtype == known.dtype and torch.equal(drawn, known)


@pytest.mark.parametrize("name", AMBIENT)
def test_draws_do_not_follow_the_callers_defaults(name: str) -> None:
    with AMBIENT[name]():
        drawn = _drawn()
    for ambient, known in zip(drawn, _drawn(), strict=True):
        assert ambient.device.type == "cpu" and ambient.dtype == known.dtype
        assert torch.equal(ambient, known)
