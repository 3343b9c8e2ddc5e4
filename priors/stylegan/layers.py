"""The layers of StyleGAN2 (Karras et al., CVPR 2020, section 2.2).

They stand here in the paper's form. A `SynthesisLayer` that is frozen, or where each image has
weights of its own, computes the same in a faster form, which enters in its `forward` alone.
"""

from collections.abc import Mapping
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invprob.fast.derived import Derived
from invprob.fast.filters import smooth
from invprob.fast.frozen import FrozenWeight
from invprob.fast.modulated import Modulated
from invprob.fast.moving import MovingWeight
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


def blank(*shape: int) -> Tensor:
    """Zeros in float32, to be loaded or initialised.

    They lie on the default device, so that a network on "meta" can take the tensors of a file.
    """
    return torch.zeros(shape, dtype=torch.float32, device=None)


@final
class Affine(nn.Linear):
    """A fully connected layer of zeros, to be loaded or initialised."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, dtype=torch.float32)

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
        weight = moved(self.weight, differences.get("weight")).expand(len(rows), -1, -1)
        bias = moved(self.bias, differences.get("bias")).expand(len(rows), -1)
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
        self.weight = nn.Parameter(blank(outputs, inputs, kernel, kernel))


def _energy(weight: Tensor) -> Tensor:
    """Sum of W² over the kernel, (outputs, inputs)."""
    return weight.square().sum((2, 3))


def _energy_less_gain(weight: Tensor) -> Tensor:
    """Σ W² / GAIN², with which the gain of the activation enters the demodulation."""
    return _energy(weight) / GAIN**2


def _energies_less_gain(weight: Tensor) -> Tensor:
    """The same of each image's weight: (batch, outputs, inputs, 3, 3) to (batch, outputs, inputs).

    It goes place by place, because PyTorch's sum over these axes takes several times as long.
    """
    places = [weight[..., row, column] for row in range(3) for column in range(3)]
    energy = places[0].square()
    for place in places[1:]:
        energy.addcmul_(place, place)
    return energy.div_(GAIN**2)


def _gained(values: Tensor) -> Tensor:
    return GAIN * values


def _added(own: Tensor, difference: Tensor | None, known: Derived) -> Tensor:
    """GAIN times what is added to an activation, (batch or 1, *shape)."""
    if difference is None and not own.requires_grad:
        return known.of(own, transform=_gained)[None]
    return _gained(moved(own, difference))


class SynthesisLayer(ModulatedConv):
    """Modulated 3x3 convolution, noise, bias, activation.

    `_textbook` is the layer as the paper has it. Where the layer's weights are frozen or each image
    has its own, `forward` computes the same in its fast form: `fused_layer` with a convolution that
    `invprob.fast` chooses.

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
        self._moving = MovingWeight.doubling() if doubling else MovingWeight.unit_stride()
        self._energy = Derived()
        self._strength, self._offset = Derived(), Derived()
        self.bias = nn.Parameter(blank(outputs))
        self.noise_strength = nn.Parameter(blank())
        self.register_buffer("noise", blank(1, 1, size, size))

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
        own = {"weight": self.weight, "noise_strength": self.noise_strength, "bias": self.bias}
        trained = any(value.requires_grad for value in own.values())
        if trained and not any(name in differences for name in own):
            return Features.of(self._textbook(features.plain(), scale, noise))
        self.lay_out()  # only now, so that loading a file copies nothing
        weight, energy, convolution = self._convolution(features, differences.get("weight"))
        strength = _added(self.noise_strength, differences.get("noise_strength"), self._strength)
        features = fused.layer(
            features,
            scale,
            noise,
            strength[:, None, None, None],
            _added(self.bias, differences.get("bias"), self._offset),
            weight,
            energy,
            convolution,
        )
        if self.clamp is None:
            return features
        return Features.of(clamped(features.plain(), self.clamp))

    def _convolution(
        self, features: Features, difference: Tensor | None
    ) -> tuple[Tensor, Tensor, Modulated]:
        """The weight, its energy less the gain, and the convolution by it."""
        weight, x = self.weight, features.values
        if difference is None and not weight.requires_grad:
            energy = self._energy.of(weight, transform=_energy_less_gain)
            return weight, energy, self._frozen.way(weight, x)
        weight = moved(weight, difference).expand(len(x), -1, -1, -1, -1)
        return weight, _energies_less_gain(weight.detach()), self._moving.way(weight, x)

    def _textbook(self, x: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
        """The same, differentiable in the layer's own weights and as often as wanted."""
        # The activation is homogeneous, so its gain acts on small tensors instead.
        strength, bias = _gained(self.noise_strength), _gained(self.bias)
        leave = GAIN * torch.rsqrt(scale.square() @ _energy(self.weight).T + EPSILON)
        x = x * scale[:, :, None, None]
        if self.doubling:
            x = smooth(F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2), 1)
        else:
            x = F.conv2d(x, self.weight, padding=1)
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
        self.weight = nn.Parameter(blank(3, inputs, 1, 1))
        self.bias = nn.Parameter(blank(3))

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
        weight = moved(self.weight, differences.get("weight"))[..., 0, 0]
        bias = moved(self.bias, differences.get("bias")).expand(len(scale), -1)
        weight = weight * features.scale_of_values(scale)[:, None]
        return clamped(fused.colours(features.values, weight, bias), self.clamp)
