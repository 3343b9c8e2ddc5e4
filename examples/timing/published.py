"""A straightforward step in the style of published inversion codes, as the baseline.

A weight for each sample and a grouped convolution, with gradients of all weights left on; the
low-pass filter as a one-channel convolution of every channel; LPIPS between images by PyTorch's own
convolutions, which computes the target's features again each step; PyTorch's default Adam; the loss
read (`.item()`) each step.
The free variables, their heads and the images are those of the step it is compared with.
"""

import copy
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invprob.fast.frozen import FrozenConv2d
from invprob.perceptual.distance import PerceptualDistance
from invprob.priors import Generator
from invprob.priors.base import Prior
from invprob.priors.stylegan.differences import NONE, moved
from invprob.priors.stylegan.fused_layer import Features
from invprob.priors.stylegan.layers import SynthesisLayer, ToRGB, activate
from timing.floors import Job


def _filtered(x: Tensor) -> Tensor:
    line = torch.tensor((0.25, 0.75, 0.75, 0.25), dtype=x.dtype, device=x.device)
    height, width = x.shape[2:]
    padded = F.pad(x, (1, 1, 1, 1)).reshape(-1, 1, height + 2, width + 2)
    y = F.conv2d(padded, torch.outer(line, line)[None, None])
    return y.reshape(*x.shape[:2], *y.shape[2:])


def _grouped(x: Tensor, weight: Tensor, *, doubling: bool = False) -> Tensor:
    """Convolve each sample with a weight of its own, (batch, outputs, inputs, k, k)."""
    batch, outputs, inputs, size, _ = weight.shape
    flat = x.reshape(1, -1, *x.shape[2:])
    if doubling:
        turned = weight.transpose(1, 2).reshape(batch * inputs, outputs, size, size)
        y = F.conv_transpose2d(flat, turned, stride=2, groups=batch)
    else:
        joined = weight.reshape(batch * outputs, inputs, size, size)
        y = F.conv2d(flat, joined, padding=size // 2, groups=batch)
    return y.reshape(batch, outputs, *y.shape[2:])


class _PublishedLayer(SynthesisLayer):
    def forward(
        self,
        features: Features,
        scale: Tensor,
        noise: Tensor,
        differences: Mapping[str, Tensor] = NONE,
    ) -> Features:
        weight = moved(self.weight, differences.get("weight")) * scale[:, None, :, None, None]
        weight = weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + 1e-8)
        y = _grouped(features.values, weight, doubling=self.doubling)
        y = _filtered(y) if self.doubling else y
        strength = moved(self.noise_strength, differences.get("noise_strength"))
        bias = moved(self.bias, differences.get("bias"))
        y = y + strength[:, None, None, None] * noise + bias[:, :, None, None]
        return Features.of(activate(y))


class _PublishedColours(ToRGB):
    def forward(
        self, features: Features, scale: Tensor, differences: Mapping[str, Tensor] = NONE
    ) -> Tensor:
        weight = moved(self.weight, differences.get("weight")) * scale[:, None, :, None, None]
        bias = moved(self.bias, differences.get("bias"))
        return _grouped(features.values, weight) + bias[:, :, None, None]


def published(generator: Generator) -> Generator:
    """A copy of a generator that draws the same images as published codes do."""
    double = copy.deepcopy(generator).requires_grad_(True)
    double.precision, double.memory = "float32", "normal"
    for layer in double.synthesis_layers():
        layer.__class__ = _PublishedLayer
        layer.weight.data = layer.weight.data.contiguous()
    for colours in double.to_rgb:
        colours.__class__ = _PublishedColours
    return double


def _own_of_pytorch(layer: FrozenConv2d) -> nn.Conv2d:
    size, stride, padding = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
    plain = nn.Conv2d(layer.in_channels, layer.out_channels, size, stride, padding)
    plain.weight, plain.bias = layer.weight, layer.bias
    return plain


def _published_lpips(network: PerceptualDistance) -> Callable[[Tensor, Tensor], Tensor]:
    plain = copy.deepcopy(network)
    for parent in list(plain.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, FrozenConv2d):
                setattr(parent, name, _own_of_pytorch(layer))

    def lpips(image: Tensor, other: Tensor) -> Tensor:
        pairs = zip(plain.features(image), plain.features(other), strict=True)
        return torch.stack([(a - b).square().sum((1, 2, 3)) for a, b in pairs]).sum(0)

    return lpips


def published_step(
    prior: Prior, target: Tensor, network: PerceptualDistance | None, rate: float
) -> Job:
    """One step towards `target` with the variables of `prior`, whose generator is `published`."""
    code = prior.start(len(target), torch.Generator().manual_seed(0)).to(target.device)
    optimiser = torch.optim.Adam(code.parameters(), lr=rate)
    lpips = None if network is None else _published_lpips(network)
    rng = torch.Generator().manual_seed(1)

    def run() -> float:
        image = prior.decode(code, rng)
        loss = F.mse_loss(image, target)
        if lpips is not None:
            loss = loss + 1.5 * lpips(image, target).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    return run
