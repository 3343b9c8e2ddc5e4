"""The file of measurements: safetensors with one key of JSON, and errors that name the file."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from invprob.errors import FileError, MeasurementError
from invprob.files import file_error

KEY = "invprob-measurements"  # one key, because safetensors does not keep the order of several


def read(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file; raises `FileError`."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise file_error(path, error, "read") from error


def metadata(content: bytes) -> Mapping[str, Any]:
    """The JSON of a measurements file; raises `FileError` for any other file."""
    other = "this is not a file of measurements; make one with `invprob measure`"
    if len(content) < 8 or int.from_bytes(content[:8], "little") > len(content) - 8:
        raise FileError(other)
    try:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about = json.loads(header["__metadata__"][KEY])
    except (ValueError, KeyError, TypeError):
        raise FileError(other) from None
    if not isinstance(about, dict):
        raise FileError(other)
    return about


@contextmanager
def named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Begin every message with the file's name."""
    try:
        yield
    except SafetensorError as error:
        raise FileError(f"{os.fspath(path)!r}: the file is damaged ({error})") from error
    except FileError as error:
        raise FileError(f"{os.fspath(path)!r}: {error}") from error
    except MeasurementError as error:
        raise MeasurementError(f"{os.fspath(path)!r}: {error}") from error
