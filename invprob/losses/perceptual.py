"""Perceptual terms, for measurements that are images: how different a network finds them.

The features of the measurement are computed once, when a term is bound.
"""

from typing import Annotated

import torch
from torch.nn import functional

from invprob.calls import checked
from invprob.errors import ArgumentError
from invprob.losses.base import BoundTerm, Term, Weight
from invprob.operators.base import Operator
from invprob.perceptual.distance import PerceptualDistance
from invprob.registry import register
from invprob.types import Images, Measured, PerImage, Shape

Network = Annotated[PerceptualDistance, "perceptual network, as `find_perceptual` loads it"]


@register.loss("perceptual")
class PerceptualTerm(Term):
    """LPIPS between prediction and measurement (Zhang et al., CVPR 2018).

    Only for measurements that are images of three channels and at least 32 pixels a side; `bind`
    raises `ArgumentError` for others.
    """

    def __init__(self, distance: Network, weight: Weight = 1.5) -> None:
        super().__init__(f"lpips-{distance.name}", weight)
        self.distance = distance

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Compute the features of the measurement, once."""
        check_image(operator.measurement_shape)
        features = self.distance.features(target)

        def perceptual(image: Images, prediction: Measured) -> PerImage:
            del image
            return self.distance.apart(prediction, features)

        return perceptual


@register.loss("perceptual-pyramid")
class MultiScalePerceptual(Term):
    """LPIPS at each level of an average-pooled pyramid, and the L1 distance at its top.

    The loss of "Robust unsupervised StyleGAN image restoration" (Poirier-Ginter & Lalonde, CVPR
    2023). Images are halved while more than 16 pixels a side are left. Only for measurements that
    are images, as `PerceptualTerm`.
    """

    SMALLEST = 16

    def __init__(
        self,
        distance: Network,
        weight: Weight = 1.0,
        top_weight: Annotated[float, "weight of the L1 distance at the top"] = 0.1,
    ) -> None:
        super().__init__(f"pyramid-{distance.name}", weight)
        self.distance, self.top_weight = distance, top_weight

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Compute the features of the measurement at each level, once."""
        check_image(operator.measurement_shape)
        *levels, top = self._pyramid(target)
        features = [self.distance.features(level) for level in levels]

        def distance(image: Images, prediction: Measured) -> PerImage:
            del image
            *mine, mine_top = self._pyramid(prediction)
            total = self.top_weight * (mine_top - top).abs().flatten(1).mean(1)
            for level, wanted in zip(mine, features, strict=True):
                total = total + self.distance.apart(level, wanted)
            return total

        return distance

    def _pyramid(self, image: Images) -> list[Images]:
        levels = [image]
        while min(levels[-1].shape[2:]) > self.SMALLEST:
            levels.append(functional.avg_pool2d(levels[-1], 2))
        return levels


@register.loss("vgg-features")
class FeatureMisfit(Term):
    """Σ_j mean (F_j(A x) - F_j(y))² over conv1_1, conv1_2, conv3_2 and conv4_2 of VGG16.

    The loss of Image2StyleGAN (Abdal et al., ICCV 2019, eq. 1). Features are taken behind their
    activations. Only for measurements that are images, as `PerceptualTerm`.

    Raises:
        ArgumentError: the network is not VGG16.
    """

    LAYERS = (1, 3, 13, 20)

    def __init__(self, distance: Network, weight: Weight = 1.0) -> None:
        super().__init__("vgg-features", weight)
        if distance.name != "vgg":
            raise ArgumentError(
                f"Image2StyleGAN's features are those of VGG16, not of {distance.name}; take "
                "--perceptual vgg"
            )
        self.distance = distance

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Compute the features of the measurement, once."""
        check_image(operator.measurement_shape)
        wanted = self.distance.activations(target, self.LAYERS)

        def features(image: Images, prediction: Measured) -> PerImage:
            del image
            found = self.distance.activations(prediction, self.LAYERS)
            gaps = [(a - b).square().flatten(1).mean(1) for a, b in zip(found, wanted, strict=True)]
            return torch.stack(gaps).sum(0)

        return features


@checked
def check_image(measurement_shape: Shape) -> None:
    """Raise `ArgumentError` for measurements that a perceptual network cannot read."""
    if not is_image(measurement_shape):
        raise ArgumentError(
            f"the perceptual term needs measurements that are images, (3, h, w), "
            f"not {measurement_shape}; leave it out"
        )


@checked
def is_image(measurement_shape: Shape) -> bool:
    """Whether a perceptual network can read a measurement: (3, h, w) of at least 32 pixels."""
    return (
        len(measurement_shape) == 3
        and measurement_shape[0] == 3
        and min(measurement_shape[1:]) >= 32
    )
