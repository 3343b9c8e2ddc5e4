"""Constraints and penalties against closed formulas and independent computations."""

import math

import networks
import numpy as np
import pytest
import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.priors.parts import FreeNoise, WPlus
from invprob.priors.parts.constraints import L1Ball, Spheres, WhitenedBox, project_l1
from invprob.priors.parts.penalties import Distance, Gaussian, Geocross, Mahalanobis, PNorm
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.priors.stylegan.statistics import Statistics, Whitening, statistics_of


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


def statistics() -> Statistics:
    """Of skewed draws, so that W is neither centred nor isotropic."""
    mix = normal(6, 6, seed=1)
    v = normal(5000, 6, seed=2) @ mix + normal(6, seed=3)
    return statistics_of([torch.where(v < 0, 0.2 * v, v)])


def test_the_l1_projection_is_the_nearest_point_of_the_ball() -> None:
    """The threshold is searched by bisection here, not sorted for."""
    points = normal(3, 50) * torch.tensor([[0.01], [1.0], [30.0]])
    found = project_l1(points, 5.0)
    assert torch.equal(found[0], points[0])  # inside: left alone
    for row in (1, 2):
        sizes = points[row].abs().numpy()
        low, high = 0.0, float(sizes.max())
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if np.maximum(sizes - middle, 0).sum() > 5 else (low, middle)
        expected = points[row].sign() * torch.from_numpy(np.maximum(sizes - high, 0))
        torch.testing.assert_close(found[row], expected)
        assert found[row].abs().sum() == pytest.approx(5.0, rel=1e-12)
    big = normal(1, 100_000).float()
    assert project_l1(big, 100.0).abs().sum() == pytest.approx(100.0, rel=1e-3)


def test_balls_lie_about_the_start_image_by_image() -> None:
    start = normal(2, 3, 4, 4)
    step = normal(2, 3, 4, 4, seed=1) * torch.tensor([0.001, 1.0]).view(2, 1, 1, 1)
    value = start + step
    L1Ball(2.0).restore_(value, start)
    torch.testing.assert_close(value[0], start[0] + step[0])
    assert (value[1] - start[1]).abs().sum() == pytest.approx(2.0)
    with pytest.raises(ArgumentError, match="radius of an l1 ball must be positive"):
        L1Ball(0.0)


def test_a_ball_lies_about_what_was_adopted() -> None:
    generator = networks.random_generator(dtype=torch.float64)
    started = WPlus(constraints=(L1Ball(2.0),), penalties=(Distance(1.0),)).start(
        generator, 2, rng()
    )
    rows = normal(2, generator.num_layers, generator.style_width)
    started.adopt_(SynthesisInputs(styles=rows))
    assert (started.regularisers()["distance"] == 0).all()
    with torch.no_grad():
        started.tensors[0] += 1
    started.project_()
    distance = (started.tensors[0] - rows).flatten(1).abs().sum(1).detach()
    torch.testing.assert_close(distance, torch.full_like(distance, 2.0))


@pytest.mark.parametrize("shape", [(2, 7, 16), (2, 1, 8, 8)])
def test_on_a_sphere_every_vector_keeps_its_norm_and_direction(shape: tuple[int, ...]) -> None:
    start, value = normal(*shape), 3 * normal(*shape, seed=1)
    moved = value.clone()
    Spheres().restore_(moved, start)
    torch.testing.assert_close(moved.flatten(2).norm(dim=2), start.flatten(2).norm(dim=2))
    cosine = torch.cosine_similarity(moved.flatten(2), value.flatten(2), dim=2)
    torch.testing.assert_close(cosine, torch.ones_like(cosine))


def test_only_the_first_noise_maps_are_free_and_they_keep_their_norms() -> None:
    generator = networks.random_generator(dtype=torch.float64)
    part = FreeNoise(first=3, constraints=(Spheres(),))
    variables = part.start(generator, 2, rng())
    before = variables.draw(rng()).to_tensors()
    before = {name: value.detach().clone() for name, value in before.items()}
    assert len(list(variables.parameters())) == 3 and len(before) == len(generator.noise_shapes)
    with torch.no_grad():
        for parameter in variables.parameters():
            parameter.add_(normal(*parameter.shape, seed=4))
    variables.project_()
    after = variables.draw(rng()).to_tensors()
    for index in range(len(before)):
        old, new = before[f"noise.{index}"], after[f"noise.{index}"]
        assert torch.equal(old, new) is (index >= 3)
        torch.testing.assert_close(new.norm(dim=(2, 3)), old.norm(dim=(2, 3)))
    with pytest.raises(ArgumentError, match="first must be at least 1"):
        FreeNoise(first=0)


def test_clipping_holds_in_whitened_coordinates() -> None:
    whitening = Whitening(statistics())
    box = WhitenedBox(whitening, 1.5)
    value = whitening.inverse(normal(4, 5, 6) * 0.3)
    value[0] += 20
    before = value.clone()
    box.restore_(value, value)
    assert whitening(value).abs().max() <= 1.5 * (1 + 1e-9)
    assert torch.equal(value[1:], before[1:]) and not torch.equal(value[0], before[0])
    # Each coordinate is clipped by itself, with the moments inverted by another road.
    v = torch.where(before[0] < 0, 5 * before[0], before[0]).numpy()
    s = statistics()
    vectors, deviations = s.components.numpy(), s.deviations.numpy()
    coordinates = (v - s.mean.numpy()) @ vectors.T / deviations
    back = np.clip(coordinates, -1.5, 1.5) * deviations @ np.linalg.inv(vectors.T) + s.mean.numpy()
    torch.testing.assert_close(value[0], torch.from_numpy(np.where(back < 0, 0.2 * back, back)))


def test_geocross_is_the_mean_squared_angle() -> None:
    rows = torch.nn.functional.normalize(normal(2, 5, 16), dim=-1)
    expected = torch.zeros(2, dtype=torch.float64)
    for image in range(2):
        for i in range(5):
            for j in range(5):
                cosine = float(rows[image, i] @ rows[image, j])
                expected[image] += math.acos(min(1.0, cosine)) ** 2 / 25
    torch.testing.assert_close(Geocross(1.0)(rows, rows), expected * 16 / 8)


def test_geocross_is_finite_where_rows_coincide_or_only_one_is_left() -> None:
    for rows in (torch.ones(1, 7, 16), normal(1, 7, 16)):
        for first in range(7):
            value = rows.clone().requires_grad_()
            term = Geocross(1.0, first=first)(value, value)
            (gradient,) = torch.autograd.grad(term.sum(), value)
            assert term.shape == (1,) and term.isfinite().all() and gradient.isfinite().all()
            assert (gradient[:, :first] == 0).all()
    assert Geocross(1.0, first=6)(rows, rows) == 0


def test_mahalanobis_is_that_of_the_covariance_and_width_times_p_norm() -> None:
    s, w = statistics(), normal(2, 4, 6, seed=7)
    v = torch.where(w < 0, 5 * w, w).numpy() - s.mean.numpy()
    inverse = np.linalg.inv(s.covariance.numpy())
    expected = torch.from_numpy(np.einsum("bri,ij,brj->b", v, inverse, v) / 4)
    whitening = Whitening(s)
    torch.testing.assert_close(Mahalanobis(whitening, 1.0)(w, w), expected)
    torch.testing.assert_close(PNorm(whitening, 1.0)(w, w), expected / 6)


def test_a_floor_bounds_what_a_null_direction_costs() -> None:
    v = normal(1000, 3) * torch.tensor([1.0, 1.0, 1e-6])
    s = statistics_of([torch.where(v < 0, 0.2 * v, v)])
    off = torch.tensor([[[0.0, 0.0, 0.1]]], dtype=torch.float64)
    assert PNorm(Whitening(s), 1.0)(off, off) > 1e8
    assert PNorm(Whitening(s, 1e-2), 1.0)(off, off) < 40
    flat = statistics_of([torch.cat([v[:, :2], torch.zeros(1000, 1)], 1).abs()])
    with pytest.raises(ArgumentError, match="needs a floor"):
        Whitening(flat)
    with pytest.raises(ArgumentError, match="must be >= 0"):
        Whitening(s, -1.0)


def test_distance_and_gaussian() -> None:
    value, start = normal(2, 3, 4, 4), normal(2, 3, 4, 4, seed=1)
    torch.testing.assert_close(Distance(1.0)(value, start), ((value - start) ** 2).mean((1, 2, 3)))
    z = normal(2, 5, 16)
    torch.testing.assert_close(Gaussian(1.0)(z, z), (z**2).sum(2).mean(1))
    with pytest.raises(ArgumentError, match="weight of 'geocross' must be finite"):
        Geocross(-1.0)


def test_penalties_enter_the_loss_weighted_and_by_name() -> None:
    generator = networks.random_generator(dtype=torch.float64)
    part = WPlus(penalties=(Geocross(0.5), Gaussian(2.0), Distance(1.0)))
    variables = part.start(generator, 2, rng())
    terms = variables.regularisers()
    assert list(terms) == ["geocross", "gaussian", "distance"]
    rows = generator.mean_w.expand(2, generator.num_layers, -1)
    torch.testing.assert_close(terms["gaussian"], 2 * Gaussian(1.0)(rows, rows))
    assert (terms["distance"] == 0).all()
