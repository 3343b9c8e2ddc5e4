"""Tensors that are described but not read yet: where in the file their bytes are."""

import math
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import torch
from torch import Tensor

from invprob.errors import GeneratorFileError
from invprob.priors.checkpoints.limits import Limits


@dataclass(frozen=True)
class Span:
    """A range of bytes in an open file."""

    file: BinaryIO
    start: int
    length: int

    def read(self, limit: int = 1 << 16) -> bytes:
        """The bytes, at most `limit` (`GeneratorFileError`); the position in the file is kept."""
        if self.length > limit:
            raise GeneratorFileError(f"a value of {self.length} bytes where a small one belongs")
        position = self.file.tell()
        self.file.seek(self.start)
        content = self.file.read(self.length)
        self.file.seek(position)
        return content


@dataclass
class Storage:
    """The numbers behind a tensor. `span` is None until the reader has found them."""

    dtype: torch.dtype
    count: int
    span: Span | None = None


@dataclass(frozen=True)
class TensorRef:
    """A tensor's place in a storage, in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def count(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


class FileTensors(Mapping[str, Tensor]):
    """Tensors that stay in the file. Each is read when it is asked for, contiguous, on the CPU.

    Args:
        file: The open file. It is closed when this mapping is deleted.
        size: Bytes in the file.
        refs: The tensors' places by name.
        limits: How many bytes the tensors may have together.

    Raises:
        GeneratorFileError: A tensor reaches beyond its storage, or all together need more bytes
            than the file has. This is checked before any memory is allocated.
    """

    def __init__(
        self, file: BinaryIO, size: int, refs: Mapping[str, TensorRef], limits: Limits
    ) -> None:
        for name, ref in refs.items():
            _check(name, ref)
        total = sum(ref.count * ref.storage.dtype.itemsize for ref in refs.values())
        if total > size + limits.slack:
            raise GeneratorFileError(f"it claims tensors of {total} bytes, the file has {size}")
        self._refs, self._path = refs, file.name
        weakref.finalize(self, file.close)

    def __getitem__(self, name: str) -> Tensor:
        try:
            return _read(name, self._refs[name])
        except OSError as error:
            raise GeneratorFileError(f"{self._path}: {error}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._refs

    def __iter__(self) -> Iterator[str]:
        return iter(self._refs)

    def __len__(self) -> int:
        return len(self._refs)

    def stand_ins(self) -> dict[str, Tensor]:
        """Tensors of the same shapes and types without values."""
        return {
            name: torch.empty(ref.shape, dtype=ref.storage.dtype, device="meta")
            for name, ref in self._refs.items()
        }


def _check(name: str, ref: TensorRef) -> None:
    numbers: Sequence[object] = (*ref.shape, *ref.stride, ref.offset)
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise GeneratorFileError(f"the shape of {_short(name)} is not a list of whole numbers")
    if len(ref.shape) != len(ref.stride) or len(ref.shape) > 8:
        raise GeneratorFileError(f"the shape and the strides of {_short(name)} do not fit")
    end = ref.offset + _extent(ref)
    if end > ref.storage.count or ref.storage.span is None:
        held = 0 if ref.storage.span is None else ref.storage.count
        raise GeneratorFileError(
            f"{_short(name)} reaches to element {end} of a storage that holds {held}"
        )


def _extent(ref: TensorRef) -> int:
    """The number of elements of the storage from the tensor's first to its last."""
    if ref.count == 0:
        return 0
    return 1 + sum((length - 1) * step for length, step in zip(ref.shape, ref.stride, strict=True))


def _read(name: str, ref: TensorRef) -> Tensor:
    dtype, span, extent = ref.storage.dtype, ref.storage.span, _extent(ref)
    assert span is not None
    flat = torch.empty(extent, dtype=dtype, device="cpu")
    if extent:
        span.file.seek(span.start + ref.offset * dtype.itemsize)
        memory = flat.view(torch.uint8).numpy().data
        if span.file.readinto(memory) != len(memory):  # type: ignore[attr-defined]
            raise GeneratorFileError(f"the file ends within {_short(name)}")
    return flat.as_strided(ref.shape, ref.stride).contiguous()


def _short(name: str) -> str:
    return name if len(name) <= 80 and name.isprintable() else ascii(name[:80])
