"""What a user gives as measurements: real and finite numbers of the operator's shape."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from invprob.errors import MeasurementError
from invprob.operators.base import Operator


def real_numbers(array: Tensor | ArrayLike) -> Tensor:
    """An array as a tensor, float64 where it was none; raises `MeasurementError` if not real."""
    if not isinstance(array, Tensor):
        try:
            numbers = np.asarray(array)
        except ValueError as error:
            raise MeasurementError(f"measurements must be one array of numbers: {error}") from error
        if numbers.dtype.kind not in "buifc":
            raise MeasurementError(f"measurements must be numbers, got {numbers.dtype} elements")
        double = np.complex128 if numbers.dtype.kind == "c" else np.float64
        array = torch.from_numpy(numbers.astype(double))
    if array.is_complex():
        raise MeasurementError(
            "measurements must be real; give complex ones a last axis of 2, by "
            "torch.view_as_real(y) or numpy.stack([y.real, y.imag], -1)"
        )
    return array


def check_finite(values: Tensor) -> None:
    """Raise `MeasurementError` for numbers that are NaN or infinite."""
    if not bool(values.isfinite().all()):
        count = int((~values.isfinite()).sum())
        raise MeasurementError(
            f"{count} of {values.numel()} measurements are NaN or infinite; "
            "from_array(*invprob.operators.without_missing(values, operator)) leaves them out"
        )


def check_shape(values: Tensor, operator: Operator) -> None:
    """Raise `MeasurementError` unless a batch of measurements has the shape of an operator's."""
    shape = operator.measurement_shape
    if tuple(values.shape[1:]) != shape or values.ndim == 0:
        raise MeasurementError(
            f"{operator!r} makes measurements of shape {shape}, or (batch, {str(shape)[1:]} for "
            f"several images; got {tuple(values.shape)}"
        )
    if len(values) == 0:
        raise MeasurementError("there are no measurements: the batch is empty")
