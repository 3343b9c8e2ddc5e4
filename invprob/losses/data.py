"""Data terms: how far the prediction is from the measurements, element by element."""

import math
from typing import Annotated

from invprob.errors import ArgumentError
from invprob.losses.base import BoundTerm, Term, Weight
from invprob.operators.base import Operator
from invprob.operators.noise import Noise
from invprob.operators.observed import Observed
from invprob.registry import register
from invprob.types import Images, Measured, PerImage


@register.loss("misfit")
class DataMisfit(Term):
    """||A x - y||² / n with n image elements.

    Divided so, it is about as large as the mean squared error of the image, whatever the size of
    the image and the number of measurements.
    """

    def __init__(self, weight: Weight = 1.0) -> None:
        super().__init__("misfit", weight)

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Bind the measurements y."""
        elements = math.prod(operator.image_shape)

        def misfit(image: Images, prediction: Measured) -> PerImage:
            del image
            return (prediction - target).square().flatten(1).sum(1) / elements

        return misfit


@register.loss("likelihood")
class NegativeLogLikelihood(Term):
    """-log p(y | A x) / n with n image elements: the misfit that suits the noise.

    Raises:
        ArgumentError: the noise has no likelihood, or one whose gradient leads nowhere.
    """

    def __init__(
        self,
        noise: Annotated[Noise, "noise of the measurements, with a smooth likelihood"],
        weight: Weight = 1.0,
    ) -> None:
        super().__init__("likelihood", weight)
        if noise.likelihood != "smooth":
            reason = {"none": "has none", "flat": "has a flat one, which gives no direction"}
            raise ArgumentError(
                f"the data term cannot be the likelihood: {noise!r} {reason[noise.likelihood]}; "
                "use the misfit (--data-term misfit)"
            )
        self.noise = noise

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Bind the measurements y."""
        elements = math.prod(operator.image_shape)

        def nats(image: Images, prediction: Measured) -> PerImage:
            del image
            return self.noise.negative_log_likelihood(prediction, target) / elements

        return nats


@register.loss("dead-zone")
class DeadZoneMisfit(Term):
    """max(||A x - y||² / m, epsilon), m numbers observed: nothing pulls once the data fit.

    The loss of PULSE (Menon et al., CVPR 2020). Its epsilon of 0.002 for images in [0, 1] is 0.008
    for images in [-1, 1].

    Raises:
        ArgumentError: epsilon is negative or not finite.
    """

    def __init__(
        self,
        epsilon: Annotated[float, "mean squared misfit below which nothing pulls"] = 8e-3,
        weight: Weight = 1.0,
    ) -> None:
        super().__init__("dead-zone", weight)
        if not (math.isfinite(epsilon) and epsilon >= 0):
            raise ArgumentError(f"epsilon must be finite and >= 0, not {epsilon}")
        self.epsilon = epsilon

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Bind the measurements y."""
        observed = Observed(operator)

        def clamped(image: Images, prediction: Measured) -> PerImage:
            del image
            return observed.mean((prediction - target).square()).clamp(min=self.epsilon)

        return clamped
