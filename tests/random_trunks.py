"""Random trunks of perceptual networks, in files, and the networks that are loaded from them."""

import functools
import math
from pathlib import Path

import torch
from rounding import by_convolutions
from torch import Tensor, nn

from invprob.perceptual.distance import PerceptualDistance, find_perceptual
from invprob.perceptual.trunks import NETWORKS

TORCHVISION = ("alex", "squeeze", "vgg")

State = dict[str, Tensor]


@functools.cache
def random_state(name: str) -> State:
    """Draw a trunk whose layers neither die out nor explode, under torchvision's names."""
    rng = torch.Generator().manual_seed(7)
    trunk = NETWORKS[name].trunk()
    for parameter in trunk.parameters():
        fan = parameter[0].numel() if parameter.ndim > 1 else 100
        nn.init.normal_(parameter, std=(2 / fan) ** 0.5, generator=rng)
    return {f"features.{key}": value for key, value in trunk.state_dict().items()}


def saved(state: object, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return path


def loaded(choice: str, weights: Path | None = None) -> PerceptualDistance:
    found = find_perceptual(choice, weights)
    assert isinstance(found, PerceptualDistance)
    return found


def pair(size: int = 64, width: int | None = None, batch: int = 2) -> tuple[Tensor, Tensor]:
    """Two batches of images of noise in [-1, 1]."""
    rng = torch.Generator().manual_seed(42)
    x = torch.rand(batch, 3, size, width or size, generator=rng) * 2 - 1
    y = torch.rand(batch, 3, size, width or size, generator=rng) * 2 - 1
    return x, y


def by_differences(distance: PerceptualDistance, x: Tensor, y: Tensor) -> float:
    """The relative error that rounding makes of differences between features of two images.

    Those of either image err by a share ε of them. Their difference is a share `gap` of them and
    errs by √2 ε / gap: the nearer the images, the less is sure.
    """
    dtype = distance.gain.dtype
    described = (distance.features(x.to(dtype)), distance.features(y.to(dtype)))
    gap = min(float((a - b).norm() / a.norm()) for a, b in zip(*described, strict=True))
    return math.sqrt(2) * by_convolutions(distance.trunk, dtype) / gap
