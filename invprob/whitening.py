"""Measurements that are not equally good: weights, or a covariance of their noise.

Both become an operator on the left of the one that measured, so that every method honours them. It
is scaled so that the numbers keep their size on average, and the noise is scaled with them.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invprob.arrays import Contents, read_array
from invprob.calls import checked
from invprob.errors import ArgumentError
from invprob.operators.base import Operator
from invprob.operators.composition import compose
from invprob.operators.noise import GaussianNoise, Noise
from invprob.operators.observed import Observed
from invprob.operators.partial import Partial
from invprob.operators.units import NEVER
from invprob.operators.weigh import Weigh
from invprob.operators.whiten import Whiten, read_covariance
from invprob.types import Measured, Shape


class Whitened(NamedTuple):
    """Measurements of which all numbers are equally good."""

    values: Measured
    operator: Operator
    noise: Noise | None


@checked
def weighed(
    values: Measured, operator: Operator, noise: Noise | None, weights: Contents
) -> Whitened:
    """Give measurements weights: the squared residual of number i counts weights[i] times.

    Values and operator are multiplied by the roots of the weights, whose mean over what is observed
    is made 1. A weight of 0 leaves a number out.

    Args:
        values: (batch, *measurement_shape).
        operator: what measured them.
        noise: Gaussian noise of a number whose weight is 1, where it is known: number i has the
            variance sigma² / weights[i].
        weights: at least 0, of the measurement's shape, or with 1 in place of some lengths; or one
            for each unit of the operator (`Operator.units`), such as the views of CT.

    Returns:
        The weighed values, the operator and the noise.

    Raises:
        ArgumentError: the weights make no sense, or the noise is not Gaussian.
    """
    if noise is not None and not isinstance(noise, GaussianNoise):
        raise ArgumentError(f"weights are for Gaussian noise, not for {noise!r}; leave one out")
    read = read_array("weights", weights)
    if read.dtype.kind == "c" or read.min() < 0:
        raise ArgumentError("weights must be real numbers of at least 0, such as 1 / variance")
    numbers = _fitted(_per_unit(read.astype(np.float64), operator), operator.measurement_shape)
    mean = float(Observed(operator).mean(torch.from_numpy(numbers)[None])[0])
    if not mean:
        raise ArgumentError("weights are 0 wherever something is observed; leave some above 0")
    outer = Weigh(operator.measurement_shape, np.sqrt(numbers / mean))
    noise = None if noise is None else noise.scaled(1 / math.sqrt(mean))
    return _behind(outer, values, operator, noise)


@checked
def whitened(
    values: Measured, operator: Operator, noise: Noise | None, covariance: Contents
) -> Whitened:
    """Free measurements of the correlation of their noise along one axis.

    Args:
        values: (batch, *measurement_shape).
        operator: what measured them.
        noise: must be None, because the covariance says what it is.
        covariance: that of the noise of the numbers along the first axis that is as long, (n, n):
            such as numpy.cov(noise) of a scan without an object, noise of (coils, samples). It is
            complex, E[n nᴴ], where the measurements are.

    Returns:
        The white values, the operator, and white noise.

    Raises:
        ArgumentError: the covariance fits no axis, or is none; or there is other noise beside it.
    """
    if noise is not None:
        raise ArgumentError(
            f"the noise is given twice, as {noise!r} and by its covariance; leave one out"
        )
    matrix = read_covariance("covariance", covariance)
    shape = operator.measurement_shape
    if len(matrix) not in shape:
        raise ArgumentError(
            f"covariance is {len(matrix)} x {len(matrix)}, but no axis of the measurement {shape} "
            "is as long; give that of the noise along one axis, such as the coils"
        )
    variance = float(np.trace(matrix).real) / len(matrix)
    parts = np.stack([matrix.real, matrix.imag], -1) / variance
    outer = Whiten(shape, parts, shape.index(len(matrix)))
    of_one_number = variance / 2 if matrix.imag.any() else variance
    return _behind(outer, values, operator, GaussianNoise(sigma=math.sqrt(of_one_number)))


def constant(operator: Operator) -> Tensor:
    """What a detector's offset of 1 adds to a measurement: 1, weighed or whitened as it is.

    Args:
        operator: what measured.

    Returns:
        (1, *measurement_shape), float64 on the CPU.
    """
    if isinstance(operator, Partial):
        return constant(operator.whole())
    ones = torch.ones(1, *operator.measurement_shape, dtype=torch.float64, device="cpu")
    outer: list[Operator] = []
    for leaf in operator.leaves():
        if not isinstance(leaf, Weigh | Whiten):
            break
        outer.append(leaf)
    for leaf in reversed(outer):
        ones = leaf(ones)
    return ones


def _behind(outer: Operator, values: Measured, operator: Operator, noise: Noise | None) -> Whitened:
    with torch.no_grad():
        return Whitened(outer(values.double()), compose([outer, operator]), noise)


def _per_unit(weights: NDArray[np.float64], operator: Operator) -> NDArray[np.float64]:
    """Weights for each number, where there is one for each of the operator's units."""
    units = operator.units()
    if weights.ndim != 1 or units is None or len(operator.measurement_shape) == 1:
        return weights
    labels = units.numpy()
    names = np.unique(labels[labels != NEVER])
    if len(names) != len(weights):
        raise ArgumentError(
            f"weights are {len(weights)}, but the operator {operator!r} has {len(names)} units; "
            f"give one for each, or an array of the shape {operator.measurement_shape}"
        )
    places = np.searchsorted(names, np.where(labels == NEVER, names[0], labels))
    return np.where(labels == NEVER, 1.0, weights[places])


def _fitted(weights: NDArray[np.float64], shape: Shape) -> NDArray[np.float64]:
    """Weights brought to a shape: as many numbers, or lengths of 1 in some axes."""
    if weights.size == math.prod(shape):
        return weights.reshape(shape).copy()
    try:
        fits = weights.ndim == len(shape) and np.broadcast_shapes(weights.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ArgumentError(
            f"weights must have the shape {shape}, or 1 in place of some lengths, got "
            f"{weights.shape}"
        )
    return np.broadcast_to(weights, shape).copy()
