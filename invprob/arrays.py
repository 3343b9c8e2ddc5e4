"""Small arrays as arguments: read once from a file, and kept as text in a spec from then on.

A file of measurements is opened on machines that have neither the mask nor the kernel with which it
was made. So an operator reads its array when it is built, and its spec holds what was read.
"""

import base64
import binascii
import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from invprob.errors import ArgumentError, FileError
from invprob.files import file_error

# What a constructor takes: the name of a file, a text that `carry` wrote, nested lists, an array,
# a tensor.
Contents: TypeAlias = str | os.PathLike[str] | Sequence[Any] | NDArray[Any] | Tensor
Plane: TypeAlias = NDArray[np.float64]

REC_601 = (0.299, 0.587, 0.114)  # what red, green and blue contribute to grey
_CARRIED = re.compile(
    r"array:(bits|float32|float64):(\d{1,9}(?:x\d{1,9}){0,3}):([A-Za-z0-9+/]*={0,2})"
)
_SIZES = {"float32": 4, "float64": 8}


def read_plane(name: str, source: Contents) -> Plane:
    """Read rows and columns of finite numbers.

    Args:
        name: the name of the argument, for messages.
        source: a `.npy` file; a picture (PNG, TIFF, WebP, JPEG), whose colours are mixed to grey
            values from 0 (black) to 1 (white); nested lists, or a text such as "[[0, 1], [1, 0]]";
            an array or a tensor; or a text that `carry` wrote.

    Returns:
        The numbers, (rows, columns) in float64.

    Raises:
        ArgumentError: the file is missing or unreadable, the array is empty or has other than two
            axes, or its values are not finite real numbers.
    """
    values = _values(name, source)
    if values.ndim != 2 or values.size == 0:
        raise ArgumentError(
            f"{name} must have rows and columns, got the shape {values.shape}; give one plane, "
            "such as [[0, 1], [1, 0]]"
        )
    if values.dtype.kind not in "biuf":
        raise ArgumentError(f"{name} must hold real numbers, got {values.dtype}")
    plane = np.asarray(values, np.float64)
    _check_finite(name, plane)
    return plane


def read_array(name: str, source: Contents) -> NDArray[Any]:
    """Read finite numbers of any shape, real or complex.

    Args:
        name: the name of the argument, for messages.
        source: what `read_plane` takes.

    Returns:
        The numbers in their own dtype, at least one.

    Raises:
        ArgumentError: the file is missing or unreadable, or the array is empty or holds something
            else than finite numbers.
    """
    values = _values(name, source)
    if values.dtype.kind not in "biufc":
        raise ArgumentError(f"{name} must hold numbers, got {values.dtype}")
    if values.size == 0:
        raise ArgumentError(f"{name} is empty: its shape is {values.shape}")
    _check_finite(name, values)
    return values


def carry(values: NDArray[Any]) -> str:
    """Write real numbers as a text that `read_plane` or `read_array` reads back exactly.

    Args:
        values: an array with one to four axes. Values that are all 0 or 1 take one bit each, those
            of a float32 array four bytes, all others eight.

    Returns:
        A text such as "array:bits:8x8:qlWrV69fv38=".
    """
    if np.isin(values, (0.0, 1.0)).all():
        kind, raw = "bits", np.packbits(values.astype(bool)).tobytes()
    elif values.dtype == np.float32:
        kind, raw = "float32", values.astype("<f4").tobytes()
    else:
        kind, raw = "float64", values.astype("<f8").tobytes()
    size = "x".join(map(str, values.shape))
    return f"array:{kind}:{size}:{base64.b64encode(raw).decode('ascii')}"


def size_of(text: str) -> tuple[int, ...] | None:
    """The shape of an array that `carry` wrote; None for any other text."""
    found = _CARRIED.fullmatch(text)
    return None if found is None else _shape(found[2])


def _shape(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split("x")))


def _check_finite(name: str, values: NDArray[Any]) -> None:
    bad = int(values.size - np.isfinite(values).sum())
    if bad:
        raise ArgumentError(
            f"{name} holds {bad} values that are not finite; replace NaN and infinity by numbers"
        )


def _values(name: str, source: Contents) -> NDArray[Any]:
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    return _from_text(name, source) if isinstance(source, str) else _numbers(name, source)


def _from_text(name: str, source: str) -> NDArray[Any]:
    if source.startswith("array:"):
        return _unpacked(name, source)
    if source.lstrip().startswith("["):
        try:
            return _numbers(name, json.loads(source))
        except json.JSONDecodeError as error:
            raise ArgumentError(f"{name} is no list of rows such as [[0, 1], [1, 0]]") from error
    if not Path(source).is_file():
        raise ArgumentError(
            f"{name} names {source!r}, and there is no such file; give a .npy file, a picture, or "
            "rows such as [[0, 1], [1, 0]]"
        )
    try:
        return _saved(source) if source.lower().endswith(".npy") else _picture(source)
    except OSError as error:
        error = error if isinstance(error, FileError) else file_error(source, error, "read")
        raise ArgumentError(f"{name}: {error}") from error


def _numbers(name: str, source: Any) -> NDArray[Any]:
    if isinstance(source, Tensor):
        source = source.detach().cpu().resolve_conj().resolve_neg()
    try:
        return np.asarray(source)
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"{name} must have rows of one length: {error}") from error


def _unpacked(name: str, text: str) -> NDArray[Any]:
    found = _CARRIED.fullmatch(text)
    try:
        raw = base64.b64decode(found[3], validate=True) if found else b""
    except binascii.Error:
        raw = b""
    if found is not None:
        kind, shape = found[1], _shape(found[2])
        elements = math.prod(shape)
        if kind == "bits" and len(raw) == (elements + 7) // 8:
            bits = np.unpackbits(np.frombuffer(raw, np.uint8), count=elements)
            return bits.reshape(shape)
        if kind in _SIZES and len(raw) == _SIZES[kind] * elements:
            return np.frombuffer(raw, f"<f{_SIZES[kind]}").reshape(shape)
    raise ArgumentError(f"{name} carries a damaged array; build the operator from its file again")


def _saved(path: str) -> NDArray[Any]:
    try:
        loaded: NDArray[Any] = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise FileError(
            f"{path!r} is not an array that NumPy saved without pickling; write it with "
            f"numpy.save(..., allow_pickle=False)"
        ) from error
    if not isinstance(loaded, np.ndarray):
        raise FileError(f"{path!r} holds several arrays; save one with numpy.save")
    return loaded


def _picture(path: str) -> NDArray[Any]:
    """Grey values from 0 (black) to 1 (white)."""
    from invprob.pictures import read_picture  # Pillow is loaded only where a picture is read

    picture = read_picture(path)
    if picture.white is None:
        raise FileError(f"{path!r} holds floating-point values; save them as .npy")
    if picture.alpha is not None and picture.alpha.min() < 255:
        raise FileError(
            f"{path!r} has transparent pixels, which may be holes or paper; save black and white "
            "instead. If what is transparent is hidden: "
            f"PIL.Image.open({path!r}).convert('RGBA').getchannel('A').save('mask.png')"
        )
    if picture.most() > picture.white:
        raise FileError(f"{path!r} holds values up to {picture.most():g}; save 8 or 16 bits")
    shares = [np.asarray(plane, np.float64) / picture.white for plane in picture.planes]
    grey = shares[0]
    if any(not np.array_equal(grey, other) for other in shares[1:]):
        grey = np.tensordot(REC_601, shares, 1)
    return 1 - grey if picture.inverted else grey
