"""Terms of the objective against their formulas."""

import pytest
import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.losses import DataMisfit, PerceptualTerm, is_image
from invprob.operators import Identity, PartialCirculant


class FakeDistance(nn.Module):
    """Counts how often features are computed; the distance is that of the means."""

    name = "fake"

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def features(self, images: Tensor) -> list[Tensor]:
        self.calls += 1
        return [images.mean((2, 3))]

    def compare(self, left: list[Tensor], right: list[Tensor]) -> Tensor:
        return (left[0] - right[0]).square().sum(1)


def images(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_misfit_is_image_mse_for_the_identity() -> None:
    operator = Identity((3, 8, 8))
    x, y = images(0, 2, 3, 8, 8), images(1, 2, 3, 8, 8)
    bound = DataMisfit().bind(y, operator)
    torch.testing.assert_close(bound(x, operator(x)), (x - y).square().mean((1, 2, 3)))


def test_the_misfit_tracks_image_mse_at_every_ratio() -> None:
    """E||Ax||² = ||x||², so the misfit of random measurements estimates the image MSE."""
    x, y = images(0, 1, 3, 32, 32), images(1, 1, 3, 32, 32)
    mse = (x - y).square().mean().item()
    for ratio, tolerance in ((0.02, 0.25), (0.2, 0.1)):
        values = []
        for seed in range(12):
            operator = PartialCirculant((3, 32, 32), ratio=ratio, seed=seed)
            values.append(DataMisfit().bind(operator(y), operator)(x, operator(x)).item())
        assert sum(values) / len(values) == pytest.approx(mse, rel=tolerance)


def test_target_features_are_computed_once() -> None:
    distance = FakeDistance()
    operator = Identity((3, 32, 32))
    x, y = images(0, 2, 3, 32, 32), images(1, 2, 3, 32, 32)
    term = PerceptualTerm(distance)  # type: ignore[arg-type]
    bound = term.bind(y, operator)
    values = [bound(x, x) for _ in range(3)]
    assert distance.calls == 1 + 3
    expected = distance.compare(distance.features(x), distance.features(y))
    torch.testing.assert_close(values[0], expected)
    assert (term.name, term.weight) == ("lpips-fake", 1.5)


def test_only_images_are_looked_at() -> None:
    assert is_image((3, 32, 48))
    assert not is_image((1, 32, 32))
    assert not is_image((3, 16, 64))
    assert not is_image((300,))
    operator = PartialCirculant((3, 32, 32), ratio=0.1)
    with pytest.raises(ArgumentError, match="needs measurements that are images"):
        PerceptualTerm(FakeDistance()).bind(images(0, 1, 307), operator)  # type: ignore[arg-type]


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_impossible_weights_are_refused(weight: float) -> None:
    with pytest.raises(ArgumentError, match="finite and >= 0"):
        DataMisfit(weight)
