"""The Fréchet distance against its closed form for commuting covariances."""

import numpy as np
import pytest
import shared_files
import torch
from training.frechet import describe, frechet_distance

from invprob.perceptual.distance import PerceptualDistance, find_perceptual


def test_closed_form_of_commuting_covariances() -> None:
    """Whitened draws, recoloured along common axes: tr (√Σ - √T)² + the gap of the means."""
    rng = np.random.default_rng(0)
    axes, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    spreads = np.array([[1.0, 2.0, 0.5, 3.0, 0.1], [2.0, 2.0, 1.5, 1.0, 0.4]])
    sets = []
    for spread, mean in zip(spreads, (0.0, 0.7), strict=True):
        rows = rng.standard_normal((300, 5))
        rows -= rows.mean(0)
        rows = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows, rowvar=False))).T
        sets.append(rows * spread @ axes.T + mean)
    expected = ((spreads[0] - spreads[1]) ** 2).sum() + 5 * 0.49
    assert frechet_distance(*sets) == pytest.approx(expected, rel=1e-9)


def test_distance_to_itself_is_nothing_and_order_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.standard_normal((200, 6)), rng.standard_normal((150, 6)) @ np.diag(range(6))
    assert abs(frechet_distance(one, one)) < 1e-6
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one), rel=1e-6)


def test_images_are_described_by_the_mean_of_the_last_features() -> None:
    network = find_perceptual("alex", shared_files.shared("weights/alexnet_features.pth"))
    assert isinstance(network, PerceptualDistance)
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    whole = describe(network, [images])
    assert whole.shape == (3, 256)
    np.testing.assert_allclose(whole[1:2], describe(network, [images[1:2]]), rtol=1e-4, atol=1e-6)
    assert whole.min() >= 0  # after a rectifier
