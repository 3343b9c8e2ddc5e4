"""Terms of the objective: each compares a prediction with the measurement, image by image."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias

from invprob.errors import ArgumentError
from invprob.operators.base import Operator
from invprob.operators.noise import Noise
from invprob.perceptual import PerceptualDistance
from invprob.registry import register
from invprob.types import Images, Measured, PerImage, Shape

BoundTerm: TypeAlias = Callable[[Images, Measured], PerImage]


class Term(ABC):
    """A weighted part of the objective."""

    name: str
    weight: float

    def __init__(self, name: str, weight: float) -> None:
        if not (math.isfinite(weight) and weight >= 0):
            raise ArgumentError(f"the weight of {name!r} must be finite and >= 0, not {weight}")
        self.name, self.weight = name, weight

    @abstractmethod
    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Prepare what depends on the target alone; returns (image, prediction) -> per image.

        The result is not yet weighted.
        """


@register.loss("misfit")
class DataMisfit(Term):
    """||A x - y||² / n with n image elements: it tracks image MSE at every ratio and size."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__("misfit", weight)

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        elements = math.prod(operator.image_shape)

        def misfit(image: Images, prediction: Measured) -> PerImage:
            del image
            return (prediction - target).square().flatten(1).sum(1) / elements

        return misfit


@register.loss("likelihood")
class NegativeLogLikelihood(Term):
    """-log p(y | A x) / n with n image elements: the misfit that suits the noise.

    Raises `ArgumentError` for noise whose likelihood cannot guide a solver.
    """

    def __init__(self, noise: Noise, weight: float = 1.0) -> None:
        super().__init__("likelihood", weight)
        if noise.likelihood != "smooth":
            reason = {"none": "has none", "flat": "has a flat one, which gives no direction"}
            raise ArgumentError(
                f"the data term cannot be the likelihood: {noise!r} {reason[noise.likelihood]}; "
                "use the misfit (--data-term misfit)"
            )
        self.noise = noise

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        elements = math.prod(operator.image_shape)

        def nats(image: Images, prediction: Measured) -> PerImage:
            del image
            return self.noise.negative_log_likelihood(prediction, target) / elements

        return nats


@register.loss("perceptual")
class PerceptualTerm(Term):
    """LPIPS between prediction and measurement, where the measurement is an image.

    The target's features are computed once. `bind` raises `ArgumentError` for other measurements.
    """

    def __init__(self, distance: PerceptualDistance, weight: float = 1.5) -> None:
        super().__init__(f"lpips-{distance.name}", weight)
        self.distance = distance

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        if not is_image(operator.measurement_shape):
            raise ArgumentError(
                f"the perceptual term needs measurements that are images, (3, h, w), "
                f"not {operator.measurement_shape}; leave it out"
            )
        features = self.distance.features(target)

        def perceptual(image: Images, prediction: Measured) -> PerImage:
            del image
            return self.distance.compare(self.distance.features(prediction), features)

        return perceptual


def is_image(measurement_shape: Shape) -> bool:
    """Whether a measurement can be seen by a perceptual network: (3, h, w), at least 32 px."""
    return (
        len(measurement_shape) == 3
        and measurement_shape[0] == 3
        and min(measurement_shape[1:]) >= 32
    )
