"""Encoders: networks that map an image to an input of a generator, style rows or base features.

Both are our own designs and learn from a generator's samples alone (`invprob train-encoder`). They
are good starts for images inside the generator's domain, and fall back towards the mean outside of
it. They do not reproduce pSp or the published encoders of IDInvert and BDInvert, which learnt from
real images.
"""

import math
from abc import ABC, abstractmethod
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invprob.priors.stylegan.fused_layer import SLOPE
from invprob.priors.stylegan.generator import GeneratorConfig
from invprob.types import Images, Styles, Vectors

INPUT = 128  # pixels a side of the images that both encoders see
DIRECT = 16  # pixels a side of the image from which the toolkit encoder reads linearly
FOLD = 4  # the toolkit encoder starts with 4x4 pixels folded into channels, on a grid of 32x32
BASE_SIZE = 16  # S of BDInvert: pixels a side of the base code
# BDInvert's base code replaces the output of synthesis layer 2(log2 S - 2) - 1, counting from 0 as
# `Generator.layers` does: 3, the up-convolution to 16 px. It enters the layer after it.
BASE_LAYER = 2 * (int(math.log2(BASE_SIZE)) - 2)


def fitted(images: Images, size: int = INPUT) -> Images:
    """Resize images to (batch, 3, size, size): area averages downwards, bilinear upwards."""
    if tuple(images.shape[2:]) == (size, size):
        return images
    if min(images.shape[2:]) >= size:
        return F.interpolate(images, (size, size), mode="area")
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=False)


class Residual(nn.Module):
    """x + conv(act(norm(conv(act(norm(x)))))).

    The sum is not normalised, because group normalisation removes an image's brightness and
    contrast.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_normed(channels, channels), *_normed(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, h, w) -> the same shape."""
        change: Tensor = self.body(x)
        return x + change


def _normed(inputs: int, outputs: int, *, stride: int = 1) -> list[nn.Module]:
    """Normalisation in groups of eight channels, leaky ReLU, 3x3 convolution."""
    return [
        nn.GroupNorm(max(1, inputs // 8), inputs),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1),
    ]


class Encoder(nn.Module, ABC):
    """A map from images (batch, 3, h, w) in [-1, 1], of any size, to an input of the generator.

    `kind` is its name in files. `finds` is the name under which a solution keeps its result.
    """

    kind: str
    finds: str

    @abstractmethod
    def forward(self, images: Images) -> Tensor:
        """The inputs from which the generator should draw `images`."""


@final
class ToolkitEncoder(Encoder):
    """Map images (batch, 3, h, w) in [-1, 1], of any size, to style rows (batch, layers, width).

    A light feature pyramid after pSp (Richardson et al., CVPR 2021, figure 2): maps of 8, 16 and 32
    pixels. Strided convolutions turn each map into a vector ("map2style"), which serves the rows of
    that map. As in e4e (Tov et al., 2021), a row is the mean w, plus an offset that all rows share,
    plus an offset of its own. The shared offset is linear in the coarsest map and in the image
    itself at 16x16 pixels.

    Args:
        config: The shape of the generator.
    """

    kind = "toolkit"
    finds = "styles"
    mean_w: Tensor
    unit: Tensor

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        width, pyramid = config.style_width, 48
        self.register_buffer("mean_w", torch.zeros(width, dtype=torch.float32, device="cpu"))
        self.register_buffer("unit", torch.ones((), dtype=torch.float32, device="cpu"))
        self.fine = nn.Sequential(nn.Conv2d(3 * FOLD**2, 64, 3, padding=1), Residual(64))
        self.middle = nn.Sequential(*_normed(64, 128, stride=2), Residual(128), Residual(128))
        self.coarse = nn.Sequential(*_normed(128, 160, stride=2), Residual(160))
        self.lateral = nn.ModuleList(nn.Conv2d(count, pyramid, 1) for count in (160, 128, 64))
        self.to_style = nn.ModuleList(
            nn.Sequential(
                *(layer for _ in range(halvings) for layer in _normed(pyramid, pyramid, stride=2)),
                nn.LeakyReLU(SLOPE),
                nn.Flatten(),
            )
            for halvings in (2, 3, 4)
        )
        self.shared = nn.Linear(pyramid * (INPUT // FOLD // 4) ** 2, width, bias=False)
        self.direct = nn.Linear(3 * DIRECT**2, width)
        own = [nn.Linear(pyramid * 4, width) for _ in range(config.num_layers)]
        for row in own:
            nn.init.zeros_(row.weight)
            nn.init.zeros_(row.bias)
        self.own = nn.ModuleList(own)
        # As in pSp, where rows 0-2 and 3-6 of 18 belong to the two coarser maps.
        self.levels = [0 if row < 3 else 1 if row < 7 else 2 for row in range(config.num_layers)]

    def forward(self, images: Images) -> Styles:
        """Images (batch, 3, h, w) -> style rows (batch, layers, width)."""
        images = fitted(images)
        maps = self.pyramid(images)
        vectors = [to_style(x) for to_style, x in zip(self.to_style, maps, strict=True)]
        shared = self.shared(maps[0].flatten(1)) + self.direct(pixels(images))
        rows = [
            shared + own(vectors[level]) for own, level in zip(self.own, self.levels, strict=True)
        ]
        return self.mean_w + self.unit * torch.stack(rows, 1)

    def pyramid(self, images: Images) -> list[Tensor]:
        """The maps of 8, 16 and 32 pixels of images (batch, 3, 128, 128)."""
        fine = self.fine(F.pixel_unshuffle(images, FOLD))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        maps: list[Tensor] = []
        for lateral, x in zip(self.lateral, (coarse, middle, fine), strict=True):
            here = lateral(x)
            if maps:
                here = here + F.interpolate(maps[-1], scale_factor=2, mode="nearest")
            maps.append(here)
        return maps


def pixels(images: Images) -> Vectors:
    """Images at 16x16 pixels, as vectors (batch, 768)."""
    small: Tensor = F.interpolate(images, (DIRECT, DIRECT), mode="area")
    return small.flatten(1)


@final
class BaseCodeEncoder(Encoder):
    """Map images (batch, 3, h, w) in [-1, 1], of any size, to base codes (batch, C, 16, 16).

    Base codes are the features that enter `layers[BASE_LAYER]`. This is a smaller version of the
    encoder of BDInvert (Kang, Kim and Cho, ICCV 2021). It has two stages of three convolutions,
    each with batch normalisation and leaky ReLU, and a pooling. The original's first stage is
    replaced by a folding of 2x2 pixels into channels.

    Args:
        config: The shape of the generator.
    """

    kind = "base-code"
    finds = f"features.{BASE_LAYER}"

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        outputs = config.channels[int(math.log2(BASE_SIZE)) - 2]
        layers: list[nn.Module] = []
        for inputs, channels in ((12, 64), (64, 128)):
            for position in range(3):
                layers += _batch_normed(channels if position else inputs, channels)
            layers.append(nn.AvgPool2d(2))
        layers += [*_batch_normed(128, 128), nn.Conv2d(128, outputs, 3, padding=1)]
        self.body = nn.Sequential(*layers)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, SLOPE, mode="fan_out")

    def forward(self, images: Images) -> Tensor:
        """Images (batch, 3, h, w) -> base codes (batch, C, 16, 16)."""
        features: Tensor = self.body(F.pixel_unshuffle(fitted(images), 2))
        return features


def _batch_normed(inputs: int, outputs: int) -> list[nn.Module]:
    """3x3 convolution, batch normalisation, leaky ReLU."""
    return [
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(SLOPE),
    ]
