"""How far rounding may part two correct computations: relative errors in the Euclidean norm.

Each rounding changes its result by a share of at most u, the unit roundoff, and the errors are
independent (Higham and Mary, SIAM J. Sci. Comput. 41(5), 2019). The sum of k independent terms of
mean zero is √k of a term in size. Added up one by one, n such terms therefore err by
u √(1 + 2 + ... + n) = u n / √2 of a term, which is √(n / 2) u of the result. Other orders of
summation, those of other instruction sets included, err by less.

These are bounds on norms, in which many errors average. Bounds on single elements would fail where
an element happens to be small beside those that it was summed from.
"""

import math

import numpy as np
import torch
from torch import nn

_POINTS = (0, 1, -1, 1 / 2, -2)  # and ∞: where Winograd's F(4x4, 3x3) evaluates polynomials


def unit_roundoff(dtype: torch.dtype) -> float:
    """The largest relative error of one rounding to nearest."""
    return torch.finfo(dtype).eps / 2


def summed(terms: int, dtype: torch.dtype) -> float:
    """The error of sums of so many products, as in a convolution or a matrix product."""
    return math.sqrt(terms / 2) * unit_roundoff(dtype)


def by_winograd(channels: int, dtype: torch.dtype) -> float:
    """The error of a 3x3 convolution of so many channels by F(4x4, 3x3).

    Along one axis y = Aᵀ m, where m = (G g) ⊙ (B d) is summed over the channels; the six entries
    of m are much larger than y and cancel. For independent kernels g and inputs d of variance 1,
    m_p has the variance ‖G_p‖² ‖B_p‖² (rows of the matrices) and y the variance 3 for each channel.
    Errors of m by a share ε therefore are errors of y by ε √v, v = Σ_p A_po² ‖G_p‖² ‖B_p‖² / 3,
    on average over the four outputs o. Along both axes this happens twice: ε v.

    Before it is multiplied by v, ε is that of a sum over the channels, of the kernels' rounding,
    and of sums of 36 terms on the way into the domain of m and out of it.
    """
    return _amplification() * summed(channels + 2 + 36 + 36, dtype)


def _amplification() -> float:
    A, G = _powers(4), _powers(3)
    B = np.linalg.inv(_powers(6)).T
    spread = np.square(G).sum(1) * np.square(B).sum(1)
    return float((np.square(A).T @ spread).mean() / 3)


def _powers(count: int) -> np.ndarray:
    """Powers 0 to count - 1 of the points, (6, count), and of ∞ the highest alone."""
    return np.vstack((np.vander(_POINTS, count, increasing=True), np.eye(count)[-1:]))


def by_convolutions(network: nn.Module, dtype: torch.dtype) -> float:
    """The error of a network's convolutions one after the other, the 3x3 ones by Winograd or not.

    Weights of mean zero make as much of an error as of the signal, a ReLU cuts both in half, and a
    maximum keeps more of the signal. So relative errors stay as they are, and add up in squares.
    """
    errors = [
        max(summed(one.weight[0].numel(), dtype), by_winograd(one.in_channels, dtype))
        if one.kernel_size == (3, 3)
        else summed(one.weight[0].numel(), dtype)
        for one in network.modules()
        if isinstance(one, nn.Conv2d)
    ]
    return math.hypot(*errors)


def by_switches(network: nn.Module, error: float) -> float:
    """The error of a gradient through ReLUs and maxima whose inputs have such an error.

    A normal variable and one that is correlated with it by ρ differ in sign with a probability of
    arccos(ρ) / π (Sheppard), which for a relative error ε is ε / π. Half the units of a ReLU are
    active, so 2 ε / π of the gradient's energy comes or goes. The greatest of four or nine gives
    way to the second with a probability below ε, and then twice the energy changes. Either is at
    most 2 ε, and the norm is the square root of the energy. A ReLU follows each convolution.
    """
    kinks = sum(isinstance(one, nn.Conv2d | nn.MaxPool2d) for one in network.modules())
    return math.sqrt(kinks * 2 * error)
