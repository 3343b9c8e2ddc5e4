"""Convolution by frozen weights that were laid out once, as oneDNN reads them.

PyTorch lays a weight out anew at each convolution on a CPU, which for one image of 8x8 features
takes as long as the products do; and the gradient to the input is faster as a convolution by the
turned weight. These are the operators that `torch.compile` puts in place of a frozen network's
convolutions. The layout is that for the shape of one input, which another may read slowly: 96
channels of 4x4 laid out for 64x64 take thirty times as long.
"""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from invprob.fast.derived import Derived
from invprob.types import Shape

_ops = torch.ops.mkldnn  # what oneDNN was called
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
    """Lay out a weight (outputs, inputs, k, k) for `convolve` of inputs shaped like `given`.

    What it gives is opaque.
    """
    places = ([padding] * 2, [stride] * 2, [1, 1])
    packed: Tensor = _ops._reorder_convolution_weight(weight.contiguous(), *places, 1, list(given))
    return packed


def pack_adjoint(weight: Tensor, given: Shape, *, padding: int) -> Tensor:
    """Lay out a weight (outputs, inputs, k, k) for the adjoint of its `convolve` with stride 1.

    That is to be taken with padding k - 1 - `padding`.
    """
    turned = weight.flip(2, 3).transpose(0, 1)
    return pack(turned, given, padding=weight.shape[2] - 1 - padding)


def convolve(
    x: Tensor, packed: Tensor, *, bias: Tensor | None = None, stride: int = 1, padding: int = 0
) -> Tensor:
    """What `torch.nn.functional.conv2d` makes of x and the weight that was packed.

    Gradients do not flow.
    """
    places = ([padding] * 2, [stride] * 2, [1, 1])
    y: Tensor = _ops._convolution_pointwise(x, packed, bias, *places, 1, *_NO_ACTIVATION)
    return y


def pack_transposed(weight: Tensor, given: Shape) -> Tensor:
    """Lay out a weight (inputs, outputs, k, k) for `convolve_transposed`, likewise."""
    packed: Tensor = _ops._reorder_convolution_transpose_weight(
        weight.contiguous(), *_TRANSPOSED, 1, list(given)
    )
    return packed


def convolve_transposed(x: Tensor, packed: Tensor) -> Tensor:
    """What `torch.nn.functional.conv_transpose2d` makes of it with stride 2.

    Gradients do not flow.
    """
    y: Tensor = _ops._convolution_transpose_pointwise(
        x, packed, None, *_TRANSPOSED, 1, *_NO_ACTIVATION
    )
    return y


@final
class Layout:
    """A weight as `lay` lays it out, kept while inputs have one shape and it stays as it is."""

    def __init__(self, lay: Callable[[Tensor, Shape], Tensor]) -> None:
        self._lay = lay
        self._given: Shape | None = None
        self._known = Derived()

    def of(self, weight: Tensor, given: Shape) -> Tensor:
        """The weight for inputs shaped like `given`."""
        if given != self._given:
            self._given, self._known = given, Derived()
        return self._known.of(weight, transform=lambda weight: self._lay(weight, given))
