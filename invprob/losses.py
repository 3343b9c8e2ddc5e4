"""Terms of the objective: each compares a prediction with the measurements, image by image.

At every step of a solve the loop draws an image, lets the operator predict its measurements, and
hands both to the terms of the stage. The objective is the weighted sum of what they return.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Annotated, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from invprob.errors import ArgumentError
from invprob.operators.base import Operator
from invprob.operators.noise import Noise
from invprob.perceptual.distance import PerceptualDistance
from invprob.registry import register
from invprob.streams import stream
from invprob.types import Images, Measured, PerImage, Shape

BoundTerm: TypeAlias = Callable[[Images, Measured], PerImage]
"""A term that knows its target: (image, prediction) -> one number for each image.

Args:
    image: what the prior draws, (batch, *image_shape) in about [-1, 1].
    prediction: what the operator makes of the image, (batch, *measurement_shape).

Returns:
    The term of each image, (batch,), not yet weighted, and differentiable in both arguments.

A solve calls it once a step. One that remembers something from step to step is a `torch.nn.Module`
with what it remembers in buffers, which are then a part of every snapshot.
"""

Weight = Annotated[float, "weight of the term in the objective, at least 0"]
Network = Annotated[PerceptualDistance, "perceptual network, as `find_perceptual` loads it"]


class Term(ABC):
    """A weighted part of the objective. An author writes `__init__` and `bind`.

    Args:
        name: what the term is called in the trace; the terms of a stage have different names.
        weight: weight of the term in the objective, at least 0.

    Raises:
        ArgumentError: the weight is negative or not finite.
    """

    name: str
    weight: float

    def __init__(self, name: str, weight: float) -> None:
        if not (math.isfinite(weight) and weight >= 0):
            raise ArgumentError(f"the weight of {name!r} must be finite and >= 0, not {weight}")
        self.name, self.weight = name, weight

    @abstractmethod
    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Prepare what depends on the target alone, once a solve.

        Args:
            target: the measurements, (batch, *measurement_shape), on the device and of the dtype of
                the solve.
            operator: what measured them.

        Returns:
            A function of image and prediction that the solve calls once a step.

        Raises:
            ArgumentError: the term makes no sense of such measurements.
        """

    def seeded(self, seed: int) -> "Term":
        """The term for a solve of that seed; by default the term itself.

        Only a term that draws at random overrides this. It draws step k of a stage from
        `stream(seed, name, k)`, so that a resumed solve draws what an uninterrupted one does.

        Args:
            seed: the seed of the stage that will bind the term.

        Returns:
            The term to bind.
        """
        del seed
        return self


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


@register.loss("dead-zone")
class DeadZoneMisfit(Term):
    """max(||A x - y||² / m, epsilon) with m measurements: nothing pulls once the data fit.

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
        del operator

        def clamped(image: Images, prediction: Measured) -> PerImage:
            del image
            return (prediction - target).square().flatten(1).mean(1).clamp(min=self.epsilon)

        return clamped


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


class ProjectedGradient(Term):
    """||x - v||² / n to a point v = x₀ - η Aᵀ(A x₀ - y), which is renewed every few steps.

    x₀ is the image at the step at which v is renewed. Minimising the term over the images of a
    generator is the projection of projected gradient descent (Shah & Hegde, ICASSP 2018).
    Aᵀ(A x - y) is the gradient of ||A x - y||² / 2, so that A need not be linear.

    Args:
        step: the step size η.
        inner: how many steps of the optimiser make one projection, at least 1.
        weight: weight of the term in the objective, at least 0.

    Raises:
        ArgumentError: the step is not positive and finite, or `inner` is below 1.
    """

    def __init__(self, step: float, inner: int, weight: float = 1.0) -> None:
        super().__init__("projection", weight)
        if not (math.isfinite(step) and step > 0):
            raise ArgumentError(f"step must be positive and finite, not {step}")
        if inner < 1:
            raise ArgumentError(f"inner must be at least 1 step, not {inner}")
        self.step, self.inner = step, inner

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Bind the measurements y and the operator A."""
        return _Projection(self, target, operator)


class _Projection(nn.Module):
    """The bound term; a snapshot holds the point that is projected and the number of the step."""

    goal: Tensor
    calls: Tensor

    def __init__(self, term: ProjectedGradient, target: Measured, operator: Operator) -> None:
        super().__init__()
        self._term, self._target, self._forward = term, target, operator.surrogate
        shape = (len(target), *operator.image_shape)
        self.register_buffer("goal", target.new_zeros(shape))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, image: Images, prediction: Measured) -> PerImage:
        """The distance to the goal, which is renewed first where that is due."""
        del prediction
        if int(self.calls) % self._term.inner == 0:
            self.goal.copy_(image.detach() - self._term.step * self._gradient(image))
        self.calls += 1
        return (image - self.goal).square().flatten(1).mean(1)

    def _gradient(self, image: Images) -> Images:
        with torch.enable_grad():
            x = image.detach().requires_grad_()
            misfit = (self._forward(x) - self._target).square().sum() / 2
            (gradient,) = torch.autograd.grad(misfit, x)
        return gradient


class Stochastic(Term):
    """A term behind fresh noise: the stochastic data term of SPHInX (ICML 2022).

    Each step adds a new draw of the noise to the prediction. Prediction and measurement are clipped
    to [-1, 1] before `term` compares them, so that `bind` raises `ArgumentError` for measurements
    that are no images. Step k draws from `stream(seed, "renoise", k)`: all terms of a stage see the
    same draw.

    Args:
        term: what compares prediction and measurement.
        noise: the noise of the measurements.
        seed: what the draws are derived from; a solve puts its own in place of it.
    """

    def __init__(self, term: Term, noise: Noise, seed: int = 0) -> None:
        super().__init__(term.name, term.weight)
        self.term, self.noise, self.seed = term, noise, seed

    def seeded(self, seed: int) -> "Stochastic":
        """The same term with draws of that seed."""
        return Stochastic(self.term.seeded(seed), self.noise, seed)

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Bind the clipped measurements."""
        check_stochastic(operator.measurement_shape)
        return _FreshNoise(self, self.term.bind(target.clamp(-1, 1), operator))


def with_fresh_noise(terms: Sequence[Term], noise: Noise) -> list[Term]:
    """The stochastic form of each term; they share the draws of the noise."""
    return [Stochastic(term, noise) for term in terms]


class _FreshNoise(nn.Module):
    """The bound term; a snapshot holds the number of the next draw."""

    calls: Tensor

    def __init__(self, term: Stochastic, compare: BoundTerm) -> None:
        super().__init__()
        self._noise, self._seed = term.noise, term.seed
        self.compare = compare  # a module where the bound term remembers something
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, image: Images, prediction: Measured) -> PerImage:
        """Add a fresh draw of the noise to the prediction, clip it and compare."""
        fresh = stream(self._seed, "renoise", int(self.calls))
        self.calls += 1
        return self.compare(image, self._noise.surrogate(prediction, fresh).clamp(-1, 1))


def check_stochastic(measurement_shape: Shape) -> None:
    """Raise `ArgumentError` unless measurements are images, which may be clipped to [-1, 1]."""
    if len(measurement_shape) != 3:
        raise ArgumentError(
            "the stochastic data term clips to [-1, 1], so it needs measurements that are images "
            f"(channels, height, width), not {measurement_shape}; take another data term"
        )


def check_image(measurement_shape: Shape) -> None:
    """Raise `ArgumentError` for measurements that a perceptual network cannot read."""
    if not is_image(measurement_shape):
        raise ArgumentError(
            f"the perceptual term needs measurements that are images, (3, h, w), "
            f"not {measurement_shape}; leave it out"
        )


def is_image(measurement_shape: Shape) -> bool:
    """Whether a perceptual network can read a measurement: (3, h, w) of at least 32 pixels."""
    return (
        len(measurement_shape) == 3
        and measurement_shape[0] == 3
        and min(measurement_shape[1:]) >= 32
    )
