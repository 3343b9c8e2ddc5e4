"""Convolution by frozen weights that were laid out once, as oneDNN reads them.

PyTorch lays a weight out anew at each convolution on a CPU, which for one image of 8x8 features
takes as long as the products do; and the gradient to the input is faster as a convolution by the
turned weight. These are the operators that `torch.compile` puts in place of a frozen network's
convolutions.
"""

import torch
from torch import Tensor

_ops = torch.ops.mkldnn  # what oneDNN was called
_NO_ACTIVATION: tuple[str, list[float], str] = ("none", [], "")


def suits(x: Tensor, weight: Tensor) -> bool:
    """Whether a convolution of x (batch, inputs, h, w) by a frozen weight can go this way."""
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not weight.requires_grad
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()
    )


def turned(weight: Tensor) -> Tensor:
    """The weight (inputs, outputs, k, k) by which one (outputs, inputs, k, k) acts in the adjoint.

    Of a convolution with stride 1 and padding p, that is one with padding k - 1 - p.
    """
    return weight.flip(2, 3).transpose(0, 1)


def pack(weight: Tensor) -> Tensor:
    """Lay out a weight (outputs, inputs, k, k) for `convolve`; what it gives is opaque."""
    packed: Tensor = _ops._reorder_convolution_weight(weight.contiguous())
    return packed


def convolve(
    x: Tensor, packed: Tensor, *, bias: Tensor | None = None, stride: int = 1, padding: int = 0
) -> Tensor:
    """What `torch.nn.functional.conv2d` makes of x and the weight that was packed.

    Gradients do not flow.
    """
    places = ([padding] * 2, [stride] * 2, [1, 1])
    y: Tensor = _ops._convolution_pointwise(x, packed, bias, *places, 1, *_NO_ACTIVATION)
    return y


def pack_transposed(weight: Tensor) -> Tensor:
    """Lay out a weight (inputs, outputs, k, k) for `convolve_transposed`, likewise."""
    packed: Tensor = _ops._reorder_convolution_transpose_weight(weight.contiguous(), stride=[2, 2])
    return packed


def convolve_transposed(x: Tensor, packed: Tensor) -> Tensor:
    """What `torch.nn.functional.conv_transpose2d` makes of it with stride 2.

    Gradients do not flow.
    """
    places = ([0, 0], [0, 0], [2, 2], [1, 1])
    y: Tensor = _ops._convolution_transpose_pointwise(x, packed, None, *places, 1, *_NO_ACTIVATION)
    return y
