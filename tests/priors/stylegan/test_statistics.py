"""Statistics of W against NumPy, and the laws of the change of variable."""

import numpy as np
import pytest
import torch

from invprob.errors import ArgumentError
from invprob.priors.stylegan.generator import Generator, GeneratorConfig
from invprob.priors.stylegan.statistics import (
    after_activation,
    before_activation,
    sample_statistics,
    statistics_of,
)


def _draws() -> torch.Tensor:
    rng = torch.Generator().manual_seed(3)
    mixing = torch.randn(6, 6, generator=rng, dtype=torch.float64)
    return torch.randn(1000, 6, generator=rng, dtype=torch.float64) @ mixing + 50.0


def test_moments_agree_with_numpy_whatever_the_batches() -> None:
    w = _draws()
    stats = statistics_of(w.split([1, 300, 99, 600]))
    v = np.where(w.numpy() < 0, 5 * w.numpy(), w.numpy())
    np.testing.assert_allclose(stats.mean_w, w.numpy().mean(0), rtol=1e-12)
    np.testing.assert_allclose(stats.mean, v.mean(0), rtol=1e-12)
    np.testing.assert_allclose(stats.covariance, np.cov(v.T, bias=True), rtol=1e-9, atol=1e-9)
    total = np.sqrt(((w.numpy() - w.numpy().mean(0)) ** 2).sum() / len(w))
    assert float(stats.std_w) == pytest.approx(total, rel=1e-12)
    assert stats.count == 1000


def test_components_are_those_of_a_singular_value_decomposition() -> None:
    w = _draws()
    stats = statistics_of([w])
    centred = before_activation(w) - stats.mean
    _, singular, rows = np.linalg.svd(centred.numpy(), full_matrices=False)
    np.testing.assert_allclose(stats.deviations, singular / np.sqrt(len(w)), rtol=1e-8)
    np.testing.assert_allclose(np.abs(stats.components.numpy() @ rows.T), np.eye(6), atol=1e-7)


def test_whitened_draws_are_uncorrelated_with_unit_variance() -> None:
    w = _draws()
    white = statistics_of([w]).whiten(w)
    torch.testing.assert_close(white.T @ white / len(w), torch.eye(6).double(), rtol=0, atol=1e-7)


def test_a_floor_tames_null_directions_and_sets_the_rank() -> None:
    w = _draws()
    w[:, 5] = w[:, 0]  # one direction without variance
    stats = statistics_of([w])
    assert stats.effective_rank() == 5
    moved = w + 1e-3 * torch.randn(w.shape, generator=torch.Generator().manual_seed(1)).double()
    assert stats.whiten(moved, floor=1e-2).square().mean() < 1.1


def test_change_of_variable_inverts() -> None:
    w = torch.linspace(-3, 3, 13).view(1, -1)
    torch.testing.assert_close(after_activation(before_activation(w)), w)


def test_sampled_statistics_are_reproducible_and_of_the_mapping() -> None:
    generator = Generator(GeneratorConfig(32, (4, 4, 4, 4), 8, 2))
    first, again = (
        sample_statistics(generator, torch.Generator().manual_seed(0), count=700, batch=300)
        for _ in range(2)
    )
    assert torch.equal(first.covariance, again.covariance)
    w = generator.mapping(torch.randn(20_000, 8, generator=torch.Generator().manual_seed(5)))
    torch.testing.assert_close(first.mean_w.float(), w.mean(0), rtol=0.2, atol=0.1)


def test_too_few_draws_are_refused() -> None:
    with pytest.raises(ArgumentError, match="at least two"):
        statistics_of([torch.zeros(1, 4)])
