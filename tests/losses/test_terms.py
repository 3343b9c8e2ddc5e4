"""Terms of the objective against their formulas."""

from collections.abc import Sequence

import pytest
import torch
from fake_distance import FakeDistance
from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.losses import (
    DataMisfit,
    DeadZoneMisfit,
    FeatureMisfit,
    MultiScalePerceptual,
    PerceptualTerm,
    ProjectedGradient,
    is_image,
)
from invprob.operators import Identity, PartialCirculant
from invprob.perceptual.distance import PerceptualDistance
from invprob.perceptual.trunks import NETWORKS


class Means(FakeDistance):
    """Counts how often features are computed; the distance is that of the means."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def features(self, images: Tensor) -> list[Tensor]:
        self.calls += 1
        return [images.mean((2, 3))]

    def apart(self, images: Tensor, described: Sequence[Tensor]) -> Tensor:
        (found,), (wanted,) = self.features(images), described
        return (found - wanted).square().sum(1)


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
    distance = Means()
    operator = Identity((3, 32, 32))
    x, y = images(0, 2, 3, 32, 32), images(1, 2, 3, 32, 32)
    term = PerceptualTerm(distance)  # type: ignore[arg-type]
    bound = term.bind(y, operator)
    values = [bound(x, x) for _ in range(3)]
    assert distance.calls == 1 + 3
    expected = distance.apart(x, distance.features(y))
    torch.testing.assert_close(values[0], expected)
    assert (term.name, term.weight) == ("lpips-fake", 1.5)


def test_only_images_are_looked_at() -> None:
    assert is_image((3, 32, 48))
    assert not is_image((1, 32, 32))
    assert not is_image((3, 16, 64))
    assert not is_image((300,))
    operator = PartialCirculant((3, 32, 32), ratio=0.1)
    with pytest.raises(ArgumentError, match="needs measurements that are images"):
        PerceptualTerm(Means()).bind(images(0, 1, 307), operator)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_impossible_weights_are_refused(weight: float) -> None:
    with pytest.raises(ArgumentError, match="finite and >= 0"):
        DataMisfit(weight)


def test_the_dead_zone_is_flat_below_and_the_mean_square_above() -> None:
    operator = PartialCirculant((3, 8, 8), ratio=0.5)
    y = images(1, 2, *operator.measurement_shape)
    x = (y + torch.tensor([0.01, 1.0]).view(2, 1)).requires_grad_()
    value = DeadZoneMisfit(epsilon=0.02).bind(y, operator)(x, x)
    torch.testing.assert_close(value, torch.tensor([0.02, 1.0]), rtol=1e-5, atol=0)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert (gradient[0] == 0).all() and (gradient[1] > 0).all()
    with pytest.raises(ArgumentError, match="epsilon must be finite"):
        DeadZoneMisfit(epsilon=-1.0)


def test_the_pyramid_adds_a_distance_at_each_level_and_the_top() -> None:
    """Three levels of 72 px (72, 36, 18) and a top of 9, with pooling written as reshaped means."""
    distance = Means()
    operator = Identity((3, 72, 72))
    x, y = images(0, 2, 3, 72, 72), images(1, 2, 3, 72, 72)
    term = MultiScalePerceptual(distance)  # type: ignore[arg-type]
    found = term.bind(y, operator)(x, x)
    expected, one, other = torch.zeros(2), x, y
    while one.shape[-1] > 16:
        expected += distance.apart(one, distance.features(other))
        half = one.shape[-1] // 2
        one, other = (at.reshape(2, 3, half, 2, half, 2).mean((3, 5)) for at in (one, other))
    assert one.shape[-1] == 9
    expected += 0.1 * (one - other).abs().mean((1, 2, 3))
    torch.testing.assert_close(found, expected)
    assert (term.name, term.weight) == ("pyramid-fake", 1.0)
    with pytest.raises(ArgumentError, match="needs measurements that are images"):
        term.bind(y, Identity((1, 72, 72)))


def test_image2stylegan_compares_four_layers_of_vgg() -> None:
    """Against the layers called one by one, with torchvision's numbering of VGG16."""
    network = NETWORKS["vgg"]
    trunk = network.trunk()
    for number, value in enumerate(trunk.parameters()):
        value.data = 0.1 * images(number, *value.shape)
    heads = [torch.rand(1, size, 1, 1) for size in (64, 128, 256, 512, 512)]
    distance = PerceptualDistance(network, trunk, heads, {"sha256": ""})
    x, y = images(50, 2, 3, 32, 32), images(51, 2, 3, 32, 32)
    found = FeatureMisfit(distance).bind(y, Identity((3, 32, 32)))(x, x)
    expected = torch.zeros(2)
    one, other = (distance.offset + at * distance.gain for at in (x, y))
    convolutions = 0
    for layer in trunk:
        one, other = layer(one), layer(other)
        convolutions += isinstance(layer, nn.Conv2d)
        # conv1_1, conv1_2, conv3_2 and conv4_2 are the 1st, 2nd, 6th and 9th convolution.
        if isinstance(layer, nn.ReLU) and convolutions in (1, 2, 6, 9):
            expected += (one - other).square().mean((1, 2, 3))
    torch.testing.assert_close(found, expected)
    with pytest.raises(ArgumentError, match="those of VGG16, not of fake"):
        FeatureMisfit(Means())


def test_projected_gradient_goes_for_the_gradient_step_and_renews_it_when_due() -> None:
    """The goal is x₀ - η Aᵀ(A x₀ - y), with the dense A; x₀ is renewed every three calls."""
    operator = PartialCirculant((3, 4, 4), ratio=0.5, seed=3).double()
    columns = torch.eye(48, dtype=torch.float64).reshape(48, 3, 4, 4)
    matrix = operator(columns).T
    y = images(0, 2, *operator.measurement_shape).double()
    bound = ProjectedGradient(0.25, 3, weight=2.0).bind(y, operator)
    draws = [images(10 + call, 2, 3, 4, 4).double() for call in range(7)]
    for call, x in enumerate(draws):
        flat = draws[call - call % 3].flatten(1)
        goal = flat - 0.25 * (flat @ matrix.T - y) @ matrix
        found = bound(x, operator(x))
        torch.testing.assert_close(found, ((x.flatten(1) - goal) ** 2).mean(1))
    for step, inner in ((0.0, 1), (float("nan"), 1), (0.5, 0)):
        with pytest.raises(ArgumentError, match="must be"):
            ProjectedGradient(step, inner)


def test_the_first_inner_step_is_a_step_down_the_misfit() -> None:
    """At x = x₀ the gradient of ||x - v||² is 2 η Aᵀ(A x - y): η times that of the misfit."""
    operator = PartialCirculant((3, 4, 4), ratio=0.5, seed=3).double()
    y = images(0, 1, *operator.measurement_shape).double()
    x = images(1, 1, 3, 4, 4).double().requires_grad_()
    projection = ProjectedGradient(0.25, 9).bind(y, operator)(x, operator(x))
    misfit = DataMisfit().bind(y, operator)(x, operator(x))
    (one,) = torch.autograd.grad(projection.sum(), x)
    (other,) = torch.autograd.grad(misfit.sum(), x)
    torch.testing.assert_close(one, 0.25 * other)
