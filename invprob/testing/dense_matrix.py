"""The matrix of a small linear operator and its singular values, which laws are checked against."""

import copy
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.operators.base import Operator

_COLUMNS = 256  # basis images measured at once
NEGLIGIBLE = 1e-10  # singular values below this share of the largest count as zero
SMALL = 1e-3  # below this share of the largest, rounding drowns what a singular value determines


@checked
@undisturbed()
def dense(operator: Operator) -> Tensor:
    """The matrix of a small linear operator.

    Args:
        operator: a linear operator with images of a few thousand elements at most.

    Returns:
        (measurement elements, image elements) in float64, on the CPU.
    """
    double = copy.deepcopy(operator).to("cpu", torch.float64)
    elements = math.prod(operator.image_shape)
    columns = []
    with torch.no_grad():
        for first in range(0, elements, _COLUMNS):
            rows = min(_COLUMNS, elements - first)
            basis = torch.zeros(rows, elements, dtype=torch.float64, device="cpu")
            basis[:, first:].fill_diagonal_(1)
            columns.append(double(basis.view(-1, *operator.image_shape)).flatten(1))
    return torch.cat(columns).T


@dataclass(frozen=True)
class _Block:
    rows: Tensor
    columns: Tensor
    left: Tensor
    values: Tensor
    right: Tensor


class Decomposition:
    """The singular value decomposition of a matrix, block by block.

    Rows and columns that no element joins are decomposed separately, which gives the same with much
    less work: an operator that treats channels alike falls into one block for each channel.
    """

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix
        self._blocks = [_decomposed(matrix, rows, columns) for rows, columns in _apart(matrix)]

    @functools.cached_property
    def norm(self) -> float:
        """The largest singular value."""
        return max((float(block.values[0]) for block in self._blocks), default=0.0)

    def pinv(self, measurement: Tensor) -> Tensor:
        """A⁺y of flattened measurements (batch, rows): (batch, columns)."""
        image = measurement.new_zeros(len(measurement), self.matrix.shape[1])
        for block in self._blocks:
            kept = block.values > NEGLIGIBLE * self.norm
            shares = measurement[:, block.rows] @ block.left[:, kept] / block.values[kept]
            image[:, block.columns] = shares @ block.right[kept]
        return image

    def well_determined(self, measurement: Tensor) -> Tensor:
        """Flattened measurements without the components that belong to small singular values.

        Their A⁺y is small and well determined, however badly conditioned the matrix is.
        """
        kept = measurement.clone()
        for block in self._blocks:
            weak = block.left[:, block.values < SMALL * self.norm]
            kept[:, block.rows] -= measurement[:, block.rows] @ weak @ weak.T
        return kept


def _decomposed(matrix: Tensor, rows: Tensor, columns: Tensor) -> _Block:
    part = matrix[rows][:, columns]
    left, values, right = torch.linalg.svd(part, full_matrices=False)
    return _Block(rows, columns, left, values, right)


def _apart(matrix: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows and columns of each block; those that hold zeros only belong to none."""
    height, width = matrix.shape
    row, column = np.nonzero(matrix.numpy())
    joined = coo_array(
        (np.ones(len(row), dtype=np.int8), (row, height + column)), shape=(height + width,) * 2
    )
    _, label = connected_components(joined, directed=False)
    order = np.argsort(label, kind="stable")
    ends = np.flatnonzero(np.diff(label[order])) + 1
    for members in np.split(order, ends):
        rows, columns = members[members < height], members[members >= height] - height
        if len(rows) and len(columns):
            yield torch.from_numpy(rows), torch.from_numpy(columns)
