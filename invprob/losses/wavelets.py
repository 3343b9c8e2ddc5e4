"""The l1 norm of undecimated wavelet details, as a term of the primal-dual method.

The transform is that of à trous: each level filters the smooth part of the level before, with
2^level - 1 zeros between the taps, and keeps every position. Beyond the border lies the mirrored
image, `cba|abc`.
"""

import math
from typing import Any

import pywt
import torch
from torch import Tensor, nn

from invprob.draws import uniform
from invprob.errors import ArgumentError, suggest
from invprob.indices import indices
from invprob.losses.base import BoundTerm, Term
from invprob.losses.duals import DIFFERENCES, Dual
from invprob.operators.base import Operator
from invprob.operators.least_squares import largest_singular_value
from invprob.types import Images, Measured

FRAMELET = "framelet"
COARSER = 4.0  # a level weighs that much less than the one before it
SAMPLE = 64  # pixels of a side that tell the norm of the transform, which corners decide


def filters(wavelet: str) -> Tensor:
    """Return the filters of a row, the smoothing one first, which sums to 1; (filters, taps).

    The squares of their Fourier transforms sum to 1, so that the transform of an image that goes on
    periodically keeps its norm.

    Args:
        wavelet: "framelet", the piecewise linear tight frame (Ron & Shen, J. Funct. Anal. 1997), or
            an orthogonal wavelet by its name in PyWavelets, such as "haar".

    Raises:
        ArgumentError: no wavelet has that name, or it is not orthogonal.
    """
    if wavelet == FRAMELET:
        root = math.sqrt(2)
        filters = [[1, 2, 1], [root, 0, -root], [-1, 2, -1]]
        return torch.tensor(filters, dtype=torch.float64, device="cpu") / 4
    library: Any = pywt  # whose names type checkers do not see
    known = [FRAMELET, *library.wavelist(kind="discrete")]
    found = library.Wavelet(wavelet) if wavelet in known else None
    if found is None or not found.orthogonal:
        raise ArgumentError(
            f"wavelet must be {FRAMELET} or an orthogonal wavelet of PyWavelets, such as haar, db2 "
            f"or sym4, got {wavelet!r}.{'' if found else suggest(wavelet, known)}"
        )
    filters = [found.rec_lo, found.rec_hi]  # dec_lo reversed
    pair = torch.tensor(filters, dtype=torch.float64, device="cpu")
    return pair / math.sqrt(2)


def details(images: Images, bank: Tensor, levels: int) -> Tensor:
    """Return the details of images at every level.

    Args:
        images: (batch, channels, height, width).
        bank: filters of a row as `filters` returns them, (filters, taps).
        levels: how many levels, at least 1.

    Returns:
        (batch, channels, levels, filters² - 1, height, width).
    """
    batch, channels, height, width = images.shape
    count, taps = bank.shape
    kernels = torch.einsum("ai,bj->abij", bank, bank).reshape(count**2, 1, taps, taps)
    smooth, found = images.reshape(-1, 1, height, width), []
    for level in range(levels):
        filtered = nn.functional.conv2d(
            _mirrored(smooth, (taps - 1) * 2**level), kernels, dilation=2**level
        )
        smooth = filtered[:, :1]
        found.append(filtered[:, 1:])
    return torch.stack(found, 1).view(batch, channels, levels, count**2 - 1, height, width)


def edge(bank: Tensor) -> float:
    """Return the sum of |details| on the first level across a straight edge of height 1."""
    return float(bank[1:].cumsum(1).abs().sum())


class WaveletDual(Term):
    """Σ weight(level) sqrt(Σ_c |(W x)_c|²): l1 over positions and bands, joint over the channels.

    The weight of a level is a quarter of that of the level before, and the first is such that a
    straight edge costs on it `share` of what it costs in total variation.

    Args:
        wavelet: see `filters`.
        levels: how many levels, at least 1.
        sigma: the step size σ of the dual variable.
        share: factor of all weights, at least 0.

    Raises:
        ArgumentError: no such wavelet; the share is negative; the levels are none, or, by `bind`,
            too many for the images.
    """

    def __init__(self, wavelet: str, levels: int, sigma: float, share: float = 1.0) -> None:
        super().__init__("wavelet-dual", 1.0)
        if levels < 1:
            raise ArgumentError(f"levels must be at least 1, not {levels}")
        if not share >= 0:
            raise ArgumentError(f"share must be at least 0, not {share}")
        self.bank, self.levels, self.sigma = filters(wavelet), levels, sigma
        self.share = share

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        channels, height, width = operator.image_shape
        most = max(1, int(math.log2(max(height, width))))
        if self.levels > most:
            raise ArgumentError(
                f"levels must be at most {most} for images of {height} x {width} pixels, not "
                f"{self.levels}"
            )
        shape = (channels, self.levels, len(self.bank) ** 2 - 1, height, width)
        return _Wavelet(self, target.new_zeros(len(target), *shape))


class _Wavelet(Dual):
    """The transform is scaled to the norm of ∇, and the unit balls of TV become those of radius."""

    def __init__(self, term: WaveletDual, value: Tensor) -> None:
        super().__init__(value)
        self.sigma, self._levels = term.sigma, term.levels
        self._bank = term.bank.to(value)
        self._scale = DIFFERENCES / self._norm(*value.shape[-2:])
        weights = term.share * COARSER ** -indices(term.levels).to(value) / edge(term.bank)
        self._radius = (weights / self._scale).view(-1, 1, 1, 1)

    def map(self, image: Images, prediction: Measured) -> Tensor:
        del prediction
        return self._scale * details(image, self._bank, self._levels)

    def proximal(self, value: Tensor) -> Tensor:
        length = value.square().sum(1, keepdim=True).sqrt()
        return value * (self._radius / length.clamp(min=self._radius.clamp(min=1e-12)))

    def _norm(self, height: int, width: int) -> float:
        """The norm of the transform: 1, and more where filters that are not symmetric meet a
        border."""
        rng = torch.Generator().manual_seed(0)
        start = uniform((1, 1, min(height, SAMPLE), min(width, SAMPLE)), rng)

        def normal(image: Tensor) -> Tensor:
            with torch.enable_grad():
                image = image.detach().requires_grad_()
                half = details(image, self._bank, self._levels).square().sum() / 2
            return torch.autograd.grad(half, image)[0]

        return largest_singular_value(normal, start.to(self._bank), 100, 1e-4)


def _mirrored(images: Tensor, margin: int) -> Tensor:
    """Lengthen rows and columns by the margin, half of it on each side."""
    for axis in (-2, -1):
        size = images.shape[axis]
        place = (indices(size + margin, images.device) - margin // 2) % (2 * size)
        place = torch.where(place < size, place, 2 * size - 1 - place)
        images = images.index_select(axis, place)
    return images
