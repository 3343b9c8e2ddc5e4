"""Files of NumPy, of torch.save and of pickle as plain values. No code in them is run."""

import math
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from invprob.errors import GeneratorFileError
from invprob.priors.checkpoints import objects, torch_files
from invprob.priors.checkpoints.limits import USUAL, Limits
from invprob.priors.checkpoints.pickles import Budget, Reader, load
from invprob.priors.checkpoints.reading import size_of, told, value_of
from invprob.priors.checkpoints.spans import FileTensors, TensorRef

NPY, ZIP = b"\x93NUMPY", b"PK\3\4"


def read_values(path: Path, what: str, *, limits: Limits = USUAL) -> Any:
    """Read a file as plain values: tensors, numbers, text, and lists and dictionaries of these.

    A `.npz` file is a dictionary, and a `.npy` file that holds one object is that object.

    Args:
        path: The file.
        what: What it should be, for messages, such as "file of directions".
        limits: What the file may ask for.

    Returns:
        The value. What is none of these is an inert `Record`.

    Raises:
        GeneratorFileError: The file is damaged, or a pickle in it mentions other names than the few
            harmless ones in `objects.table`.
    """
    with told(path, what):
        size = size_of(path, what)
        with path.open("rb") as file:
            start = file.read(len(NPY))
            if start.startswith(ZIP) and _is_npz(path):
                return _arrays(path)
            if start == NPY:
                return _array(file, size, limits)
            return _read(value_of(file, size, limits, what), file, size, limits)


def _is_npz(path: Path) -> bool:
    """Whether a zip file holds arrays of NumPy; one that is cut is left to another reader."""
    try:
        with zipfile.ZipFile(path) as held:
            return any(name.endswith(".npy") for name in held.namelist())
    except zipfile.BadZipFile:
        return False


def _arrays(path: Path) -> dict[str, Tensor]:
    """The arrays of a `.npz` file by name."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: _tensor(arrays[name]) for name in arrays.files}
    except (EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise GeneratorFileError(f"damaged: {error}") from None


def _tensor(array: Any) -> Tensor:
    """An array of numbers as a tensor; the dtypes that torch lacks are a TypeError."""
    if not isinstance(array, np.ndarray):
        raise GeneratorFileError("damaged: something else stands where an array is expected")
    return torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))


def _array(file: BinaryIO, size: int, limits: Limits) -> Any:
    """The array of a `.npy` file, or the object in it."""
    file.seek(0)
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        header = np.lib.format.read_array_header_2_0
    shape, _, dtype = header(file)
    if not dtype.hasobject:
        needed, left = math.prod(shape) * dtype.itemsize, size - file.tell()
        if needed > left:
            raise GeneratorFileError(
                f"damaged or cut: an array of {needed} bytes where {left} are left"
            )
        file.seek(0)
        return _tensor(np.load(file, allow_pickle=False))
    if shape != ():
        raise GeneratorFileError(f"an array of objects of shape {shape}, not of numbers")
    source, budget = Reader(file, file.tell(), size), Budget(size, limits)
    value = load(source, budget, objects.table(budget, torch_files.nested(budget)))
    # NumPy pickles the array with a list of its one object, as the last part of its state.
    held = value.state[-1] if objects.is_array(value) else None
    if not isinstance(held, list) or len(held) != 1:
        raise GeneratorFileError("damaged: an array of one object that is not there")
    return _read(held[0], file, size, limits)


def _read(value: Any, file: BinaryIO, size: int, limits: Limits) -> Any:
    """A value with its tensors read from the file."""
    places = dict(_places(value, set()))
    refs = {str(number): ref for number, ref in enumerate(places.values())}
    with_bounds = FileTensors(file, size, refs, limits)
    tensors = dict(zip(places, (with_bounds[name] for name in refs), strict=True))
    return _resolved(value, tensors)


def _places(value: Any, seen: set[int]) -> Iterator[tuple[int, TensorRef]]:
    """The tensors in a value, by identity. What occurs twice is looked into once."""
    if id(value) in seen:
        return
    seen.add(id(value))
    place = value if isinstance(value, TensorRef) else objects.array(value)
    if place is not None:
        yield id(value), place
    elif isinstance(value, (dict, list, tuple)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _places(item, seen)


def _resolved(value: Any, made: dict[int, Any]) -> Any:
    """A value with tensors in their places; `made` grows, so that nothing is made twice."""
    if id(value) in made:
        return made[id(value)]
    result = value
    if isinstance(value, dict):
        result = {key: _resolved(item, made) for key, item in value.items()}
    elif isinstance(value, (list, tuple)):
        result = [_resolved(item, made) for item in value]
    made[id(value)] = result
    return result
