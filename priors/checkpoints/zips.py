"""The directory of a zip file of torch, whose members are stored, not compressed."""

import struct
from typing import BinaryIO

from invprob.errors import GeneratorFileError
from invprob.priors.checkpoints.limits import Limits
from invprob.priors.checkpoints.spans import Span

_END = struct.Struct("<4s4H2LH")  # signature, disks ..., entries, directory size, offset, comment
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")


def members(file: BinaryIO, size: int, limits: Limits) -> dict[str, Span]:
    """Find the members of a zip file. Everything is checked before a member is read.

    Args:
        file: The open file.
        size: Its bytes.
        limits: How many members it may have.

    Returns:
        The place of each member by its name.

    Raises:
        GeneratorFileError: A member is compressed or encrypted, a name leads elsewhere or occurs
            twice, or the sizes do not fit into the file.
    """
    count, length, offset = _directory(file, size)
    if count > limits.members or not 0 <= offset <= offset + length <= size:
        raise GeneratorFileError("damaged: the directory of the zip file is not within it")
    file.seek(offset)
    content, at = file.read(length), 0
    found: dict[str, Span] = {}
    for _ in range(count):
        entry = _unpack(_ENTRY, content, at, b"PK\1\2")
        flags, method, packed, whole = entry[3], entry[4], entry[8], entry[9]
        name_length, extra_length, comment_length, local = *entry[10:13], entry[16]
        at += _ENTRY.size
        name = _name(content[at : at + name_length])
        extra = content[at + name_length : at + name_length + extra_length]
        at += name_length + extra_length + comment_length
        whole, packed, local = _wide(extra, whole, packed, local)
        if name in found:
            raise GeneratorFileError(f"the zip file holds {name!r} twice")
        if flags & 1 or method != 0 or packed != whole:
            raise GeneratorFileError(
                f"{name!r} is compressed or encrypted within the zip file, which torch never does"
            )
        found[name] = _span(file, size, name, local, whole)
    total = sum(span.length for span in found.values())
    if total > size:
        raise GeneratorFileError(f"the zip file's members claim {total} bytes, it has {size}")
    return found


def _directory(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """The number of entries, the size and the offset of the directory."""
    tail_start = max(0, size - _END.size - 0xFFFF)
    file.seek(tail_start)
    tail = file.read(size - tail_start)
    at = tail.rfind(b"PK\5\6")
    if at < 0:
        raise GeneratorFileError("cut short: a zip file without its end")
    end = _unpack(_END, tail, at, b"PK\5\6")
    count, length, offset = end[4:7]
    if count < 0xFFFF and length < 0xFFFFFFFF and offset < 0xFFFFFFFF:
        return count, length, offset
    if at < _LOCATOR.size:
        raise GeneratorFileError("damaged: a large zip file without its large directory")
    start = _unpack(_LOCATOR, tail, at - _LOCATOR.size, b"PK\6\7")[2]
    if start + _END64.size > size:
        raise GeneratorFileError("damaged: the directory of the zip file is not within it")
    file.seek(start)
    wide = _unpack(_END64, file.read(_END64.size), 0, b"PK\6\6")
    return wide[7], wide[8], wide[9]


def _unpack(layout: struct.Struct, content: bytes, at: int, signature: bytes) -> tuple[int, ...]:
    try:
        fields = layout.unpack_from(content, at)
    except struct.error:
        raise GeneratorFileError("cut short within the directory of the zip file") from None
    if fields[0] != signature:
        raise GeneratorFileError("damaged: the directory of the zip file holds something else")
    return fields


def _name(raw: bytes) -> str:
    name = raw.decode("utf-8", "replace")
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or ":" in name or ".." in parts or "" in parts[:-1]:
        raise GeneratorFileError(f"the zip file holds a name that leads elsewhere: {name!a}")
    return name


def _wide(extra: bytes, *narrow: int) -> tuple[int, int, int]:
    """Replace values that do not fit into 32 bits by the fields of the zip64 extra."""
    fields: list[int] = []
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1 and at + 4 + length <= len(extra):
            fields = list(struct.unpack_from(f"<{length // 8}Q", extra, at + 4))
        at += 4 + length
    try:
        whole, packed, local = (fields.pop(0) if value == 0xFFFFFFFF else value for value in narrow)
    except IndexError:
        raise GeneratorFileError("damaged: a large member without its size") from None
    return whole, packed, local


def _span(file: BinaryIO, size: int, name: str, local: int, length: int) -> Span:
    """The bytes of a member, which follow its own header."""
    if local + _LOCAL.size > size:
        raise GeneratorFileError(f"damaged: {name!r} lies outside the zip file")
    file.seek(local)
    header = _unpack(_LOCAL, file.read(_LOCAL.size), 0, b"PK\3\4")
    start = local + _LOCAL.size + header[9] + header[10]
    if file.read(header[9]) != name.encode() or start + length > size:
        raise GeneratorFileError(f"damaged: {name!r} is not where the zip file says, or cut short")
    return Span(file, start, length)
