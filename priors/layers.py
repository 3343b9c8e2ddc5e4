"""The layers of StyleGAN2 as pure functions of tensors (Karras et al., CVPR 2020, section 2)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2  # of the leaky ReLU; its gain sqrt(2) keeps the variance of a Gaussian input
GAIN = math.sqrt(2.0)
EPSILON = 1e-8


def normalise(z: Tensor) -> Tensor:
    """Scale each vector of the last axis to root mean square 1."""
    return z * torch.rsqrt(z.square().mean(-1, keepdim=True) + EPSILON)


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU with gain sqrt(2)."""
    return F.leaky_relu(x, SLOPE) * GAIN


def clamped(x: Tensor, bound: float | None) -> Tensor:
    """Keep values within ±bound, as networks trained in half precision do; None: leave them."""
    return x if bound is None else x.clamp(-bound, bound)


def _smooth(x: Tensor, axis: int) -> Tensor:
    """Weigh four neighbours along `axis` by (1, 3, 3, 1) / 4; three fewer come out."""
    size = x.shape[axis] - 3
    outer = x.narrow(axis, 0, size) + x.narrow(axis, 3, size)
    inner = x.narrow(axis, 1, size) + x.narrow(axis, 2, size)
    return torch.add(outer * 0.25, inner, alpha=0.75)


def smooth_upsampled(x: Tensor) -> Tensor:
    """Low-pass what a stride-2 transposed 3x3 convolution gave: (2h+1, 2w+1) -> (2h, 2w).

    The FIR is (1, 3, 3, 1) ⊗ (1, 3, 3, 1) / 64 times the factor 4 of doubling both axes. Slices are
    shifted and added: on a CPU this is several times faster than a one-channel convolution.
    """
    return _smooth(_smooth(F.pad(x, (1, 1, 1, 1)), 2), 3)


def upsample(image: Tensor) -> Tensor:
    """Double both axes: zeros between the pixels, then the same FIR; (h, w) -> (2h, 2w).

    Each output pixel weighs two neighbours by 3/4 and 1/4 along each axis.
    """
    for axis in (2, 3):
        size = image.shape[axis]
        padding = (0, 0, 1, 1) if axis == 2 else (1, 1, 0, 0)
        padded = F.pad(image, padding)
        centre = padded.narrow(axis, 1, size) * 0.75
        before = torch.add(centre, padded.narrow(axis, 0, size), alpha=0.25)
        after = torch.add(centre, padded.narrow(axis, 2, size), alpha=0.25)
        image = torch.stack((before, after), axis + 1).flatten(axis, axis + 1)
    return image


class ModulatedConv(nn.Module):
    """A convolution with its inputs scaled by a style and its outputs back to unit variance.

    Equations (1) and (3) of StyleGAN2, without making a weight for each sample: the input is scaled
    by the style, convolved with the shared weight, and scaled by 1 / sqrt(Σ (s·W)²), which is a
    small matrix product of s² with the cached sum of W² over the kernel.
    """

    weight: Tensor

    def __init__(self, inputs: int, outputs: int, width: int, *, kernel: int) -> None:
        super().__init__()
        self.affine = nn.Linear(width, inputs)
        self.weight = nn.Parameter(torch.zeros(outputs, inputs, kernel, kernel))
        self._energy: Tensor | None = None
        self._state: tuple[int, int, torch.dtype] | None = None

    def energy(self) -> Tensor:
        """Sum of W² over the kernel, (outputs, inputs); kept while a frozen weight stays."""
        if self.weight.requires_grad:
            return self.weight.square().sum((2, 3))
        state = (self.weight.data_ptr(), self.weight._version, self.weight.dtype)
        if self._energy is None or state != self._state:
            self._energy, self._state = self.weight.square().sum((2, 3)), state
        return self._energy

    def demodulation(self, scale: Tensor) -> Tensor:
        """Output scale (batch, outputs) that goes with an input scale (batch, inputs)."""
        return torch.rsqrt(scale.square() @ self.energy().T + EPSILON)


class SynthesisLayer(ModulatedConv):
    """Modulated 3x3 convolution, noise, bias, activation; `doubling` ones enlarge by two.

    The activation, its gain included, is kept within ±`clamp`.
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
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.zeros(1, 1, size, size))

    def forward(self, x: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
        """(batch, inputs, h, w), (batch, inputs), (batch or 1, 1, H, W) -> (b, outputs, H, W)."""
        leave = self.demodulation(scale)
        x = x * scale[:, :, None, None]
        if self.doubling:
            weight = self.weight.transpose(0, 1)
            x = smooth_upsampled(F.conv_transpose2d(x, weight, stride=2))
        else:
            x = F.conv2d(x, self.weight, padding=1)
        # The activation is homogeneous, so its gain acts on these small tensors instead; in place,
        # because every pass over the features costs as much as a tenth of the convolution.
        x = x * (GAIN * leave)[:, :, None, None]
        x += (GAIN * self.noise_strength) * noise
        x += (GAIN * self.bias)[:, None, None]
        return clamped(F.leaky_relu(x, SLOPE, inplace=True), self.clamp)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to three channels within ±`clamp`, without demodulation."""

    def __init__(self, inputs: int, width: int, *, clamp: float | None = None) -> None:
        super().__init__()
        self.clamp = clamp
        self.affine = nn.Linear(width, inputs)
        self.weight = nn.Parameter(torch.zeros(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        """(batch, inputs, h, w), (batch, inputs) -> (batch, 3, h, w)."""
        weight = self.weight[None, :, :, 0, 0] * scale[:, None, :]
        rgb = torch.baddbmm(self.bias[None, :, None], weight, x.flatten(2))
        return clamped(rgb.view(len(x), 3, *x.shape[2:]), self.clamp)
