"""A label predictor for rendered faces: ridge regression from what a trunk sees of an image."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from invprob.perceptual.distance import PerceptualDistance


class LabelPredictor:
    """Linear read-out of standardised labels from image features, fitted by `fit`."""

    def __init__(self, network: PerceptualDistance) -> None:
        self.network = network
        self._map = torch.empty(0)

    @torch.no_grad()
    def describe(self, images: Iterable[Tensor]) -> Tensor:
        """(count, features) float64: pooled trunk features and a small copy of the image."""
        network, rows = self.network, []
        for part in images:
            hidden = network.trunk(torch.addcmul(network.offset, part.clamp(-1, 1), network.gain))
            coarse = F.adaptive_avg_pool2d(hidden, 3).flatten(1)
            small = F.adaptive_avg_pool2d(part.clamp(-1, 1), 16).flatten(1)
            rows.append(torch.cat([coarse, small, torch.ones(len(part), 1)], 1))
        return torch.cat(rows)

    def fit(self, seen: Tensor, labels: Tensor, ridge: float) -> None:
        """Fit to (count, features) and (count, labels); `ridge` is relative to the mean square."""
        gram = seen.T.double() @ seen.double()
        gram += ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
        self._map = torch.linalg.solve(gram, seen.T.double() @ labels.double()).float()

    def predict(self, seen: Tensor) -> Tensor:
        """(count, labels) from `describe`'s rows."""
        return seen @ self._map


def explained(predicted: Tensor, labels: Tensor) -> np.ndarray:
    """R² of each label."""
    missed = (predicted - labels).square().mean(0) / labels.var(0)
    return (1 - missed).numpy()


def effects(change: Tensor, names: Sequence[str], name: str) -> tuple[float, float]:
    """How far one label moved, and the others, root mean square, from (count, labels) changes."""
    mean = change.mean(0)
    at = list(names).index(name)
    others = torch.cat([mean[:at], mean[at + 1 :]])
    return float(mean[at]), float(others.square().mean().sqrt())
