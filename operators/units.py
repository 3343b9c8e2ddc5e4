"""Units of a measurement: which of its numbers can only be left out together.

`Operator.units` labels every number of a measurement. The functions here make such labels.
"""

import torch
from torch import Tensor

from invprob.indices import indices
from invprob.operators.base import Operator
from invprob.operators.observed import changes_of
from invprob.types import Shape

NEVER = -1  # the label of numbers that are never left out

_FAINT = 1e-5  # change, as a share of the largest, below which a number counts as constant


def numbers(shape: Shape) -> Tensor:
    """Each number by itself."""
    return indices(torch.Size(shape).numel()).view(shape)


def pixels(shape: Shape) -> Tensor:
    """The pixels of a picture (channel, height, width), all channels together.

    In any other shape each number stands by itself.
    """
    return blocks(shape, 1) if len(shape) == 3 else numbers(shape)


def blocks(shape: Shape, side: int) -> Tensor:
    """Blocks of side x side pixels of a picture (channel, height, width), all channels together."""
    _, height, width = shape
    rows, columns = indices(height) // side, indices(width) // side
    across = int(columns[-1]) + 1
    return (rows[:, None] * across + columns).expand(shape).clone()


def along(shape: Shape, axis: int, labels: Tensor) -> Tensor:
    """One label for all that lies at one place of an axis.

    Args:
        shape: shape of a measurement.
        axis: the axis.
        labels: the label of each place of the axis, (length,).

    Returns:
        Labels of the measurement's shape.
    """
    others = [1] * len(shape)
    others[axis] = -1
    return labels.view(others).expand(shape).clone()


def where_observed(labels: Tensor, operator: Operator) -> Tensor:
    """The labels, and `NEVER` for numbers that are the same whatever the image.

    They are found by measuring a few images. Such numbers would judge nothing.
    """
    return torch.where(depends(operator), labels, NEVER)


def depends(operator: Operator) -> Tensor:
    """Which numbers of a measurement depend on every image: bool, (measurement_shape)."""
    changes = changes_of(operator, len(operator.observed()), torch.float32)
    return torch.stack([change > _FAINT * change.max() for change in changes]).all(0)
