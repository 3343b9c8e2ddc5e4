"""The file of measurements: safetensors with one key of JSON, and errors that name the file."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from invprob.errors import FileError, MeasurementError
from invprob.files import file_error

KEY = "invprob-measurements"  # one key, because safetensors does not keep the order of several

_FIELDS: dict[str, type | tuple[type, ...]] = {
    "image_shape": list,
    "operator": dict,
    "fingerprint": str,
    "noise": (dict, type(None)),
    "seed": int,
    "record": dict,
}


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


def checked_parts(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Tensor:
    """The values of a file; raises `MeasurementError` where a part is missing or wrong."""
    missing = [name for name in _FIELDS if name not in about]
    missing += [] if "values" in tensors else ["values"]
    if missing:
        raise MeasurementError(f"it lacks {', '.join(missing)}; measure again")
    for name, kind in _FIELDS.items():
        if not isinstance(about[name], kind):
            raise MeasurementError(f"its {name} is {about[name]!r}; measure again")
    values = tensors["values"]
    if values.dtype != torch.float32:
        raise MeasurementError(f"values must be float32, got {values.dtype}")
    return values


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
