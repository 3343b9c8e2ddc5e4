"""The projection heads of SPHInX (Subramanyam et al., ICML 2022, section 3.2), for many images.

Each image of a batch has a head of its own. Weights have a leading batch axis, and layers are
batched matrix products. The first weights are drawn once and repeated, so all images start alike.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from invprob.draws import normal, uniform
from invprob.errors import ArgumentError
from invprob.priors.stylegan.layers import activate
from invprob.types import Content, Shape, Styles

Preset = Literal["paper", "official"]


@dataclass(frozen=True)
class HeadShape:
    """The widths of the heads.

    The paper names bottleneck [512, 256, 16] and decoder [32, 64, 512]; the published code builds
    [256, 128, 32] and [64, 128, 512]. Here both scale with the style width.

    Attributes:
        bottleneck: output widths of the layers that the rows of the style head share.
        decoder: output widths of the layers that each row has to itself.
        content_channels: channels of the content head's random code.
    """

    bottleneck: tuple[int, ...]
    decoder: tuple[int, ...]
    content_channels: int

    @classmethod
    def preset(cls, name: Preset, style_width: int, d: int | None = None) -> "HeadShape":
        """The widths of the paper or of the published code.

        Args:
            name: "paper" (d = 16) or "official" (d = 32).
            style_width: width of the generator's w.
            d: width of the bottleneck in place of the preset's (appendix D: 16, 32, 64, 128).

        Raises:
            ArgumentError: the preset is unknown, or `d` is less than 1.
        """
        if d is not None and d < 1:
            raise ArgumentError(f"d must be at least 1, not {d}")
        if name == "paper":
            d = 16 if d is None else d
            bottleneck = (style_width, style_width // 2, d)
            return cls(bottleneck, (2 * d, 4 * d, style_width), 512)
        if name == "official":
            d = 32 if d is None else d
            bottleneck = (style_width // 2, style_width // 4, d)
            return cls(bottleneck, (2 * d, 4 * d, style_width), 8)
        raise ArgumentError(f"preset must be 'paper' or 'official', not {name!r}")


def _uniform(shape: Shape, fan_in: int, batch: int, rng: torch.Generator) -> nn.Parameter:
    """PyTorch's default for linear layers, U(-1, 1) / sqrt(fan_in), repeated over the batch."""
    bound = 1 / math.sqrt(fan_in)
    values = (uniform(shape, rng) * 2 - 1) * bound
    return nn.Parameter(values.expand(batch, *shape).clone())


class StyleHead(nn.Module):
    """P_s: an MLP with a bottleneck, which the rows of z+ share, then an MLP for each row.

    Only the first layer of each MLP has a ReLU, as in the published code. The layers behind it are
    linear, so each MLP is one hidden layer and a linear map of limited rank.

    Args:
        shape: the widths.
        layers: number of style rows.
        width: width of z and w.
        batch: number of images.
        rng: source of the first weights.
    """

    def __init__(
        self, shape: HeadShape, layers: int, width: int, batch: int, rng: torch.Generator
    ) -> None:
        super().__init__()
        self.encoder = nn.ParameterList()
        fan_in = width
        for out in shape.bottleneck:
            self.encoder.append(_uniform((fan_in, out), fan_in, batch, rng))
            self.encoder.append(_uniform((1, out), fan_in, batch, rng))
            fan_in = out
        self.decoders = nn.ParameterList()
        for out in shape.decoder:
            self.decoders.append(_uniform((layers, fan_in, out), fan_in, batch, rng))
            self.decoders.append(_uniform((layers, 1, out), fan_in, batch, rng))
            fan_in = out

    def forward(self, z: Styles) -> Styles:
        """Map z+ (1 or batch, layers, width) to w+ (batch, layers, width)."""
        x: Tensor = z.expand(self.encoder[0].shape[0], -1, -1)
        for index in range(0, len(self.encoder), 2):
            x = torch.baddbmm(self.encoder[index + 1], x, self.encoder[index])
            x = torch.relu(x) if index == 0 else x
        batch, layers, _ = x.shape
        x = x.reshape(batch * layers, 1, -1)
        for index in range(0, len(self.decoders), 2):
            weight, bias = (
                self.decoders[index].flatten(0, 1),
                self.decoders[index + 1].flatten(0, 1),
            )
            x = torch.baddbmm(bias, x, weight)
            x = torch.relu(x) if index == 0 else x
        return x.reshape(batch, layers, -1)


class ContentHead(nn.Module):
    """P_c: three 1x1 convolutions with 32, 128 and C filters on a random 4x4 code.

    Learning rates are equalised: weights are N(0, 1), and scaled by 1/sqrt(fan-in) when used. The
    first two layers have a bias and a leaky ReLU. The kernels are 1x1, so each of the 16 positions
    is mapped by itself.

    Args:
        code_channels: channels of the code.
        channels: C, the channels of the content.
        batch: number of images.
        rng: source of the first weights.
    """

    def __init__(self, code_channels: int, channels: int, batch: int, rng: torch.Generator) -> None:
        super().__init__()
        widths = (code_channels, 32, 128, channels)
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for fan_in, out in itertools.pairwise(widths):
            values = normal((fan_in, out), rng)
            self.weights.append(nn.Parameter(values.expand(batch, -1, -1).clone()))
        for out in widths[1:3]:
            bias = torch.zeros(batch, 1, out, dtype=torch.float32, device="cpu")
            self.biases.append(nn.Parameter(bias))

    def forward(self, s: Content) -> Content:
        """Map a code (1 or batch, code_channels, 4, 4) to content (batch, channels, 4, 4)."""
        x = s.flatten(2).transpose(1, 2).expand(self.weights[0].shape[0], -1, -1)
        for index, weight in enumerate(self.weights):
            x = torch.bmm(x, weight * weight.shape[1] ** -0.5)
            x = activate(x + self.biases[index]) if index < 2 else x
        return x.transpose(1, 2).reshape(len(x), -1, 4, 4)


def count_parameters(head: nn.Module) -> int:
    """Number of free scalars of one image's head."""
    return sum(value[0].numel() for value in head.parameters())
