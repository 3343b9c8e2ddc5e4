"""Arrays in HDF5 files, and in those that MATLAB writes since version 7.3, which are HDF5."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from invprob.errors import FileError, InvprobError
from invprob.files import file_error
from invprob.formats.stored import Array, Index, Reversed, Stored, check_bytes
from invprob.version import install_command

if TYPE_CHECKING:
    import h5py

MAGIC = b"\x89HDF\r\n\x1a\n"
_PAIRS = (("r", "i"), ("real", "imag"))


class Dataset(Stored):
    """An array of an HDF5 file; only the part that is asked for is read from it."""

    def __init__(self, dataset: "h5py.Dataset") -> None:
        name = str(dataset.name).lstrip("/")
        if dataset.is_virtual or dataset.external:
            raise FileError(
                f"{name!r} keeps its numbers in other files, which are not read; copy them into one"
            )
        if dataset.chunks is not None:
            check_bytes(name, dataset.chunks, dataset.dtype)
        super().__init__(name, dataset.shape, _read_as(dataset.dtype))
        self._dataset = dataset

    def _read(self, index: Index) -> Array:
        values = self._dataset[index]
        if values.dtype.names is None:
            return np.asarray(values)
        real, imaginary = values.dtype.names
        pairs: Array = (values[real] + 1j * values[imaginary]).astype(self.dtype)
        return pairs


def dataset_of(place: "h5py.File | h5py.Group", name: str) -> "h5py.Dataset":
    """The dataset of a name.

    Raises:
        FileError: what has that name is no dataset.
    """
    import h5py

    found = place[name]
    if not isinstance(found, h5py.Dataset):
        raise FileError(f"{name!r} is no dataset of the HDF5 file, but a {type(found).__name__}")
    return found


def _read_as(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Pairs of numbers, as MATLAB stores complex ones, become complex."""
    if dtype.names not in _PAIRS:
        return dtype
    single = all(dtype[part].itemsize <= 4 for part in dtype.names)
    return np.dtype(np.complex64 if single else np.complex128)


@contextmanager
def open_file(path: Path) -> Iterator["h5py.File"]:
    """An HDF5 file for reading.

    Raises:
        FileError: h5py is not installed, or the file is damaged.
    """
    try:
        import h5py
    except ImportError as error:
        raise FileError(
            f"{str(path)!r} is an HDF5 file, which needs the package h5py: "
            f"{install_command('scanners')}"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InvprobError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise file_error(path, error, "read") from error
        raise FileError(f"{str(path)!r} is a damaged HDF5 file: {_brief(error)}") from error
    except (KeyError, RuntimeError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise FileError(f"{str(path)!r} is a damaged HDF5 file: {_brief(error)}") from error


def arrays_of(file: "h5py.File") -> Mapping[str, Stored]:
    """The arrays of numbers in a file by name; links to other files are not followed."""
    import h5py

    found: dict[str, Stored] = {}
    columns_first = is_matlab(file)

    def take(name: str, item: Any) -> None:
        numbers = isinstance(item, h5py.Dataset) and _read_as(item.dtype).kind in "biufc"
        if numbers and item.shape and not name.startswith("#"):
            stored = Dataset(item)
            found[name] = Reversed(stored) if columns_first else stored

    file.visititems(take)
    return found


def is_matlab(file: "h5py.File") -> bool:
    """Whether MATLAB wrote a file: it puts the last axis first."""
    return any("MATLAB_class" in item.attrs for item in file.values())


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
