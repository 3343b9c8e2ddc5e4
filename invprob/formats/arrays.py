"""Arrays as images: NumPy files and datasets of HDF5 files. Only the slice asked for is read."""

import itertools
import json
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from invprob.errors import ArgumentError, FileError
from invprob.files import atomic_write
from invprob.formats.scan import (
    Derivation,
    Placement,
    Planes,
    Scan,
    Selection,
    Writer,
    check_size,
    in_a_line,
    missing,
    pick,
    real_values,
)
from invprob.formats.window import Window

NUMPY_TAKES = ("window", "plane", "index")
HDF5_TAKES = ("window", "plane", "index", "dataset")
_MOST_CHUNK = 1 << 29  # bytes of one compressed chunk of an HDF5 file


def read_numpy(path: Path, selection: Selection) -> Scan:
    """Read a slice of an .npy file.

    Args:
        path: rows and columns; with three channels first or last; or a stack of slices.
        selection: the window, and the plane and index of the slice.

    Raises:
        FileError: the file is no such array.
        ArgumentError: the plane is none of an array's.
    """
    try:
        with path.open("rb"):  # so that a missing file is told as such
            array = np.lib.format.open_memmap(path, mode="r")
    except OSError:
        raise
    except (ValueError, EOFError) as error:
        raise FileError(
            f"{str(path)!r} is no array of NumPy, or a part of one: {in_a_line(error)}"
        ) from None
    planes, part = _slice(repr(str(path)), array, selection)
    return _scan("NumPy", planes, part, array.dtype, NumpyWriter())


def read_hdf5(path: Path, selection: Selection) -> Scan:
    """Read a slice of a dataset of an HDF5 file.

    Args:
        path: the file.
        selection: the window, the dataset, and the plane and index of the slice. A file with only
            one dataset of rows and columns needs no name.

    Raises:
        FileError: the file or the dataset is none of images.
        ArgumentError: the plane is none of an array's.
    """
    name = repr(str(path))
    try:
        import h5py
    except ImportError as error:
        raise missing(name, "HDF5", "h5py", "scanners", error) from None
    try:
        with h5py.File(path, "r") as file:
            found = _dataset(name, file, selection.dataset)
            called = f"{name}, {found.name},"
            if found.dtype.kind not in "biuf":
                raise FileError(f"{called} holds {found.dtype}, but an image has real numbers")
            planes, part = _slice(called, _Checked(called, found), selection)
            return _scan("HDF5", planes, part, found.dtype, Hdf5Writer(str(found.name)))
    except FileError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise FileError(f"{name} cannot be read as HDF5: {in_a_line(error)}") from None


def _dataset(name: str, file: Any, asked: str | None) -> Any:
    import h5py

    if asked is not None:
        found = file.get(asked)
        if isinstance(found, h5py.Dataset):
            return found
    listed: list[str] = []

    def note(key: str, one: object) -> None:
        if isinstance(one, h5py.Dataset) and one.ndim >= 2 and one.dtype.kind in "biuf":
            listed.append(key)

    file.visititems(note)
    if asked is None and len(listed) == 1:
        return file[listed[0]]
    if not listed:
        raise FileError(f"{name} holds no dataset of rows and columns")
    some = ", ".join(listed[:8]) + (", ..." if len(listed) > 8 else "")
    wrong = "" if asked is None else f"no dataset {asked!r}, but "
    raise FileError(
        f"{name} holds {wrong}{some}; name one: --dataset {listed[0]} (in Python "
        f"dataset={listed[0]!r})"
    )


class _Checked:
    """A dataset of which no chunk is decoded that unpacks to more than its header says."""

    def __init__(self, name: str, dataset: Any) -> None:
        self._name, self._dataset = name, dataset
        self.shape, self.dtype, self.ndim = dataset.shape, dataset.dtype, dataset.ndim

    def __getitem__(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        chunks = self._dataset.chunks
        if chunks is not None:
            self._check(chunks, key)
        values: NDArray[Any] = self._dataset[key]
        return values

    def _check(self, chunks: tuple[int, ...], key: tuple[int | slice, ...]) -> None:
        size = math.prod(chunks) * self.dtype.itemsize
        if size > _MOST_CHUNK:
            raise FileError(
                f"{self._name} has chunks of {size:,} bytes; write it with smaller chunks"
            )
        if self._dataset.compression is None:
            return
        bound = size + size // 2 + 4096
        starts = [
            range(0, length, step) if isinstance(one, slice) else (one // step * step,)
            for one, length, step in zip(key, self.shape, chunks, strict=True)
        ]
        for start in itertools.product(*starts):
            stored = self._dataset.id.get_chunk_info_by_coord(start)
            if stored.size > bound:
                raise self._bomb()
            if self._dataset.compression == "gzip" and 1100 * stored.size > bound:
                _, packed = self._dataset.id.read_direct_chunk(start)
                if stored.filter_mask == 0 and inflates_beyond(packed, bound):
                    raise self._bomb()

    def _bomb(self) -> FileError:
        return FileError(f"{self._name} unpacks to more than its header says; it is damaged")


def inflates_beyond(packed: bytes, bound: int, bits: int = zlib.MAX_WBITS) -> bool:
    """Whether a deflated stream has more bytes than a bound; they are not kept.

    Args:
        packed: the stream.
        bound: the most bytes it may have.
        bits: zlib's `wbits`.
    """
    stream, rest, total = zlib.decompressobj(bits), packed, 0
    while rest and not stream.eof:
        total += len(stream.decompress(rest, 1 << 20))
        rest = stream.unconsumed_tail
        if total > bound:
            return True
    return False


def _slice(name: str, array: Any, selection: Selection) -> tuple[Planes, str]:
    """The planes of a slice, and which part of the array it is, in words."""
    shape = tuple(array.shape)
    if array.dtype.kind not in "biuf":
        real_values(name, np.empty(0, array.dtype))
    cut = selection.plane is not None or selection.index is not None
    if len(shape) == 2 and not cut:
        check_size(name, *shape)
        return real_values(name, array[:, :])[None], ""
    if len(shape) == 3 and not cut and 3 in (shape[0], shape[2]):
        first = shape[0] == 3
        check_size(name, *(shape[1:] if first else shape[:2]))
        values = real_values(name, array[:, :, :])
        return (values if first else np.moveaxis(values, -1, 0)), ""
    if len(shape) != 3:
        raise FileError(
            f"{name} has the shape {shape}, but an image has rows and columns, three channels "
            "besides, or is one slice of a stack of them; save such a part of it"
        )
    axis = _axis(name, selection.plane)
    at = pick(name, f"slices along axis {axis}", "index", shape[axis], selection.index)
    check_size(name, *(length for other, length in enumerate(shape) if other != axis))
    key: list[int | slice] = [slice(None)] * 3
    key[axis] = at
    part = f"slice {at} of 0 to {shape[axis] - 1} along axis {axis}"
    return real_values(name, array[tuple(key)])[None], part


def _axis(name: str, asked: str | None) -> int:
    if asked is None:
        return 0
    if asked not in ("0", "1", "2"):
        raise ArgumentError(
            f"plane={asked} is not for {name}: an array does not say how a body lies in it; write "
            "0, 1 or 2"
        )
    return int(asked)


def _scan(kind: str, planes: Planes, part: str, dtype: Any, writer: Writer) -> Scan:
    whole = dtype.kind == "b" or dtype == np.uint8
    top = 1.0 if dtype.kind == "b" else 255.0
    proposed = Window(0.0, top, "the range of the file's numbers") if whole else None
    return Scan(kind, planes, writer, proposed=proposed, part=part)


@final
@dataclass(frozen=True)
class NumpyWriter(Writer):
    """Writes float32 arrays of the form that is read: rows and columns, colours last."""

    suffix = ".npy"

    def write(self, path: Path, planes: Planes, place: Placement, derivation: Derivation) -> None:
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.save(file, _rows_and_columns(planes), allow_pickle=False)


@final
@dataclass(frozen=True)
class Hdf5Writer(Writer):
    """Writes the dataset that was read, with the derivation and the placement as attributes.

    Args:
        dataset: its name.
    """

    dataset: str
    suffix = ".h5"

    def write(self, path: Path, planes: Planes, place: Placement, derivation: Derivation) -> None:
        import h5py

        with atomic_write(path) as temporary, h5py.File(temporary, "w") as file:
            written = file.create_dataset(self.dataset, data=_rows_and_columns(planes))
            written.attrs["derivation"] = derivation.sentence()
            written.attrs["window"] = json.dumps(derivation.window.to_json())
            written.attrs["placement"] = json.dumps(vars(place))


def _rows_and_columns(planes: Planes) -> NDArray[np.float32]:
    """(rows, columns), or (rows, columns, 3)."""
    values = planes[0] if len(planes) == 1 else np.moveaxis(planes, 0, -1)
    return np.ascontiguousarray(values, np.float32)
