"""Measurements of which some are missing: dead detector pixels, samples that were never taken."""

from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from invprob.arrays import Contents, carry, read_array
from invprob.calls import checked
from invprob.errors import ArgumentError, ShapeError
from invprob.operators.base import Operator
from invprob.operators.checks import checked_shape
from invprob.operators.composition import compose
from invprob.operators.masks import Masked
from invprob.operators.units import NEVER, numbers
from invprob.registry import register
from invprob.types import Measured, Shape


@register.operator("element-mask")
class ElementMask(Masked):
    """Show the elements that a mask names, each by itself.

        y[i] = x[i] where mask[i] is 1, else 0

    As the outermost operator of a chain it says which measurements are missing: dead pixels of a
    detector, or samples of k-space that were not taken. The mask has the shape of what it is
    applied to. `mask` is for pictures, the same in all channels.

    Raises:
        ArgumentError: the mask has another number of elements, holds something else than zeros and
            ones, or shows nothing.
    """

    def __init__(
        self,
        image_shape: Shape,
        mask: Annotated[
            Contents, "zeros (missing) and ones (measured), an array or a .npy file of the shape"
        ],
    ) -> None:
        shape = checked_shape("image_shape", image_shape)
        values = read_array("mask", mask)
        count = int(np.prod(shape))
        if values.size != count or (values.ndim > 1 and values.shape != shape):
            raise ArgumentError(
                f"mask has the shape {values.shape}, but it must be {shape}, that of what is "
                "masked; give one zero or one for each element"
            )
        if not np.isin(values, (0, 1)).all():
            raise ArgumentError("mask must hold zeros (missing) and ones (measured) alone")
        if not values.any():
            raise ArgumentError("mask shows no element: it is zero everywhere")
        seen = values.astype(bool).reshape(shape)
        self._mask = carry(seen.ravel().astype(float))
        super().__init__(shape, torch.from_numpy(seen))

    def carried(self) -> dict[str, str]:
        """The mask itself, so that it can be rebuilt where its file is not."""
        return {"mask": self._mask}

    def units(self) -> Tensor:
        """The elements that are shown, each by itself."""
        return torch.where(self.seen.cpu(), numbers(self.measurement_shape), NEVER)

    @classmethod
    def illustration(cls, image_shape: Shape) -> "ElementMask":
        """Every third row is missing."""
        mask = np.ones(checked_shape("image_shape", image_shape))
        mask[..., ::3, :] = 0
        return cls(image_shape, mask=mask)

    @classmethod
    def example(cls) -> "ElementMask":
        """Two dead pixels of 1 x 4 x 4 ones."""
        mask = np.ones((1, 4, 4))
        mask[0, 1, 2] = mask[0, 3, 0] = 0
        return cls((1, 4, 4), mask=mask)


@checked
def without_missing(array: Tensor | ArrayLike, operator: Operator) -> tuple[Measured, Operator]:
    """Take measurements that are NaN, infinite or masked as missing.

    Args:
        array: (batch, *measurement_shape), or the measurement shape alone. NaN, infinity and what a
            `numpy.ma` array masks are missing; of several images the same.
        operator: what would measure all of them.

    Returns:
        The measurements with 0 in place of what is missing, float64, (batch, *measurement_shape),
        and the operator behind an `ElementMask`; the operator itself where nothing is missing.

    Raises:
        ShapeError: the array has another shape.
        ArgumentError: it holds no real numbers, everything is missing, or each image misses
            something else.
    """
    values = _with_nan(array)
    shape = operator.measurement_shape
    if tuple(values.shape) == shape:
        values = values[None]
    if values.ndim == 0 or tuple(values.shape[1:]) != shape or len(values) == 0:
        raise ShapeError(
            f"measurements of shape {tuple(values.shape)} are not those of the operator, "
            f"(batch, {', '.join(map(str, shape))})"
        )
    seen = values.isfinite()
    filled = torch.where(seen, values, 0.0)
    if bool((seen | ~operator.observed()).all()):
        return filled, operator
    if not bool((seen == seen[:1]).all()):
        raise ArgumentError(
            "each image misses other measurements; take them in one by one, and join the operators "
            "by invprob.operators.each"
        )
    if not bool(seen.any()):
        raise ArgumentError("there are no measurements: all of them are missing")
    mask = ElementMask(shape, mask=seen[0].double())
    return filled, compose([mask, operator])


def _with_nan(array: Tensor | ArrayLike) -> Tensor:
    """Real numbers in float64, NaN where they are masked."""
    if isinstance(array, Tensor):
        array = array.detach().cpu().resolve_conj().resolve_neg().numpy()
    try:
        numbers: Any = np.ma.asarray(array)
    except ValueError as error:
        raise ArgumentError(f"array must be one array of numbers: {error}") from error
    if numbers.dtype.kind not in "buif":
        raise ArgumentError(
            f"array must hold real numbers, got {numbers.dtype}; give complex ones a last axis of "
            "2, by numpy.stack([y.real, y.imag], -1)"
        )
    return torch.from_numpy(numbers.astype(np.float64).filled(np.nan))
