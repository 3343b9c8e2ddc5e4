"""How the distance behaves: formula, gradient, batches, sizes."""

import copy
from pathlib import Path

import pytest
import torch
from random_trunks import by_differences, loaded, pair, random_state, saved

from invprob.errors import ShapeError
from invprob.perceptual.distance import PerceptualDistance


@pytest.mark.parametrize("targets", [1, 2])
def test_the_distance_is_the_square_of_what_descriptions_differ(
    distance: PerceptualDistance, targets: int
) -> None:
    """With the gradients that PyTorch derives from the formula as it is written."""
    distance = copy.deepcopy(distance).double()
    x, y = (image.double().requires_grad_() for image in pair())
    weights = torch.tensor([0.3, -2.0], dtype=torch.float64)
    described = distance.features(y[:targets])
    squares = [
        (a - b).square().sum((1, 2, 3))
        for a, b in zip(distance.features(x), described, strict=True)
    ]
    expected = torch.stack(squares).sum(0)
    found = distance.apart(x, described)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)
    theirs = torch.autograd.grad((expected * weights).sum(), (x, y), retain_graph=True)
    ours = torch.autograd.grad((found * weights).sum(), (x, y))
    for mine, wanted in zip(ours, theirs, strict=True):
        assert (mine - wanted).norm() < 1e-9 * wanted.norm()


def test_one_target_serves_a_batch(distance: PerceptualDistance) -> None:
    x, y = pair()
    target = distance.features(y[:1])
    together = distance.apart(x, target)
    alone = torch.cat([distance(image.unsqueeze(0), y[:1]) for image in x])
    bound = 2 * by_differences(distance, x, y)
    torch.testing.assert_close(together, alone, rtol=bound, atol=0)


@pytest.mark.parametrize("name", ["squeeze"], indirect=True)
def test_gradient_is_the_slope(distance: PerceptualDistance) -> None:
    distance = copy.deepcopy(distance).double()
    x, y = (image.double() for image in pair(40, batch=1))
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).double()
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(distance(x, y).sum(), x)
    step = 1e-6
    slope = (distance(x + step * direction, y) - distance(x - step * direction, y)) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(float(slope.detach()), rel=1e-4)


def test_gradient_is_finite_where_features_are_zero(tmp_path: Path) -> None:
    state = {key: torch.zeros_like(value) for key, value in random_state("alex").items()}
    distance = loaded("alex", saved(state, tmp_path / "t.pth"))
    x, y = pair(batch=1)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(distance(x, y).sum(), x)
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("name", ["squeeze"], indirect=True)
def test_large_images_are_area_averaged(distance: PerceptualDistance) -> None:
    x, y = pair(512, batch=1)
    small = [image.unflatten(3, (256, 2)).unflatten(2, (256, 2)).mean((3, 5)) for image in (x, y)]
    bound = 2 * by_differences(distance, x, y)
    torch.testing.assert_close(distance(x, y), distance(*small), rtol=bound, atol=0)


@pytest.mark.parametrize("name", ["squeeze"], indirect=True)
def test_sizes_that_do_not_divide_are_taken(distance: PerceptualDistance) -> None:
    x, y = pair(300, 451, batch=1)
    assert distance.features(x)[0].shape[2:] == distance.features(x[..., :170, :256])[0].shape[2:]
    assert bool(distance(x, y).isfinite().all())


def test_smallest_size_works_and_the_next_is_refused(distance: PerceptualDistance) -> None:
    smallest = distance.smallest
    assert bool(distance(*pair(smallest)).isfinite().all())
    with pytest.raises(ShapeError, match=f"{smallest} pixels or more"):
        distance(*pair(smallest - 1, smallest))


def test_grey_channels_are_refused(distance: PerceptualDistance) -> None:
    with pytest.raises(ShapeError, match=r"\(batch, 3, height, width\)"):
        distance.features(torch.zeros(1, 1, 64, 64))


def test_nothing_is_trainable(distance: PerceptualDistance) -> None:
    assert not any(parameter.requires_grad for parameter in distance.parameters())
