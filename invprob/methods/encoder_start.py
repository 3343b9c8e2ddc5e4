"""A start of the search that an encoder finds in the measurements."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from invprob.errors import EncoderError
from invprob.measurements import Measurements
from invprob.operators.base import LinearOperator, Operator
from invprob.operators.placement import device_of
from invprob.priors.encoders import Encoder
from invprob.types import Images


@dataclass(frozen=True)
class EncoderStart:
    """The `initial` of a recipe that starts where an encoder says.

    Args:
        encoder: the encoder.
    """

    encoder: Encoder

    @torch.no_grad()
    def __call__(self, measurements: Measurements, operator: Operator) -> Mapping[str, Tensor]:
        """Return what the encoder finds.

        Args:
            measurements: the measurements.
            operator: the operator that measured them.

        Returns:
            One tensor by the name of a realised variable: "styles" (batch, layers, width), or
            "features.LAYER" (batch, channels, height, width).

        Raises:
            EncoderError: there is no image that the encoder could look at.
        """
        weight = next(self.encoder.parameters())
        found: Tensor = self.encoder(visible(measurements, operator).to(weight))
        return {self.encoder.finds: found}


def visible(measurements: Measurements, operator: Operator) -> Images:
    """Return the images that an encoder looks at.

    Args:
        measurements: the measurements.
        operator: the operator that measured them.

    Returns:
        The measurements themselves if they have the shape of images, else the pseudo-inverse A⁺y;
        (batch, channels, height, width), clipped to [-1, 1].

    Raises:
        EncoderError: the operator is not linear, and its measurements are not images.
    """
    values = measurements.values.to(device_of(operator, torch.device("cpu")))
    if tuple(operator.measurement_shape) == tuple(operator.image_shape):
        return values.clamp(-1, 1)
    if isinstance(operator, LinearOperator):
        return operator.pinv(values).clamp(-1, 1)
    raise EncoderError(
        f"{operator!r} is not linear, and its measurements of shape {operator.measurement_shape} "
        f"are not images of shape {operator.image_shape}, so an encoder has nothing to look at; "
        "use the method's own start (--init default)"
    )
