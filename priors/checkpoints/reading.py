"""Reads any generator file as plain tensors and attributes. No code in it is run."""

import contextlib
import json
import stat
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError, safe_open
from torch import Tensor

from invprob.errors import GeneratorFileError
from invprob.files import file_error
from invprob.priors.checkpoints import objects, torch_files
from invprob.priors.checkpoints.limits import USUAL, Limits
from invprob.priors.checkpoints.pickles import Budget, Reader, load
from invprob.priors.checkpoints.spans import FileTensors
from invprob.priors.checkpoints.wrappings import Format, one_line, recognise, unwrapped


@dataclass(frozen=True)
class RawCheckpoint:
    """The content of a generator file, under the file's own names.

    Args:
        format: The program that wrote the file.
        tensors: By name. Those of a foreign file are read from it when they are asked for.
        attributes: Plain values: the header of a native file, attributes of NVIDIA's modules.
        notes: Names of what else is in the file and was left out, the nearest first.
    """

    format: Format
    tensors: Mapping[str, Tensor]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @cached_property
    def stand_ins(self) -> Mapping[str, Tensor]:
        """Tensors with the same shapes and types but perhaps no values, so that nothing is read."""
        held = self.tensors
        return held.stand_ins() if isinstance(held, FileTensors) else held


DAMAGE = (
    ArithmeticError,
    LookupError,
    MemoryError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


def read_checkpoint(path: str | Path, *, limits: Limits = USUAL) -> RawCheckpoint:
    """Read a generator file of any known format. Its content tells which format it has.

    Args:
        path: The file.
        limits: What the file may ask for.

    Returns:
        Tensors on the CPU and in the file's precision.

    Raises:
        GeneratorFileError: The file is damaged, holds a network that is not StyleGAN2, holds
            several of which none is the averaged one, or is a pickle that mentions other names than
            the few harmless ones in `objects.table`.
    """
    path = Path(path)
    with told(path, "generator file"), contextlib.ExitStack() as stack:
        size = size_of(path, "generator file")
        file = stack.enter_context(path.open("rb"))
        start = file.read(512)
        if is_safetensors(start, size):
            return _safetensors(path, limits)
        found = recognise(value_of(file, size, limits, "generator file"), limits)
        _check_names(found.tensors)
        tensors = FileTensors(file, size, found.tensors, limits)
        stack.pop_all()  # the tensors keep the file open
        return RawCheckpoint(found.format, tensors, found.attributes, found.notes)


@contextlib.contextmanager
def told(path: Path, what: str) -> Iterator[None]:
    """Turn whatever damage causes into a `GeneratorFileError` of one line.

    Args:
        path: The file that is read inside.
        what: What it should be, such as "generator file".
    """
    try:
        yield
    except FileNotFoundError:
        raise GeneratorFileError(f"there is no {what} {path}") from None
    except GeneratorFileError as error:
        raise GeneratorFileError(f"{path}: {one_line(str(error))}") from None
    except OSError as error:
        raise GeneratorFileError(str(file_error(path, error, "read"))) from None
    except DAMAGE as error:
        reason = one_line(f"{type(error).__name__}: {error}")
        raise GeneratorFileError(f"{path} is damaged: {reason}") from None


def size_of(path: Path, what: str) -> int:
    """The bytes of a file; raises `GeneratorFileError` for what is none."""
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):  # opening a pipe would wait forever
        kind = "a directory" if stat.S_ISDIR(about.st_mode) else "a pipe or a device"
        raise GeneratorFileError(f"it is {kind}, not a {what}")
    return about.st_size


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if len(name) > 200 or not name.isprintable():
            raise GeneratorFileError(f"damaged: a tensor is named {name[:40]!a}")


def is_safetensors(start: bytes, size: int) -> bool:
    """Whether a file begins like safetensors: the length of a JSON header, then the header."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= size - 8


def _safetensors(path: Path, limits: Limits) -> RawCheckpoint:
    """Read a safetensors file: one of this package, or a state dict of a known program."""
    try:
        with safe_open(path, "pt") as file:
            header = (file.metadata() or {}).get("invprob")
            # Copies, because a mapped file is aligned differently, which changes rounding.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise GeneratorFileError(f"damaged safetensors: {error}") from None
    _check_names(tensors)
    if header is None:
        found = recognise(tensors, limits)
        return RawCheckpoint(found.format, found.tensors, found.attributes, found.notes)
    about = json.loads(header)
    if not isinstance(about, dict):
        raise GeneratorFileError("its `invprob` header is not a JSON object")
    return RawCheckpoint("native", unwrapped(tensors), about)


def value_of(file: BinaryIO, size: int, limits: Limits, what: str) -> Any:
    """The value in a file of torch.save, or in a pickle. Its tensors stay in the file.

    Args:
        file: The open file.
        size: Its bytes.
        limits: What it may ask for.
        what: What it should be, such as "generator file".
    """
    file.seek(0)
    start = file.read(512)
    file.seek(0)
    if start[:4] == b"PK\3\4":
        return torch_files.read_zip(file, size, limits)
    if start[:1] == b"\x80" and start[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        source, budget = Reader(file, 0, size), Budget(size, limits)
        value = load(source, budget, objects.table(budget, torch_files.nested(budget)))
        if value == torch_files.MAGIC:
            return torch_files.read_stream(source, budget)
        return value
    raise GeneratorFileError(_something_else(start, what))


def _something_else(start: bytes, what: str) -> str:
    """What a file is that is not what it should be."""
    text = start.lstrip().lower()
    if not start:
        return "the file is empty"
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "this is a web page: the server sent a notice instead of the file"
    if text.startswith(b"version https://git-lfs"):
        return "this is a Git LFS pointer: `git lfs pull` gets the file itself"
    if start[:2] == b"\x1f\x8b" or start[:6] == b"\xfd7zXZ\0" or start[:3] == b"BZh":
        return "this is a compressed file: unpack it first"
    if start[257:262] == b"ustar":
        return "this is a tar archive: unpack it first, or save a torch file of 2016 again"
    return f"not a {what}: neither safetensors nor a file of torch.save nor a pickle"
