"""Files of `torch.save`, read as data: zip files, and the streams of versions before 1.6."""

import struct
from collections.abc import Callable
from typing import Any, BinaryIO

from invprob.errors import GeneratorFileError
from invprob.priors.checkpoints import objects
from invprob.priors.checkpoints.limits import Limits
from invprob.priors.checkpoints.pickles import Budget, Reader, load, reader
from invprob.priors.checkpoints.spans import Span, Storage
from invprob.priors.checkpoints.zips import members

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


def read_zip(file: BinaryIO, size: int, limits: Limits) -> Any:
    """The value in a zip file of `torch.save`. Its tensors stay in the file."""
    held = members(file, size, limits)
    main = [name for name in held if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(main) != 1:
        raise GeneratorFileError("a zip file, but not one of torch.save (no data.pkl)")
    root = main[0].removesuffix("data.pkl")
    if f"{root}constants.pkl" in held:
        raise GeneratorFileError("a TorchScript program; save the network's state_dict instead")
    order = held.get(f"{root}byteorder")
    if order is not None and order.read() != b"little":
        raise GeneratorFileError("its numbers are big-endian, which is not supported")
    known: dict[str, Storage] = {}

    def find(kind: Any, key: str, count: Any) -> Storage:
        made, span = objects.storage(kind, count), held.get(f"{root}data/{key}")
        if span is None:
            raise GeneratorFileError(f"damaged: the zip file has no tensor data {key[:40]!a}")
        if span.length != made.count * made.dtype.itemsize:
            raise GeneratorFileError(
                f"the tensor data {key[:40]!a} should be {made.count} elements, "
                f"but it has {span.length} bytes"
            )
        made.span = span
        return made

    budget = Budget(size, limits)
    allowed = objects.table(budget, _nowhere)
    return load(reader(held[main[0]]), budget, allowed, _persistent(known, find))


def read_stream(source: Reader, budget: Budget) -> Any:
    """The value in a file of `torch.save` before 1.6, read from behind its magic number."""
    if load(source, budget, {}) != PROTOCOL:
        raise GeneratorFileError("a torch file of an unknown protocol")
    system = load(source, budget, {})
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise GeneratorFileError("its numbers are big-endian, which is not supported")
    known: dict[str, Storage] = {}

    def find(kind: Any, key: str, count: Any) -> Storage:
        return objects.storage(kind, count)

    allowed = objects.table(budget, _nowhere)
    value = load(source, budget, allowed, _persistent(known, find))
    keys = load(source, budget, {})
    if not isinstance(keys, list):
        raise GeneratorFileError("damaged: a torch file without a list of its tensors")
    for key in keys:
        held = known.get(key) if isinstance(key, str) else None
        count = struct.unpack("<q", source.read(8))[0]
        if held is None or count != held.count or held.span is not None:
            raise GeneratorFileError("damaged: the torch file's tensor data do not match its list")
        held.span = source.span(count * held.dtype.itemsize)
    return value


def nested(budget: Budget) -> Callable[[Span], Storage]:
    """A function that reads the storage in a torch file that is inside a pickle, as bytes.

    It is read like the outer pickle: with the same table of names, and from the same budget.
    """

    def read(content: Span) -> Storage:
        position, inner = content.file.tell(), reader(content)
        if load(inner, budget, {}) != MAGIC:
            raise GeneratorFileError("a tensor inside the pickle is not a torch file of before 1.6")
        value = read_stream(inner, budget)
        content.file.seek(position)
        if not isinstance(value, Storage):
            raise GeneratorFileError("a tensor inside the pickle holds something else")
        return value

    return read


def _nowhere(content: Span) -> Storage:
    raise GeneratorFileError(f"a torch file of {content.length} bytes inside a torch file")


def _persistent(
    known: dict[str, Storage], find: Callable[[Any, str, Any], Storage]
) -> Callable[[Any], Storage]:
    """A function that resolves persistent ids, ('storage', class, key, device, count, ...)."""

    def resolve(identity: Any) -> Storage:
        if not isinstance(identity, tuple) or not 5 <= len(identity) <= 6:
            raise GeneratorFileError("damaged: a tensor's storage is not described as torch does")
        word, kind, key, _, count = identity[:5]
        if word != "storage" or not isinstance(key, str) or identity[5:] not in ((), (None,)):
            raise GeneratorFileError("damaged: a tensor's storage is not described as torch does")
        if key not in known:
            known[key] = find(kind, key, count)
        return known[key]

    return resolve
