"""The ways to convolve one image by a weight that moves, each with its gradients.

Features are (1, channels, h, w), weights (outputs, inputs, 3, 3). Nothing is kept from call to
call, as the weight is another one each time.
"""

from abc import ABC, abstractmethod
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from invprob.fast import winograd
from invprob.fast.filters import smooth

MOST_PIXELS = 256  # of those that enter; with more, patches cost what the products save
_UNIT = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)  # stride, padding, dilation, transposed, ...
_DOUBLING = ([2, 2], [0, 0], [1, 1], True, [0, 0], 1)

Pair = tuple[Tensor | None, Tensor | None]


class MovingWay(ABC):
    """One way to compute a convolution and its gradients, outside of autograd."""

    def can(self, x: Tensor, weight: Tensor) -> bool:
        """Whether this way gives the right result for features like x."""
        return True

    def pays(self, x: Tensor, weight: Tensor) -> bool:
        """Whether it is then faster than PyTorch's own convolution."""
        return True

    @abstractmethod
    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        """conv(x), (1, outputs, H, W)."""

    @abstractmethod
    def gradients(
        self, gradient: Tensor, x: Tensor, weight: Tensor, for_x: bool, for_weight: bool
    ) -> Pair:
        """The gradients to x and to the weight, those that are asked for.

        Args:
            gradient: that to the result, (1, outputs, H, W).
            x: as in `forward`.
            weight: as in `forward`.
            for_x: whether the first is asked for.
            for_weight: whether the second is.
        """


class Direct(MovingWay):
    """PyTorch's convolution, everywhere."""

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, padding=1)

    def gradients(
        self, gradient: Tensor, x: Tensor, weight: Tensor, for_x: bool, for_weight: bool
    ) -> Pair:
        return _by_pytorch(gradient, x, weight, _UNIT, for_x, for_weight)


class DirectDoubling(MovingWay):
    """To twice the height and width: transposed convolution of stride 2, then low-pass."""

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        return smooth(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), 1)

    def gradients(
        self, gradient: Tensor, x: Tensor, weight: Tensor, for_x: bool, for_weight: bool
    ) -> Pair:
        turned = weight.transpose(0, 1)
        d_x, d_turned = _by_pytorch(smooth(gradient, 2), x, turned, _DOUBLING, for_x, for_weight)
        return d_x, None if d_turned is None else d_turned.transpose(0, 1)


@final
class Winograd(Direct):
    """By a quarter of the products, for large features of many channels on a CPU."""

    def can(self, x: Tensor, weight: Tensor) -> bool:
        return winograd.available(x, weight)

    def pays(self, x: Tensor, weight: Tensor) -> bool:
        return winograd.pays_moving(x, weight)

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        return winograd.convolve(x, winograd.transform_moving(weight))

    def gradients(
        self, gradient: Tensor, x: Tensor, weight: Tensor, for_x: bool, for_weight: bool
    ) -> Pair:
        d_x = d_weight = None
        if for_x:
            d_x = winograd.convolve_back(gradient, winograd.transform_moving(weight))
        if for_weight:
            d_weight = winograd.weight_gradient(x, gradient)
        return d_x, d_weight


@final
class ProductsDoubling(DirectDoubling):
    """Gradients by matrix products of 3x3 patches, for few pixels on a CPU."""

    def pays(self, x: Tensor, weight: Tensor) -> bool:
        return x.device.type == "cpu" and x.shape[2] * x.shape[3] <= MOST_PIXELS

    def gradients(
        self, gradient: Tensor, x: Tensor, weight: Tensor, for_x: bool, for_weight: bool
    ) -> Pair:
        outputs, inputs, *_ = weight.shape
        patches, d_x, d_weight = _patches(smooth(gradient, 2)), None, None
        if for_x:
            matrix = _last(weight.transpose(0, 1)).reshape(inputs, -1)
            d_x = _first((patches @ matrix.T).view(1, *x.shape[2:], inputs))
        if for_weight:
            products = (_rows(x).T @ patches).view(inputs, 3, 3, outputs)
            d_weight = _first(products).transpose(0, 1)
        return d_x, d_weight


def _by_pytorch(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    places: tuple[list[int], list[int], list[int], bool, list[int], int],
    for_x: bool,
    for_weight: bool,
) -> Pair:
    """The gradients of PyTorch's own convolution."""
    mask = [for_x, for_weight, False]
    found = torch.ops.aten.convolution_backward(gradient, x, weight, None, *places, mask)
    return found[0], found[1]


def _last(x: Tensor) -> Tensor:
    """The channels moved to the end."""
    return x.permute(0, 2, 3, 1)


def _first(x: Tensor) -> Tensor:
    """The inverse."""
    return x.permute(0, 3, 1, 2)


def _rows(x: Tensor) -> Tensor:
    """(1, channels, h, w) -> (h · w, channels)."""
    return _last(x).flatten(0, 2)


def _patches(x: Tensor) -> Tensor:
    """The 3x3 patches two pixels apart of an image (1, channels, h, w): (patches, 9 · channels)."""
    unfolded = _last(x)[0].unfold(0, 3, 2).unfold(1, 3, 2)
    return unfolded.permute(0, 1, 3, 4, 2).flatten(2).flatten(0, 1)
