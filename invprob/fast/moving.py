"""Convolutions by weights that move at every step, and of which each image has its own."""

from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor

from invprob.fast.modulated import Gradients, Modulated, Wanted, per_channel, through_scale
from invprob.fast.moving_ways import (
    Direct,
    DirectDoubling,
    MovingWay,
    ProductsDoubling,
    Winograd,
)


@final
class MovingWeight:
    """Chooses how to convolve by a 3x3 weight that moves.

    Args:
        ways: Ways to compute the same convolution, the fastest first. The last can serve anything.
    """

    def __init__(self, *ways: MovingWay) -> None:
        self._ways = ways

    @classmethod
    def unit_stride(cls) -> "MovingWeight":
        """For convolutions of stride 1 and padding 1."""
        return cls(Winograd(), Direct())

    @classmethod
    def doubling(cls) -> "MovingWeight":
        """For StyleGAN2's convolutions to twice the height and width."""
        return cls(ProductsDoubling(), DirectDoubling())

    def way(self, weight: Tensor, x: Tensor) -> "ByImage":
        """Choose the first way that can serve features like x, and pays.

        Args:
            weight: (batch, outputs, inputs, 3, 3).
            x: Features (batch, inputs, h, w), of which only shape, type and device are read.
        """
        way = next(way for way in self._ways if way.can(x, weight[0]) and way.pays(x, weight[0]))
        return ByImage(way, by_weight=weight[0].numel() < x[0].numel())


@final
class ByImage(Modulated):
    """Each image by its own weight, one after the other.

    Args:
        way: How an image is convolved.
        by_weight: Whether the scale multiplies the weight in place of the features, which gives the
            same: conv(scale · x; W) = conv(x; W · scale), equation (1) of StyleGAN2. It is faster
            where the weight has fewer numbers.
    """

    def __init__(self, way: MovingWay, *, by_weight: bool) -> None:
        self.way = way
        self.by_weight = by_weight

    def modulated(self, x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        x, weight = self._scaled(x, weight, scale)
        images = [self.way.forward(one, own) for one, own in zip(x.split(1), weight, strict=True)]
        return images[0] if len(images) == 1 else torch.cat(images)

    def gradients(
        self, gradient: Tensor, x: Tensor, weight: Tensor, scale: Tensor, wanted: Wanted
    ) -> Gradients:
        by_weight = self.by_weight
        for_x = wanted.x or (wanted.scale and not by_weight)
        for_weight = wanted.weight or (wanted.scale and by_weight)
        scaled = self._scaled(x, weight, scale)
        images = [
            self.way.gradients(*image, for_x, for_weight)
            for image in zip(gradient.split(1), scaled[0].split(1), scaled[1], strict=True)
        ]
        d_x = _filled(x, (one for one, _ in images)) if for_x else None
        d_weight = _filled(weight, (one for _, one in images)) if for_weight else None
        d_scale = None
        if d_weight is not None and by_weight:
            if wanted.scale:
                d_scale = (d_weight * weight).sum((1, 3, 4))
            d_weight.mul_(scale[:, None, :, None, None])
        elif d_x is not None and not by_weight:
            d_x, d_scale = through_scale(d_x, x, scale, wanted)
        return Gradients(d_x, d_scale, d_weight)

    def _scaled(self, x: Tensor, weight: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        if self.by_weight:
            return x, (weight * scale[:, None, :, None, None]).to(x.dtype)
        return x * per_channel(scale, x), weight.to(x.dtype)


def _filled(like: Tensor, images: Iterable[Tensor | None]) -> Tensor:
    """The gradients of some images in one tensor like `like`, in its type and order in memory."""
    found = [image for image in images if image is not None]
    if len(like) == 1:
        return found[0].view(like.shape).to(like.dtype)
    whole = torch.empty_like(like)
    for place, image in zip(whole, found, strict=True):
        place.copy_(image.view(place.shape))
    return whole
