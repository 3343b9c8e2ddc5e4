"""Convolution by frozen weights in the memory layout that oneDNN reads.

On a CPU, PyTorch rearranges the weight into that layout at each convolution. For one image with
features of 8x8 pixels, this takes as long as the products. Here a weight is laid out once. The
gradient to the input is a convolution by the turned weight, which is laid out as well.

These are the operators that `torch.compile` uses for the convolutions of a frozen network. The best
layout depends on the shape of the input: a convolution of 96 channels of 4x4 takes thirty times as
long with the layout for 64x64.
"""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from invprob.fast.derived import Derived
from invprob.types import Shape

_ops = torch.ops.mkldnn  # the former name of oneDNN
_TRANSPOSED = ([0, 0], [0, 0], [2, 2], [1, 1])  # padding of input and output, stride, dilation
_NO_ACTIVATION: tuple[str, list[float], str] = ("none", [], "")


def available(x: Tensor, weight: Tensor) -> bool:
    """Whether a convolution of x (batch, inputs, h, w) can go this way."""
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()
    )


def pack(weight: Tensor, given: Shape, *, stride: int = 1, padding: int = 0) -> Tensor:
    """Lay out a weight for `convolve`.

    Args:
        weight: (outputs, inputs, k, k).
        given: Shape of the inputs, (batch, inputs, h, w).
        stride: As in the convolution.
        padding: As in the convolution.

    Returns:
        A tensor in oneDNN's own format, for `convolve` alone.
    """
    places = ([padding] * 2, [stride] * 2, [1, 1])
    packed: Tensor = _ops._reorder_convolution_weight(weight.contiguous(), *places, 1, list(given))
    return packed


def pack_adjoint(weight: Tensor, given: Shape, *, padding: int) -> Tensor:
    """Lay out a weight for the adjoint of its convolution with stride 1.

    The adjoint is `convolve` by the result, with a padding of k - 1 - `padding`.

    Args:
        weight: (outputs, inputs, k, k).
        given: Shape of the gradients, (batch, outputs, H, W).
        padding: That of the convolution.
    """
    turned = weight.flip(2, 3).transpose(0, 1)
    return pack(turned, given, padding=weight.shape[2] - 1 - padding)


def convolve(
    x: Tensor, packed: Tensor, *, bias: Tensor | None = None, stride: int = 1, padding: int = 0
) -> Tensor:
    """`torch.nn.functional.conv2d` by a weight from `pack`, without gradients."""
    places = ([padding] * 2, [stride] * 2, [1, 1])
    y: Tensor = _ops._convolution_pointwise(x, packed, bias, *places, 1, *_NO_ACTIVATION)
    return y


def pack_transposed(weight: Tensor, given: Shape) -> Tensor:
    """Lay out a weight (inputs, outputs, k, k) for `convolve_transposed` of inputs like `given`."""
    packed: Tensor = _ops._reorder_convolution_transpose_weight(
        weight.contiguous(), *_TRANSPOSED, 1, list(given)
    )
    return packed


def convolve_transposed(x: Tensor, packed: Tensor) -> Tensor:
    """`torch.nn.functional.conv_transpose2d` of stride 2 by a weight from `pack_transposed`.

    It has no gradients.
    """
    y: Tensor = _ops._convolution_transpose_pointwise(
        x, packed, None, *_TRANSPOSED, 1, *_NO_ACTIVATION
    )
    return y


@final
class Layout:
    """Keeps a weight laid out, until inputs have another shape or the weight changes.

    Args:
        lay_out: Lays out a weight for inputs of a shape.
    """

    def __init__(self, lay_out: Callable[[Tensor, Shape], Tensor]) -> None:
        self._lay_out = lay_out
        self._given: Shape | None = None
        self._known = Derived()

    def of(self, weight: Tensor, given: Shape) -> Tensor:
        """The weight laid out for inputs of the shape `given`."""
        if given != self._given:
            self._given, self._known = given, Derived()
        return self._known.of(weight, transform=lambda weight: self._lay_out(weight, given))
