"""Where a solve can begin: at what an encoder makes of the measurements."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from invprob.errors import EncoderError
from invprob.measurements import Measurements
from invprob.operators.base import LinearOperator, Operator
from invprob.priors.encoders import Encoder
from invprob.types import Images


@dataclass(frozen=True)
class EncoderStart:
    """The `initial` of a recipe: E of the measurements, as an encoder names what it finds.

    Called with measurements and operator it gives {"styles": (batch, layers, width)} or
    {"features.{layer}": (batch, C, h, w)}. Raises `EncoderError` where there is nothing to look at.
    """

    encoder: Encoder

    @torch.no_grad()
    def __call__(self, measurements: Measurements, operator: Operator) -> Mapping[str, Tensor]:
        weight = next(self.encoder.parameters())
        found: Tensor = self.encoder(visible(measurements, operator).to(weight))
        return {self.encoder.finds: found}


def visible(measurements: Measurements, operator: Operator) -> Images:
    """What an encoder can look at, (batch, *image_shape) clipped to [-1, 1].

    The measurement itself where it has the image's shape, else A⁺y of a linear operator. Raises
    `EncoderError` for any other.
    """
    values = measurements.values.to(_device(operator))
    if tuple(operator.measurement_shape) == tuple(operator.image_shape):
        return values.clamp(-1, 1)
    if isinstance(operator, LinearOperator):
        return operator.pinv(values).clamp(-1, 1)
    raise EncoderError(
        f"{operator!r} is not linear, and its measurements {operator.measurement_shape} are no "
        f"images of shape {operator.image_shape}: an encoder has nothing to look at; start from "
        "the method's own start (--init default)"
    )


def _device(operator: Operator) -> torch.device:
    return next((buffer.device for buffer in operator.buffers()), torch.device("cpu"))
