"""Arrays in NumPy's files: .npy is mapped, and of an .npz archive one array is unpacked."""

import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from invprob.errors import FileError, InvprobError
from invprob.files import file_error
from invprob.formats.stored import Array, Index, Loaded, Stored, check_bytes

_BLOCK = 1 << 20  # bytes that are skipped at once


class _Zipped(Stored):
    """An array in an archive. Its numbers are unpacked in their order, up to those asked for."""

    def __init__(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
        with archive.open(entry) as file:
            shape, self._columns_first, dtype = _header(file)
        super().__init__(entry.filename.removesuffix(".npy"), shape, dtype)
        self._archive, self._entry = archive, entry

    def _read(self, index: Index) -> Array:
        place = index[0] if index and not self._columns_first else None
        alone = isinstance(place, int)  # then what comes before it is passed over
        shape = self.shape[1:] if alone else self.shape
        check_bytes(self.name, shape, self.dtype)
        size = math.prod(shape) * self.dtype.itemsize
        with self._archive.open(self._entry) as file:
            _header(file)
            if isinstance(place, int):
                _skip(file, place * size)
            raw = file.read(size)
        if len(raw) < size:
            raise FileError(
                f"{self.name!r} ends early: its header says {self.shape}, which is more than the "
                "archive holds; save it again"
            )
        flat: Array = np.frombuffer(raw, self.dtype)
        values: Array = flat.reshape(shape[::-1]).T if self._columns_first else flat.reshape(shape)
        part: Array = values[index[1:] if alone else index]
        return part


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and dtype; nothing is unpickled."""
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"version {version} of the format is not known")
    shape, columns_first, dtype = read(file)
    if any(length < 0 for length in shape):
        raise ValueError(f"the shape {shape} is no shape")
    return shape, columns_first, dtype


def _skip(file: IO[bytes], count: int) -> None:
    while count > 0:
        got = len(file.read(min(count, _BLOCK)))
        if got == 0:
            return
        count -= got


@contextmanager
def open_npz(path: Path) -> Iterator[Mapping[str, Stored]]:
    """The arrays of an .npz archive by name; nothing is unpacked until it is read.

    Raises:
        FileError: it is no such archive, or an entry is no array of numbers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [one for one in archive.infolist() if one.filename.endswith(".npy")]
            yield {one.name: one for one in (_Zipped(archive, entry) for entry in entries)}
    except InvprobError:
        raise
    except NotImplementedError as error:  # which is a RuntimeError
        raise FileError(f"{str(path)!r} is packed by an unknown method: {error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        # RuntimeError: it is encrypted.
        raise FileError(f"{str(path)!r} is no archive of arrays (.npz): {error}") from error
    except OSError as error:
        raise file_error(path, error, "read") from error


@contextmanager
def open_npy(path: Path) -> Iterator[Mapping[str, Stored]]:
    """The one array of an .npy file, mapped into memory; pickled objects are refused.

    Raises:
        FileError: it is no array file, or holds less than its header says.
    """
    try:
        with path.open("rb") as file:
            shape, _, dtype = _header(file)
            size, held = math.prod(shape) * dtype.itemsize, path.stat().st_size - file.tell()
        if dtype.hasobject:
            raise FileError(
                f"{path.name!r} holds pickled objects, which are not read; save plain numbers"
            )
        if size > held:
            raise FileError(
                f"{path.name!r} ends early: its header says {shape}, which takes {size:,} bytes, "
                f"and {held:,} are there; save it again"
            )
        empty = size == 0 or not shape  # neither can be mapped
        values = np.load(path, mmap_mode=None if empty else "r", allow_pickle=False)
    except FileError:
        raise
    except OSError as error:
        raise file_error(path, error, "read") from error
    except (ValueError, EOFError) as error:
        raise FileError(f"{str(path)!r} is not a NumPy array file (.npy): {error}") from error
    yield {path.stem: Loaded(path.name, values)}
