"""An array in a file, of which no more is read than is asked for, and never too much."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from invprob.errors import FileError

MOST_BYTES = 2**29  # of what is read at once

Array: TypeAlias = NDArray[Any]
Index: TypeAlias = tuple[int | slice, ...]


class Stored(ABC):
    """An array in a file.

    Args:
        name: what it is called in the file, or the file's name where it is the only one.
        shape: its shape.
        dtype: that of its numbers, after reading.

    Raises:
        FileError: it does not hold numbers.
    """

    def __init__(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        if dtype.kind not in "biufc":
            raise FileError(
                f"{name!r} holds {dtype} elements, not numbers; save plain numbers without pickling"
            )
        self.name, self.shape, self.dtype = name, tuple(shape), dtype

    @abstractmethod
    def _read(self, index: Index) -> Array:
        """The numbers at an index, which has an entry for each axis."""

    @property
    def many(self) -> int:
        """How many axes are longer than 1."""
        return sum(length > 1 for length in self.shape)

    def part(self, at: Mapping[int, int] | None = None) -> Array:
        """Read the array, or a part of it.

        Args:
            at: for some of the axes the index that is read. These axes are dropped.

        Returns:
            The numbers, with the other axes in their order.

        Raises:
            FileError: the part is larger than `MOST_BYTES`.
        """
        at = at or {}
        index = tuple(at.get(axis, slice(None)) for axis in range(len(self.shape)))
        size = [length for axis, length in enumerate(self.shape) if axis not in at]
        check_bytes(self.name, size, self.dtype)
        return np.ascontiguousarray(self._read(index))


class Loaded(Stored):
    """An array that lies in memory, or is mapped into it."""

    def __init__(self, name: str, values: Array) -> None:
        super().__init__(name, values.shape, values.dtype)
        self._values = values

    def _read(self, index: Index) -> Array:
        return np.array(self._values[index])


class Reversed(Stored):
    """An array whose axes are in the opposite order in the file."""

    def __init__(self, stored: Stored) -> None:
        super().__init__(stored.name, stored.shape[::-1], stored.dtype)
        self._stored = stored

    def _read(self, index: Index) -> Array:
        return self._stored._read(index[::-1]).T


def check_bytes(name: str, shape: list[int] | tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise `FileError` where an array of this shape would take more than `MOST_BYTES`."""
    size = math.prod(shape) * dtype.itemsize
    if size > MOST_BYTES:
        raise FileError(
            f"{name!r} would take {size / 2**20:,.0f} MiB of memory with its shape "
            f"{tuple(shape)}, at most {MOST_BYTES >> 20} are read; choose a part (--slice N), or "
            "cut the array"
        )
