"""The transpose of a linear operator, found by autograd."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from invprob.operators.base import LinearOperator


class Transpose(torch.autograd.Function):
    """The transpose of a linear map by autograd, whose derivative is the map again."""

    @staticmethod
    def forward(ctx: Any, measurement: Tensor, operator: "LinearOperator") -> Tensor:
        ctx.operator = operator
        with torch.inference_mode(False), torch.enable_grad():
            weights = measurement.clone() if measurement.is_inference() else measurement.detach()
            probe = weights.new_zeros(len(weights), *operator.image_shape, requires_grad=True)
            (image,) = torch.autograd.grad(operator(probe), probe, weights)
        return image

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.operator(gradients[0]), None
