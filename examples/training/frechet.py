"""Fréchet distance between sets of images, in the feature space of a small classifier.

The usual distance (Heusel et al., NeurIPS 2017) uses an Inception network; here the last features
of the LPIPS trunks serve, averaged over the image, so figures compare with each other only.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from invprob.perceptual.distance import PerceptualDistance

from .factors import Array


@torch.no_grad()
def describe(network: PerceptualDistance, batches: Iterable[Tensor]) -> Array:
    """(count, channels) float64: the trunk's last features of (n, 3, h, w) images in [-1, 1]."""
    rows = []
    for images in batches:
        hidden = network.trunk(torch.addcmul(network.offset, images.clamp(-1, 1), network.gain))
        rows.append(hidden.mean((2, 3)).double().numpy())
    return np.concatenate(rows)


def frechet_distance(one: Array, other: Array) -> float:
    """||μ - ν||² + tr(Σ + T - 2 (ΣT)^½) of two sets of rows."""
    gap = one.mean(0) - other.mean(0)
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    # tr (ΣT)^½ is the sum of the roots of the eigenvalues of Σ^½ T Σ^½, which is symmetric.
    # Eigenvectors give the root of a singular Σ too: a channel may be silent in all images.
    variances, axes = np.linalg.eigh(first)
    root = axes * np.sqrt(np.clip(variances, 0, None)) @ axes.T
    values = np.linalg.eigvalsh(root @ second @ root)
    cross = np.sqrt(np.clip(values, 0, None)).sum()
    return float(gap @ gap + np.trace(first) + np.trace(second) - 2 * cross)
