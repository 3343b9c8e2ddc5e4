"""Operators that change each value by itself: image-range, brightness, gamma, clip and others.

They are not linear. Formulas are written for u = (x + 1)/2, which is 0 at black and 1 at white, and
give v; the measurement is y = 2 v - 1. Images may have any shape.
"""

from abc import ABC
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.operators.base import Operator
from invprob.operators.checks import finite, positive
from invprob.operators.units import pixels
from invprob.registry import register
from invprob.types import Images, Measured, Shape

TOE = 1 / 1024  # a quarter of a step of 8 bits


class Pointwise(Operator, ABC):
    """An operator that changes each value by itself."""

    pointwise = True
    image_units: ClassVar[Literal["any", "picture", "fixed"]] = "picture"

    def __init__(self, image_shape: Shape) -> None:
        super().__init__(image_shape, image_shape)

    def units(self) -> Tensor:
        """Pixels, all channels together."""
        return pixels(self.measurement_shape)


@register.operator("image-range")
class ImageRange(Pointwise):
    """Give the image its physical units: black is `low`, and white is `high`.

        y = low + (x + 1)/2 · (high - low)

    As the innermost operator of a chain it lets the others measure attenuations, counts or
    temperatures. It is affine in x, and so it is not linear; `--image-range` carries it through a
    linear operator. Measurements have the shape of the image.

    Raises:
        ArgumentError: low is not below high, or one of them is not finite.
    """

    image_units = "fixed"

    def __init__(
        self,
        image_shape: Shape,
        low: Annotated[float, "value of black"] = 0.0,
        high: Annotated[float, "value of white, above that of black"] = 1.0,
    ) -> None:
        super().__init__(image_shape)
        self.low, self.high = finite("low", low), finite("high", high)
        if self.low >= self.high:
            raise ArgumentError(f"low must be below high, got low={low} and high={high}")

    def forward(self, image: Images) -> Measured:
        """low + (x + 1)/2 · (high - low)."""
        return self.low + (self.high - self.low) / 2 * (image + 1)

    @classmethod
    def example(cls) -> "ImageRange":
        """From 0 to 1, on 8 x 8 colour images."""
        return cls((3, 8, 8))

    def extra_repr(self) -> str:
        """The shapes and the limits."""
        return f"{super().extra_repr()}, low={self.low}, high={self.high}"


@register.operator("brightness")
class Brightness(Pointwise):
    """Multiply the light by a factor, as a longer or shorter exposure does.

        v = factor · u,   that is   y = factor · (x + 1) - 1

    Nothing is clipped. The operator is affine in x, because black is -1, and so it is not linear.
    Compose it with `clip` or `saturate` for the limits of a sensor. Measurements have the shape of
    the image.

    Raises:
        ArgumentError: the factor is not a finite number above 0.
    """

    def __init__(
        self,
        image_shape: Shape,
        factor: Annotated[float, "factor of the light, above 0; 1 changes nothing"],
    ) -> None:
        super().__init__(image_shape)
        self.factor = positive("factor", factor)

    def forward(self, image: Images) -> Measured:
        """factor · (x + 1) - 1."""
        return self.factor * (image + 1) - 1

    @classmethod
    def example(cls) -> "Brightness":
        """Half the light, on 8 x 8 colour images."""
        return cls((3, 8, 8), factor=0.5)

    def extra_repr(self) -> str:
        """The shapes and the factor."""
        return f"{super().extra_repr()}, factor={self.factor}"


@register.operator("gamma")
class Gamma(Pointwise):
    """Bend the tone curve by a power (gamma correction).

        v = u^exponent                     for u >= 1/1024
        v = u · (1/1024)^(exponent - 1)    below

    The straight line near black keeps the gradient finite, and gives values to images that reach
    below black. It changes none of the 256 levels of an 8-bit image. Measurements have the shape of
    the image.

    Raises:
        ArgumentError: the exponent is not a finite number above 0.
    """

    def __init__(
        self,
        image_shape: Shape,
        exponent: Annotated[float, "exponent, above 0; below 1 brightens, above 1 darkens"],
    ) -> None:
        super().__init__(image_shape)
        self.exponent = positive("exponent", exponent)

    def forward(self, image: Images) -> Measured:
        """The power, or the line near black."""
        light = (image + 1) / 2
        power = light.clamp(min=TOE) ** self.exponent
        line = light * TOE ** (self.exponent - 1)
        return 2 * torch.where(light <= TOE, line, power) - 1

    @classmethod
    def example(cls) -> "Gamma":
        """The exponent 2.2, on 8 x 8 colour images."""
        return cls((3, 8, 8), exponent=2.2)

    def extra_repr(self) -> str:
        """The shapes and the exponent."""
        return f"{super().extra_repr()}, exponent={self.exponent}"


@register.operator("clip")
class Clip(Pointwise):
    """Cut off values that lie below or above two limits.

        y = min(max(x, low), high)

    The limits are given in the range of the image, [-1, 1]. The gradient is zero where a value was
    cut off. Measurements have the shape of the image.

    Raises:
        ArgumentError: low is not below high, or one of them is not finite.
    """

    def __init__(
        self,
        image_shape: Shape,
        low: Annotated[float, "lower limit; black is -1"] = -1.0,
        high: Annotated[float, "upper limit; white is 1"] = 1.0,
    ) -> None:
        super().__init__(image_shape)
        self.low, self.high = finite("low", low), finite("high", high)
        if self.low >= self.high:
            raise ArgumentError(f"low must be below high, got low={low} and high={high}")

    def forward(self, image: Images) -> Measured:
        """Clamp."""
        return image.clamp(self.low, self.high)

    @classmethod
    def example(cls) -> "Clip":
        """To the middle half of the range, on 8 x 8 colour images."""
        return cls((3, 8, 8), low=-0.5, high=0.5)

    def extra_repr(self) -> str:
        """The shapes and the limits."""
        return f"{super().extra_repr()}, low={self.low}, high={self.high}"


@register.operator("quantise")
class Quantise(Pointwise):
    """Round to a few grey levels, evenly spaced from black to white.

        v = round(u · (levels - 1)) / (levels - 1)

    u is clipped to [0, 1] first, and halves are rounded to the even level. Rounding has no useful
    gradient: the surrogate has the same values and the gradient of the identity (straight-through
    estimator, Bengio et al., arXiv:1308.3432), also where values are clipped. Measurements have the
    shape of the image.

    Raises:
        ArgumentError: there are fewer than two levels.
    """

    def __init__(
        self,
        image_shape: Shape,
        levels: Annotated[int, "number of levels in each channel, at least 2; 256 for 8 bits"],
    ) -> None:
        super().__init__(image_shape)
        if levels < 2:
            raise ArgumentError(
                f"levels must be at least 2, got {levels}; 2 leaves black and white"
            )
        self.levels = levels

    def forward(self, image: Images) -> Measured:
        """Round to the nearest level."""
        steps = self.levels - 1
        light = ((image + 1) / 2).clamp(0, 1)
        return 2 * (light * steps).round() / steps - 1

    def surrogate(self, image: Images) -> Measured:
        """The rounded values, with the gradient of the image."""
        return straight_through(self(image), image)

    @property
    def smooth(self) -> bool:
        """False: the values have no gradient of their own."""
        return False

    @classmethod
    def example(cls) -> "Quantise":
        """Four levels, on 8 x 8 colour images."""
        return cls((3, 8, 8), levels=4)

    def extra_repr(self) -> str:
        """The shapes and the number of levels."""
        return f"{super().extra_repr()}, levels={self.levels}"


@register.operator("saturate")
class Saturate(Pointwise):
    """Expose more or less, and saturate smoothly where the sensor is full.

        v = 1 - knee · log(1 + exp((1 - gain · u) / knee))

    The curve follows gain · u in the dark, and bends into white within about `knee` of 1. Its limit
    for knee 0 is min(gain · u, 1). Above 0 the gradient never vanishes. Measurements have the shape
    of the image.

    Raises:
        ArgumentError: the gain is not a finite number above 0, or the knee is negative.
    """

    def __init__(
        self,
        image_shape: Shape,
        gain: Annotated[float, "exposure, above 0; above 1 saturates bright parts"] = 2.0,
        knee: Annotated[
            float, "width of the bend, as a share of the range from black to white; 0 cuts off hard"
        ] = 0.05,
    ) -> None:
        super().__init__(image_shape)
        self.gain, self.knee = positive("gain", gain), finite("knee", knee)
        if self.knee < 0:
            raise ArgumentError(f"knee must be at least 0, got {knee}; 0 cuts off hard")

    def forward(self, image: Images) -> Measured:
        """The softened minimum of the exposure and 1."""
        spare = 1 - self.gain * (image + 1) / 2
        if self.knee == 0:
            return 1 - 2 * spare.clamp(min=0)
        soft = self.knee * torch.logaddexp(spare / self.knee, torch.zeros_like(spare))
        return 1 - 2 * soft

    @classmethod
    def example(cls) -> "Saturate":
        """Twice the light, on 8 x 8 colour images."""
        return cls((3, 8, 8), gain=2.0, knee=0.05)

    def extra_repr(self) -> str:
        """The shapes and the options."""
        return f"{super().extra_repr()}, gain={self.gain}, knee={self.knee}"


def straight_through(value: Tensor, source: Tensor) -> Tensor:
    """The value, with the gradient of the source."""
    return source + (value - source).detach()
