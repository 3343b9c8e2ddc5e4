"""Deep image prior: an untrained network, which fits natural images sooner than noise.

Ulyanov, Vedaldi & Lempitsky, CVPR 2018. Every image has a network of its own.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from invprob.draws import normal, uniform
from invprob.errors import ArgumentError
from invprob.priors.base import Code, Prior
from invprob.registry import register
from invprob.types import Images, Shape, Spec

INPUT_CHANNELS = 16
INPUT_RANGE = 0.1  # the fixed input is uniform in [0, 0.1]
SHAKE = 1 / 30  # standard deviation of the noise added to the input at every step
SKIP_CHANNELS = 4
NARROW = (16, 32, 64, 64)  # filters of each level; each level halves the size
LEVELS = 5  # at most, where each level has as many filters
SMALLEST = 8  # pixels of the shorter side at the lowest level


class Convolution(nn.Module):
    """A convolution with weights of its own for each image, (batch, outputs, inputs, k, k)."""

    def __init__(
        self, inputs: int, outputs: int, size: int, batch: int, rng: torch.Generator, like: Tensor
    ) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs * size * size)

        def draw(*shape: int) -> nn.Parameter:
            values = bound * (2 * uniform((1, *shape), rng) - 1)
            return nn.Parameter(values.repeat(batch, *[1] * len(shape)).to(like))

        self.weight, self.bias = draw(outputs, inputs, size, size), draw(outputs)

    def forward(self, x: Tensor, stride: int = 1) -> Tensor:
        """(batch, inputs, h, w) -> (batch, outputs, h', w'), mirrored at the border."""
        batch, outputs, inputs, size, _ = self.weight.shape
        margin = size // 2
        x = x.reshape(1, batch * inputs, *x.shape[2:])
        if margin:
            x = functional.pad(x, [margin] * 4, mode="reflect")
        x = functional.conv2d(
            x, self.weight.flatten(0, 1), self.bias.flatten(), stride, groups=batch
        )
        return x.view(batch, outputs, *x.shape[2:])


class Block(nn.Module):
    """Convolution, normalisation of each channel to mean 0 and variance 1, scale, leaky ReLU."""

    def __init__(
        self, inputs: int, outputs: int, size: int, batch: int, rng: torch.Generator, like: Tensor
    ) -> None:
        super().__init__()
        self.convolution = Convolution(inputs, outputs, size, batch, rng, like)
        self.gain = nn.Parameter(like.new_ones(batch, outputs, 1, 1))
        self.shift = nn.Parameter(like.new_zeros(batch, outputs, 1, 1))

    def forward(self, x: Tensor, stride: int = 1) -> Tensor:
        """(batch, inputs, h, w) -> (batch, outputs, h', w')."""
        x = functional.instance_norm(self.convolution(x, stride))
        return functional.leaky_relu(x * self.gain + self.shift, 0.2)


class Level(nn.Module):
    """One level of the hourglass: down, the levels below, up, with a thin skip around them."""

    def __init__(
        self, inputs: int, widths: Sequence[int], batch: int, rng: torch.Generator, like: Tensor
    ) -> None:
        super().__init__()
        width, *deeper = widths
        self.skip = Block(inputs, SKIP_CHANNELS, 1, batch, rng, like)
        self.down = Block(inputs, width, 3, batch, rng, like)
        self.more = Block(width, width, 3, batch, rng, like)
        self.below = Level(width, deeper, batch, rng, like) if deeper else None
        below = deeper[0] if deeper else width
        self.up = Block(below + SKIP_CHANNELS, width, 3, batch, rng, like)
        self.mix = Block(width, width, 1, batch, rng, like)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, h, w) -> (batch, width, h, w)."""
        deep = self.more(self.down(x, stride=2))
        if self.below is not None:
            deep = self.below(deep)
        deep = functional.interpolate(deep, x.shape[2:], mode="bilinear", align_corners=False)
        mixed: Tensor = self.mix(self.up(torch.cat((self.skip(x), deep), 1)))
        return mixed


class HourglassCode(Code):
    """The networks of a batch, the fixed input that they share, and what they have drawn.

    Args:
        body: all of a network but its last layer.
        last: the last layer.
        fixed: the input, (1, channels, height, width).
        image_shape: shape of an image.
    """

    fixed: Tensor
    average: Tensor  # of the images of all steps, times `weight`; (batch, *image_shape)
    weight: Tensor  # (batch,), 0 before the first step

    def __init__(self, body: Level, last: Convolution, fixed: Tensor, image_shape: Shape) -> None:
        super().__init__()
        self.body, self.last = body, last
        batch = len(last.bias)
        self.register_buffer("fixed", fixed)
        self.register_buffer("average", fixed.new_zeros(batch, *image_shape))
        self.register_buffer("weight", fixed.new_zeros(batch))
        self.drawn: Images | None = None  # by the step that is being taken


@register.prior("deep-image-prior")
class DeepImagePrior(Prior[HourglassCode]):
    """I = tanh(network(fixed noise)), where the network's weights are free.

    Encoder and decoder with thin skips (Ulyanov, Vedaldi & Lempitsky, CVPR 2018). At each step
    N(0, 1/30²) is added to the input; a solution leaves it out. By default the network is narrower
    than theirs (16 to 64 filters on four levels instead of 128 on five), so that 128 pixels suit a
    CPU. The lowest level has at least 8 pixels. The network is normalised over each image, which
    equals their batch normalisation for one image.

    The solution is the exponential average of the images of all steps, or, with a memory of 0, the
    image of the last weights.

    Raises:
        ArgumentError: the width is not positive, or the memory is not in [0, 1).
    """

    origin: Tensor

    def __init__(
        self,
        image_shape: Shape,
        width: Annotated[
            int | None, "filters of each level; published: 128. None: 16 to 64, growing"
        ] = None,
        average: Annotated[float, "memory of the average of images, in [0, 1)"] = 0.0,
    ) -> None:
        super().__init__(image_shape)
        if width is not None and width < 1:
            raise ArgumentError(f"width must be at least 1, not {width}; published: 128")
        if not 0 <= average < 1:
            raise ArgumentError(f"average must be in [0, 1), not {average}; published: 0.99")
        origin = torch.zeros((), dtype=torch.float32, device="cpu")
        self.register_buffer("origin", origin, persistent=False)  # device and dtype
        shorter = min(self.image_shape[1:])
        levels = max(1, int(math.log2(max(shorter / SMALLEST, 2))))
        self.width, self.average = width, average
        self.widths = (NARROW if width is None else (width,) * LEVELS)[:levels]

    def start(self, batch: int, rng: torch.Generator) -> HourglassCode:
        """Random weights and the input."""
        size = self.image_shape[1:]
        fixed = INPUT_RANGE * uniform((1, INPUT_CHANNELS, *size), rng)
        body = Level(INPUT_CHANNELS, self.widths, batch, rng, self.origin)
        last = Convolution(self.widths[0], self.image_shape[0], 1, batch, rng, self.origin)
        return HourglassCode(body, last, fixed.to(self.origin), self.image_shape)

    def decode(self, code: HourglassCode, rng: torch.Generator) -> Images:
        """The network at the input with fresh noise."""
        shake = normal(code.fixed.shape, rng).to(code.fixed)
        image = _draw(code, code.fixed + SHAKE * shake)
        code.drawn = image.detach()
        return image

    @torch.no_grad()
    def project_(self, code: HourglassCode) -> None:
        """Add the image of the step to the average."""
        if code.drawn is not None:
            code.average.lerp_(code.drawn, 1 - self.average)
            code.weight.lerp_(torch.ones_like(code.weight), 1 - self.average)
        code.drawn = None

    def realise(self, code: HourglassCode, rng: torch.Generator) -> dict[str, Tensor]:
        """The average; without one, the network at the input itself."""
        del rng
        image = _draw(code, code.fixed)
        if self.average:
            weight = code.weight.view(-1, 1, 1, 1)
            image = torch.where(weight > 0, code.average / weight.clamp(min=1e-9), image)
        return {"image": image}

    def spec(self) -> dict[str, Any]:
        """The shape and the options."""
        shape = list(self.image_shape)
        options = {"width": self.width, "average": self.average}
        return {**super().spec(), "image_shape": shape, **options}

    @classmethod
    def from_spec(cls, spec: Spec) -> "DeepImagePrior":
        """Build the prior again."""
        return cls(tuple(spec["image_shape"]), spec.get("width"), spec.get("average", 0.0))


def _draw(code: HourglassCode, given: Tensor) -> Images:
    batch = len(code.last.bias)
    image: Tensor = code.last(code.body(given.expand(batch, -1, -1, -1))).tanh()
    return image
