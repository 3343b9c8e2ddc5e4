"""Arrays in MATLAB files up to version 7.2; later ones are HDF5."""

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from invprob.errors import FileError, InvprobError
from invprob.files import file_error
from invprob.formats.scan import in_a_line
from invprob.formats.stored import MOST_BYTES, Array, Index, Stored, check_bytes

MAGIC = b"MATLAB 5.0 MAT-file"
# MAT-File Format, MathWorks, section "Level 5 MAT-File Format".
_HEADER, _TAG, _COMPRESSED = 128, 8, 15
_FLAGS, _COMPLEX = 8, 0x0800  # where a variable has its flags
_START, _BLOCK = 512, 1 << 20
_NUMBERS = {
    **{kind: kind for kind in ("int8", "uint8", "int16", "uint16", "int32", "uint32")},
    **{"int64": "int64", "uint64": "uint64", "logical": "uint8"},
    **{"single": "float32", "double": "float64"},
}


class _Variable(Stored):
    """A variable of a file. It is read whole, as MATLAB wrote it."""

    def __init__(self, path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        super().__init__(name, shape, dtype)
        self._path = path

    def _read(self, index: Index) -> Array:
        from scipy.io import loadmat

        check_bytes(self.name, self.shape, self.dtype)
        with self._path.open("rb") as file:
            values: Array = loadmat(file, variable_names=[self.name])[self.name]
        return values[index]


@contextmanager
def open_matlab(path: Path) -> Iterator[Mapping[str, Stored]]:
    """The numeric variables of a file by name; structures, cells and objects are passed over.

    Raises:
        FileError: the file is damaged, or unpacks to more than is read.
    """
    from scipy.io import whosmat

    try:
        pairs = _complex(path)
        with path.open("rb") as file:
            listed = whosmat(file)
        yield {
            name: _Variable(path, name, tuple(shape), _dtype(kind, name in pairs))
            for name, shape, kind in listed
            if kind in _NUMBERS
        }
    except InvprobError:
        raise
    except OSError as error:
        raise file_error(path, error, "read") from error
    except Exception as error:  # SciPy reads variables within; a damaged one raises nearly anything
        raise FileError(f"{str(path)!r} is a damaged MATLAB file: {in_a_line(error)}") from error


def _dtype(kind: str, pairs: bool) -> np.dtype[Any]:
    """That of a variable of MATLAB's class; complex ones are read as such."""
    if pairs:
        return np.dtype(np.complex64 if kind == "single" else np.complex128)
    return np.dtype(_NUMBERS[kind])


def _complex(path: Path) -> set[str]:
    """Which variables are complex, which SciPy tells only after reading.

    All of them are unpacked, block by block and without keeping anything.

    Raises:
        FileError: one unpacks to more than is read.
    """
    found: set[str] = set()
    with path.open("rb") as file:
        order: Any = "little" if file.read(_HEADER)[126:128] == b"IM" else "big"
        while len(tag := file.read(_TAG)) == _TAG:
            kind, size = (int.from_bytes(tag[at : at + 4], order) for at in (0, 4))
            if kind == _COMPRESSED:
                start = _unpacked(file, size)[_TAG:]
            else:
                start = file.read(min(size, _START))
                file.seek(size - len(start), 1)
            if len(start) > _FLAGS and int.from_bytes(start[_FLAGS : _FLAGS + 4], order) & _COMPLEX:
                found.add(_name(start, order))
    return found


def _unpacked(file: IO[bytes], size: int) -> bytes:
    """The start of a packed variable of so many bytes; all of it is unpacked and counted."""
    unpacker, start, total = zlib.decompressobj(), b"", 0
    while size > 0 and (packed := file.read(min(size, _BLOCK))):
        size -= len(packed)
        while packed:
            block = unpacker.decompress(packed, _BLOCK)
            start += block[: max(0, _START - len(start))]
            total += len(block)
            packed = unpacker.unconsumed_tail
            if total > MOST_BYTES:
                raise FileError(
                    f"{file.name!r}: a variable unpacks to more than {MOST_BYTES >> 20} MiB; save "
                    "a part of it, or with -v7.3"
                )
    return start


def _name(start: bytes, order: Any) -> str:
    """The name of a variable, behind its flags and its lengths."""
    at = 2 * _TAG
    lengths = int.from_bytes(start[at + 4 : at + 8], order)
    at += _TAG + -(-lengths // 8) * 8
    kind, count = (int.from_bytes(start[at + 4 * k : at + 4 * k + 4], order) for k in (0, 1))
    if kind >> 16:  # up to four letters stand in the tag itself
        return start[at + 4 : at + 4 + (kind >> 16)].decode("latin-1")
    return start[at + _TAG : at + _TAG + count].decode("latin-1")
