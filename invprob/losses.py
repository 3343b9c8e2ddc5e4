"""Terms of the objective: each compares a prediction with the measurement, image by image."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeAlias

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

    def seeded(self, seed: int) -> "Term":
        """The term as a solve of this seed binds it; by default the term itself.

        A term that draws at random overrides this, and draws step k from `stream(seed, name, k)`.
        """
        del seed
        return self


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
        check_image(operator.measurement_shape)
        features = self.distance.features(target)

        def perceptual(image: Images, prediction: Measured) -> PerImage:
            del image
            return self.distance.apart(prediction, features)

        return perceptual


@register.loss("dead-zone")
class DeadZoneMisfit(Term):
    """max(||A x - y||² / m, epsilon) with m measurements: no pull once the data fit well enough.

    PULSE (CVPR 2020), whose epsilon of 0.002 for images in [0, 1] is 0.008 for ours in [-1, 1].
    """

    def __init__(self, epsilon: float = 8e-3, weight: float = 1.0) -> None:
        super().__init__("dead-zone", weight)
        if not (math.isfinite(epsilon) and epsilon >= 0):
            raise ArgumentError(f"epsilon must be finite and >= 0, not {epsilon}")
        self.epsilon = epsilon

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        del operator

        def clamped(image: Images, prediction: Measured) -> PerImage:
            del image
            return (prediction - target).square().flatten(1).mean(1).clamp(min=self.epsilon)

        return clamped


@register.loss("perceptual-pyramid")
class MultiScalePerceptual(Term):
    """LPIPS at each level of an average-pooled pyramid, and the L1 distance at its top.

    Robust StyleGAN restoration (CVPR 2023): halved while more than 16 pixels are left, then
    0.1 · mean |difference|. `bind` raises `ArgumentError` for measurements that are no images.
    """

    SMALLEST = 16

    def __init__(
        self, distance: PerceptualDistance, weight: float = 1.0, top_weight: float = 0.1
    ) -> None:
        super().__init__(f"pyramid-{distance.name}", weight)
        self.distance, self.top_weight = distance, top_weight

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
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
    """Σ_j mean (F_j(A x) - F_j(y))² over VGG16's conv1_1, conv1_2, conv3_2, conv4_2.

    Image2StyleGAN (ICCV 2019), eq. 1; features are taken behind their activations. Raises
    `ArgumentError` for another network than VGG16, `bind` for measurements that are no images.
    """

    LAYERS = (1, 3, 13, 20)

    def __init__(self, distance: PerceptualDistance, weight: float = 1.0) -> None:
        super().__init__("vgg-features", weight)
        if distance.name != "vgg":
            raise ArgumentError(
                f"Image2StyleGAN's features are those of VGG16, not of {distance.name}; take "
                "--perceptual vgg"
            )
        self.distance = distance

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        check_image(operator.measurement_shape)
        wanted = self.distance.activations(target, self.LAYERS)

        def features(image: Images, prediction: Measured) -> PerImage:
            del image
            found = self.distance.activations(prediction, self.LAYERS)
            gaps = [(a - b).square().flatten(1).mean(1) for a, b in zip(found, wanted, strict=True)]
            return torch.stack(gaps).sum(0)

        return features


class ProjectedGradient(Term):
    """||x - v||² / n to v = x₀ - η Aᵀ(A x₀ - y), renewed every `inner` steps from the x₀ of then.

    Descending it is the projection of projected gradient descent (Shah & Hegde, ICASSP 2018) when
    x is what a generator draws. Aᵀ(A x - y) is the gradient of ||A x - y||² / 2, whatever A is.
    """

    def __init__(self, step: float, inner: int, weight: float = 1.0) -> None:
        super().__init__("projection", weight)
        if not (math.isfinite(step) and step > 0):
            raise ArgumentError(f"step must be positive and finite, not {step}")
        if inner < 1:
            raise ArgumentError(f"inner must be at least 1 step, not {inner}")
        self.step, self.inner = step, inner

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        return _Projection(self, target, operator)


class _Projection(nn.Module):
    """The point that is projected, which a snapshot must hold."""

    goal: Tensor
    calls: Tensor

    def __init__(self, term: ProjectedGradient, target: Measured, operator: Operator) -> None:
        super().__init__()
        self._term, self._target, self._forward = term, target, operator.surrogate
        shape = (len(target), *operator.image_shape)
        self.register_buffer("goal", target.new_zeros(shape))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, image: Images, prediction: Measured) -> PerImage:
        """Distance to the goal, after a gradient step where one is due."""
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
    """A term that compares with fresh noise: SPHInX's form of the data term (ICML 2022).

    Each step adds a new draw of the noise to the prediction, and prediction and measurement are
    clipped to [-1, 1] before `term` compares them. Step k draws from
    `stream(seed, "renoise", k)`, so that all terms of a solve see the same draw. `bind` raises
    `ArgumentError` for measurements that are no images.
    """

    def __init__(self, term: Term, noise: Noise, seed: int = 0) -> None:
        super().__init__(term.name, term.weight)
        self.term, self.noise, self.seed = term, noise, seed

    def seeded(self, seed: int) -> "Stochastic":
        return Stochastic(self.term.seeded(seed), self.noise, seed)

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        check_stochastic(operator.measurement_shape)
        return _FreshNoise(self, self.term.bind(target.clamp(-1, 1), operator))


def with_fresh_noise(terms: Sequence[Term], noise: Noise) -> list[Term]:
    """The stochastic form of each term."""
    return [Stochastic(term, noise) for term in terms]


class _FreshNoise(nn.Module):
    """A bound term behind fresh noise; a snapshot must hold the number of the next draw."""

    calls: Tensor

    def __init__(self, term: Stochastic, compare: BoundTerm) -> None:
        super().__init__()
        self._noise, self._seed = term.noise, term.seed
        self.compare = compare  # a module where the bound term remembers something
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, image: Images, prediction: Measured) -> PerImage:
        """Disturb the prediction, clip it and compare."""
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
    """Raise `ArgumentError` for measurements that a perceptual network cannot see."""
    if not is_image(measurement_shape):
        raise ArgumentError(
            f"the perceptual term needs measurements that are images, (3, h, w), "
            f"not {measurement_shape}; leave it out"
        )


def is_image(measurement_shape: Shape) -> bool:
    """Whether a measurement can be seen by a perceptual network: (3, h, w), at least 32 px."""
    return (
        len(measurement_shape) == 3
        and measurement_shape[0] == 3
        and min(measurement_shape[1:]) >= 32
    )
