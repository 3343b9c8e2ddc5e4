"""3x3 convolution with a quarter of the products: Winograd's F(4x4, 3x3).

Lavin and Gray (CVPR 2016): for a patch d of 6x6 inputs and a kernel g, a tile of 4x4
outputs is Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A. This takes 36 products instead of 144. G and A hold powers of
the points 0, 1, -1, 1/2, -2 and ∞, which Barabasz et al. (2020) find among the most accurate. With
256 channels in float32, the error is about 1.6e-6 of the result's norm. That of a direct
convolution is 0.8e-6.

The gradient to the kernel is, summed over the tiles, Gᵀ [(A t Aᵀ) ⊙ (Bᵀ d B)] G for the gradient t
to a tile, by as few products.

It is faster on a CPU with many channels. On a GPU, PyTorch chooses such algorithms itself.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from invprob.indices import indices

POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)  # and ∞
OPPOSITE = [5, 2, 1, 4, 3, 0]  # index of -1/p among the points
TILE, PATCH, KERNEL, PRODUCTS = 4, 6, 3, 36
FEWEST_CHANNELS = 128  # with fewer, the transforms cost what the products save
FEWEST_TILES = 16  # with fewer, reading the transformed weight does
FEWEST_MOVING = 2**15  # channels · tiles below which transforming the weight each time does
STRIP = 2**18  # numbers that fit into the processor's cache
MOST_TILES = 512  # whose share in a kernel's gradient is summed by one product


class _Transforms(NamedTuple):
    """Bᵀ ⊗ Bᵀ (36, 36) and Aᵀ ⊗ Aᵀ (16, 36)."""

    inward: Tensor
    outward: Tensor


def available(x: Tensor, weight: Tensor) -> bool:
    """Whether a 3x3 convolution of x (batch, inputs, h, w), padded by 1, can go this way."""
    return (
        x.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and x.dtype == weight.dtype
        and x.dtype in (torch.float32, torch.float64)
        and x.shape[2] % TILE == x.shape[3] % TILE == 0
    )


def pays(x: Tensor, weight: Tensor) -> bool:
    """Whether this way is then faster than a direct convolution."""
    batch, _, height, width = x.shape
    channels, tiles = min(weight.shape[:2]), batch * height * width // TILE**2
    return channels >= FEWEST_CHANNELS and tiles >= FEWEST_TILES


def pays_moving(x: Tensor, weight: Tensor) -> bool:
    """The same for a weight that is transformed at each convolution."""
    _, _, height, width = x.shape
    channels, tiles = min(weight.shape[:2]), height * width // TILE**2
    return channels >= FEWEST_CHANNELS and channels * tiles >= FEWEST_MOVING


def transform(weight: Tensor) -> Tensor:
    """G g Gᵀ of each kernel g of a weight (outputs, inputs, 3, 3), as (36, inputs, outputs)."""
    G = _evaluation()
    products = torch.einsum("ia,jb,ocab->ijco", G, G, weight.double())
    return products.flatten(0, 1).to(weight.dtype).contiguous()


def transform_moving(weight: Tensor) -> Tensor:
    """The same for a weight that moves: quickly, in its own precision."""
    outputs, inputs, *_ = weight.shape
    kernels = weight.permute(2, 3, 0, 1).reshape(KERNEL**2, -1)
    products = _kernel(weight.dtype) @ kernels
    return products.view(PRODUCTS, outputs, inputs).transpose(1, 2)


def convolve(
    x: Tensor, kernels: Tensor, *, scale: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    """conv(scale · x) + bias with a padding of 1, without gradients.

    Args:
        x: (batch, inputs, h, w); h and w are multiples of four.
        kernels: `transform` of the weight.
        scale: (batch, inputs), or None.
        bias: (outputs), or None.

    Returns:
        (batch, outputs, h, w), with channels last in memory.
    """
    return _run(x, kernels, _straight(x.dtype), scale, bias)


def convolve_back(y: Tensor, kernels: Tensor) -> Tensor:
    """The adjoint of conv, by the same kernels: (batch, outputs, h, w) -> (batch, inputs, h, w)."""
    return _run(y, kernels.transpose(1, 2), _turned(y.dtype), None, None)


def weight_gradient(x: Tensor, y: Tensor) -> Tensor:
    """The gradient to the weight (outputs, inputs, 3, 3), with the inputs last in memory.

    Args:
        x: (batch, inputs, h, w) that were convolved.
        y: (batch, outputs, h, w), the gradient to the result.
    """
    batch, outputs, height, width = y.shape
    inputs, down, across = x.shape[1], height // TILE, width // TILE
    patches, tiles = _patches(x, None), _tiles(y)
    transforms = _straight(x.dtype)
    total = x.new_zeros(PRODUCTS, outputs, inputs)
    for images, lines in _strips(batch, down, across, MOST_TILES):
        patch = patches[images, lines].reshape(-1, PRODUCTS, inputs)
        tile = tiles[images, lines].reshape(-1, TILE**2, outputs)
        points = torch.bmm(transforms.inward.expand(len(patch), -1, -1), patch)
        slopes = torch.bmm(transforms.outward.T.expand(len(tile), -1, -1), tile)
        total.baddbmm_(slopes.permute(1, 2, 0), points.transpose(0, 1))
    kernels = (_kernel(x.dtype).T @ total.flatten(1)).view(KERNEL, KERNEL, outputs, inputs)
    return kernels.permute(2, 0, 1, 3).contiguous().permute(0, 3, 1, 2)


def _run(
    x: Tensor,
    kernels: Tensor,
    transforms: _Transforms,
    scale: Tensor | None,
    bias: Tensor | None,
) -> Tensor:
    batch, inputs, height, width = x.shape
    outputs, down, across = kernels.shape[2], height // TILE, width // TILE
    patches = _patches(x, scale)
    shape = (batch, outputs, height, width)
    y = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last, device="cpu")
    tiles = _tiles(y)
    most = max(64, STRIP // (PRODUCTS * max(inputs, outputs)))
    for images, lines in _strips(batch, down, across, most):
        patch = patches[images, lines].reshape(-1, PRODUCTS, inputs)
        points = torch.bmm(transforms.inward.expand(len(patch), -1, -1), patch)
        products = torch.bmm(points.transpose(0, 1), kernels).transpose(0, 1)
        made = torch.bmm(transforms.outward.expand(len(patch), -1, -1), products)
        tile = tiles[images, lines]
        if bias is None:
            tile.copy_(made.view(tile.shape))
        else:
            torch.add(made.view(tile.shape), bias, out=tile)
    return y


def _patches(x: Tensor, scale: Tensor | None) -> Tensor:
    """The patches of scale · x as a view (batch, down, across, 6, 6, inputs)."""
    batch, inputs, height, width = x.shape
    padded = x.new_zeros(batch, height + 2, width + 2, inputs)
    inner, rows = padded[:, 1:-1, 1:-1], x.permute(0, 2, 3, 1)
    if scale is None:
        inner.copy_(rows)
    else:
        torch.mul(rows, scale[:, None, None], out=inner)
    return padded.unfold(1, PATCH, TILE).unfold(2, PATCH, TILE).permute(0, 1, 2, 4, 5, 3)


def _tiles(y: Tensor) -> Tensor:
    """The tiles of y as a view (batch, down, across, 4, 4, outputs)."""
    batch, channels, height, width = y.shape
    shape = (batch, height // TILE, TILE, width // TILE, TILE, channels)
    return y.permute(0, 2, 3, 1).view(shape).transpose(2, 3)


def _strips(batch: int, down: int, across: int, most: int) -> Iterator[tuple[slice, slice]]:
    """Images and lines of about as many tiles as `most`, to process at once."""
    lines = max(1, most // across)
    images = max(1, lines // down)
    for first in range(0, batch, images):
        for line in range(0, down, lines):
            yield slice(first, first + images), slice(line, line + lines)


def _powers(count: int) -> Tensor:
    """Powers 0 to count - 1 of the points, (6, count). The row of ∞ has the highest power alone."""
    rows = torch.tensor(POINTS, dtype=torch.float64, device="cpu")[:, None] ** indices(count)
    return torch.cat((rows, torch.eye(count, dtype=torch.float64, device="cpu")[-1:]))


def _interpolation() -> tuple[Tensor, Tensor]:
    """Bᵀ (6, 6), scaled so that entries are at most 1, and the factors (6, 1) taken out of it."""
    rows = torch.linalg.inv(_powers(PATCH)).T
    weights = rows.abs().amax(1, keepdim=True)
    return rows / weights, weights


def _evaluation() -> Tensor:
    """G (6, 3): a polynomial of three coefficients at the points, times the factors of Bᵀ."""
    return _powers(3) * _interpolation()[1]


@functools.lru_cache(maxsize=4)
def _kernel(dtype: torch.dtype) -> Tensor:
    """G ⊗ G (36, 9)."""
    with torch.inference_mode(False):  # the result is kept, and gradients may need it later
        return torch.kron(_evaluation(), _evaluation()).to(dtype)


def _both_axes(inward: Tensor, outward: Tensor, dtype: torch.dtype) -> _Transforms:
    return _Transforms(torch.kron(inward, inward).to(dtype), torch.kron(outward, outward).to(dtype))


@functools.lru_cache(maxsize=4)
def _straight(dtype: torch.dtype) -> _Transforms:
    with torch.inference_mode(False):  # the result is kept, and gradients may need it later
        return _both_axes(_interpolation()[0], _powers(TILE).T, dtype)


@functools.lru_cache(maxsize=4)
def _turned(dtype: torch.dtype) -> _Transforms:
    """Transforms with which the same kernels act turned by 180°, as the adjoint needs them.

    A reversed kernel has the value p² g(1/p) at p. Changing the sign of every other input and
    output changes the sign of every other weight of the kernel. Then its value is p² g(-1/p), which
    is p² times the value of g at another of the points.
    """
    with torch.inference_mode(False):  # the result is kept, and gradients may need it later
        inward, weights = _interpolation()
        points = torch.tensor(
            (1.0, *POINTS[1:], 1.0), dtype=torch.float64, device="cpu"
        )  # g(0), g(∞) change places
        scale = points**2 * (weights / weights[OPPOSITE])[:, 0]
        signs = (-1.0) ** indices(PATCH)
        inward = (inward * signs)[OPPOSITE]
        outward = (_powers(TILE).T * signs[:TILE, None] * scale)[:, OPPOSITE]
        return _both_axes(inward, outward, dtype)
