"""StyleGAN2 written a second time, slowly and differently, as the oracle of the generator's tests.

Weights are modulated and demodulated for each sample and applied as grouped convolutions; enlarging
inserts zeros and convolves with the 4x4 FIR by SciPy. Everything is float64.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy.signal import convolve2d
from torch import Tensor

FIR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64.0


def _filter(x: Tensor, before: int, after: int, gain: float) -> Tensor:
    """Pad and convolve each channel with the FIR, itself checked against SciPy."""
    kernel = torch.from_numpy(FIR * gain).flip(0, 1)
    channels = x.shape[1]
    padded = F.pad(x, (before, after, before, after))
    out = F.conv2d(padded, kernel[None, None].expand(channels, 1, 4, 4), groups=channels)
    if not x.requires_grad:
        expected = convolve2d(padded[0, 0].numpy(), FIR * gain, mode="valid")
        np.testing.assert_allclose(out[0, 0].numpy(), expected, atol=1e-12)
    return out


def _insert_zeros(x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    out = x.new_zeros(batch, channels, height, 2, width, 2)
    out[:, :, :, 0, :, 0] = x
    return out.reshape(batch, channels, 2 * height, 2 * width)


def _modulated(
    x: Tensor, weight: Tensor, style: Tensor, *, demodulate: bool, doubling: bool
) -> Tensor:
    batch, inputs, height, width = x.shape
    outputs, _, size, _ = weight.shape
    modulated = weight[None] * style[:, None, :, None, None]
    if demodulate:
        modulated = modulated / (modulated.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    grouped = modulated.reshape(batch * outputs, inputs, size, size)
    if not doubling:
        y = F.conv2d(x.reshape(1, -1, height, width), grouped, padding=size // 2, groups=batch)
        return y.reshape(batch, outputs, height, width)
    # A stride-2 transposed convolution is zero insertion and a full convolution.
    spread = _insert_zeros(x)[:, :, :-1, :-1]
    flipped = grouped.flip(2, 3)
    y = F.conv2d(
        spread.reshape(1, -1, 2 * height - 1, 2 * width - 1), flipped, padding=2, groups=batch
    ).reshape(batch, outputs, 2 * height + 1, 2 * width + 1)
    return _filter(y, 1, 1, 4.0)


def _affine(tensors: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]


def mapping(tensors: Mapping[str, Tensor], layers: int, z: Tensor) -> Tensor:
    """z -> w by the published formula."""
    x = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for index in range(layers):
        x = F.leaky_relu(_affine(tensors, f"mapping_layers.{index}", x), 0.2) * 2**0.5
    return x


def synthesis(
    tensors: Mapping[str, Tensor], styles: Tensor, content: Tensor, noise: Sequence[Tensor]
) -> Tensor:
    """Style rows, content and noise maps -> images, layer by layer as in figure 2c of the paper."""

    def layer(x: Tensor, index: int, doubling: bool) -> Tensor:
        name = f"layers.{index}"
        style = _affine(tensors, f"{name}.affine", styles[:, index])
        weight = tensors[f"{name}.weight"]
        y = _modulated(x, weight, style, demodulate=True, doubling=doubling)
        y = y + tensors[f"{name}.noise_strength"] * noise[index]
        return F.leaky_relu(y + tensors[f"{name}.bias"][None, :, None, None], 0.2) * 2**0.5

    def to_rgb(x: Tensor, block: int) -> Tensor:
        name = f"to_rgb.{block}"
        style = _affine(tensors, f"{name}.affine", styles[:, 2 * block + 1])
        weight = tensors[f"{name}.weight"]
        rgb = _modulated(x, weight, style, demodulate=False, doubling=False)
        return rgb + tensors[f"{name}.bias"][None, :, None, None]

    x = layer(content, 0, False)
    image = to_rgb(x, 0)
    for block in range(1, styles.shape[1] // 2):
        x = layer(layer(x, 2 * block - 1, True), 2 * block, False)
        image = _filter(_insert_zeros(image), 2, 1, 4.0) + to_rgb(x, block)
    return image
