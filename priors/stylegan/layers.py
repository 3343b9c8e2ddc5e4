"""The layers of StyleGAN2 (Karras et al., CVPR 2020, section 2.2).

They stand here in the paper's form. A frozen `SynthesisLayer` computes the same in a faster form,
which enters in its `forward` alone.
"""

from collections.abc import Mapping
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invprob.fast.derived import Derived
from invprob.fast.filters import smooth
from invprob.fast.frozen import FrozenWeight
from invprob.priors.stylegan import fused_layer as fused
from invprob.priors.stylegan.differences import NONE, moved
from invprob.priors.stylegan.fused_layer import EPSILON, GAIN, SLOPE, Features


def normalise(z: Tensor) -> Tensor:
    """Scale each vector of the last axis to root mean square 1."""
    return z * torch.rsqrt(z.square().mean(-1, keepdim=True) + EPSILON)


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU with gain sqrt(2)."""
    return F.leaky_relu(x, SLOPE) * GAIN


def clamped(x: Tensor, bound: float | None) -> Tensor:
    """Values within ±bound, as in networks trained in half precision; None bounds nothing."""
    return x if bound is None else x.clamp(-bound, bound)


@final
class Affine(nn.Linear):
    """A fully connected layer of zeros, to be loaded or initialised."""

    def reset_parameters(self) -> None:
        """Set zeros: drawing random values would take longer than reading those of a file."""
        self.weight.data.zero_()
        self.bias.data.zero_()

    def moved(self, rows: Tensor, differences: Mapping[str, Tensor]) -> Tensor:
        """The result for images that have their own weights.

        Args:
            rows: (batch, inputs).
            differences: those of each image from "weight" and "bias".

        Returns:
            (batch, outputs).
        """
        if not differences:
            result: Tensor = self(rows)
            return result
        weight = moved(self.weight, differences.get("weight"), len(rows))
        bias = moved(self.bias, differences.get("bias"), len(rows))
        return torch.stack([F.linear(*image) for image in zip(rows, weight, bias, strict=True)])


class ModulatedConv(nn.Module):
    """A convolution whose inputs are scaled by a style, and its outputs to unit variance.

    Equations (1) and (3) of StyleGAN2 make a weight for each sample: w' = s·w, divided by
    sqrt(Σ w'² + ε) over inputs and kernel. Here the samples share the weight. The input is scaled
    by s and convolved with w, and the output is divided by that root, which is a matrix product of
    s² with the kernel sums of w².

    Args:
        inputs: channels of the features.
        outputs: channels of the result.
        width: width of the style row.
        kernel: size of the kernel.
    """

    weight: Tensor

    def __init__(self, inputs: int, outputs: int, width: int, *, kernel: int) -> None:
        super().__init__()
        self.affine = Affine(width, inputs)
        self.weight = nn.Parameter(torch.zeros(outputs, inputs, kernel, kernel))


def _energy(weight: Tensor) -> Tensor:
    """Sum of W² over the kernel, (outputs, inputs)."""
    return weight.square().sum((2, 3))


def _energy_less_gain(weight: Tensor) -> Tensor:
    """Σ W² / GAIN², with which the gain of the activation enters the demodulation."""
    return _energy(weight) / GAIN**2


def _gained(values: Tensor) -> Tensor:
    return GAIN * values


class SynthesisLayer(ModulatedConv):
    """Modulated 3x3 convolution, noise, bias, activation.

    `_textbook` is the layer as the paper has it. Where the layer's weights are frozen, `forward`
    computes the same in its fast form: `fused_layer` with a convolution that `invprob.fast`
    chooses.

    Args:
        inputs: channels of the features that enter.
        outputs: channels of those that leave.
        width: width of the style row.
        size: height and width of what leaves.
        doubling: whether the layer enlarges by two.
        clamp: bound of the activation, its gain included; None for no bound.
    """

    noise: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        *,
        size: int,
        doubling: bool,
        clamp: float | None = None,
    ) -> None:
        super().__init__(inputs, outputs, width, kernel=3)
        self.doubling = doubling
        self.clamp = clamp
        self._frozen = FrozenWeight.doubling() if doubling else FrozenWeight.unit_stride(3, 1)
        self._energy = Derived()
        self._strength, self._offset = Derived(), Derived()
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.zeros(1, 1, size, size))

    def lay_out(self) -> None:
        """Store the weight in the order in which its convolution reads it: channels last."""
        turned = self.weight.data.transpose(0, 1) if self.doubling else self.weight.data
        if turned.is_contiguous(memory_format=torch.channels_last):
            return
        with torch.inference_mode(False):  # the weight may serve a gradient later
            turned = turned.contiguous(memory_format=torch.channels_last)
        self.weight.data = turned.transpose(0, 1) if self.doubling else turned

    def forward(
        self,
        features: Features,
        scale: Tensor,
        noise: Tensor,
        differences: Mapping[str, Tensor] = NONE,
    ) -> Features:
        """The features that leave the layer.

        Args:
            features: those that enter, (batch, inputs, h, w).
            scale: s of equation (1), (batch, inputs).
            noise: (batch or 1, 1, size, size).
            differences: those of each image from the layer's weights, by the layer's names.

        Returns:
            Features (batch, outputs, size, size).
        """
        own = {
            "weight": self.weight,
            "noise_strength": self.noise_strength,
            "bias": self.bias,
        }
        if any(name in differences for name in own):
            return self._moved(features, scale, noise, own, differences)
        if any(value.requires_grad for value in own.values()):
            return Features.of(self._textbook(features.plain(), scale, noise, **own))
        self.lay_out()  # only now, so that loading a file copies nothing
        features = fused.layer(
            features,
            scale,
            self._energy.of(self.weight, transform=_energy_less_gain),
            noise,
            self._strength.of(self.noise_strength, transform=_gained),
            self._offset.of(self.bias, transform=_gained),
            self._frozen.convolution(self.weight, features.values),
        )
        if self.clamp is None:
            return features
        return Features.of(clamped(features.plain(), self.clamp))

    def _moved(
        self,
        features: Features,
        scale: Tensor,
        noise: Tensor,
        own: Mapping[str, Tensor],
        differences: Mapping[str, Tensor],
    ) -> Features:
        """The same with weights that each image has for itself."""
        x = features.plain()
        batch = len(x)
        weights = {name: moved(own[name], differences.get(name), batch) for name in own}
        noise = noise.expand(batch, -1, -1, -1)
        images = [
            self._textbook(
                x[image : image + 1],
                scale[image : image + 1],
                noise[image : image + 1],
                **{name: values[image] for name, values in weights.items()},
            )
            for image in range(batch)
        ]
        values = torch.cat(images)
        return Features.of(values)._replace(values=values.to(features.values.dtype))

    def _textbook(
        self,
        x: Tensor,
        scale: Tensor,
        noise: Tensor,
        weight: Tensor,
        noise_strength: Tensor,
        bias: Tensor,
    ) -> Tensor:
        """The same, differentiable in the weights and as often as wanted."""
        # The activation is homogeneous, so its gain acts on small tensors instead.
        strength, bias = _gained(noise_strength), _gained(bias)
        leave = GAIN * torch.rsqrt(scale.square() @ _energy(weight).T + EPSILON)
        x = x * scale[:, :, None, None]
        if self.doubling:
            x = smooth(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), 1)
        else:
            x = F.conv2d(x, weight, padding=1)
        x = x * leave[:, :, None, None] + strength * noise + bias[:, None, None]
        return clamped(F.leaky_relu(x, SLOPE), self.clamp)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to three channels, without demodulation.

    Args:
        inputs: channels of the features.
        width: width of the style row.
        clamp: bound of the colours; None for no bound.
    """

    def __init__(self, inputs: int, width: int, *, clamp: float | None = None) -> None:
        super().__init__()
        self.clamp = clamp
        self.affine = Affine(width, inputs)
        self.weight = nn.Parameter(torch.zeros(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(
        self, features: Features, scale: Tensor, differences: Mapping[str, Tensor] = NONE
    ) -> Tensor:
        """The colours of features.

        Args:
            features: those that enter, (batch, inputs, h, w).
            scale: s of equation (1), (batch, inputs).
            differences: those of each image from the layer's weights, by the layer's names.

        Returns:
            (batch, 3, h, w).
        """
        weight = moved(self.weight, differences.get("weight"), len(scale))[:, :, :, 0, 0]
        bias = moved(self.bias, differences.get("bias"), len(scale))
        weight = weight * features.scale_of_values(scale)[:, None, :]
        return clamped(fused.colours(features.values, weight, bias), self.clamp)
