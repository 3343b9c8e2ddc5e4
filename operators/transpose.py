"""The transpose of a linear map, found by autograd."""

from collections.abc import Callable

import torch
from torch import Tensor

from invprob.types import Images, Measured, Shape


def by_autograd(
    forward: Callable[[Tensor], Tensor], image_shape: Shape, measurement: Measured
) -> Images:
    """The transpose A'y of the map A that `forward` is; autograd does not see how it was found."""
    with torch.inference_mode(False), torch.enable_grad():
        weights = measurement.clone() if measurement.is_inference() else measurement.detach()
        probe = weights.new_zeros(len(weights), *image_shape, requires_grad=True)
        (image,) = torch.autograd.grad(forward(probe), probe, weights)
    return image
