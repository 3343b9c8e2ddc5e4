"""Writers of files that want to run code, to fill the memory, to take for ever, or are broken.

What would be run is always the same: a canary file appears.
"""

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from foreign_files import write_nvidia, write_nvidia_tf, write_psp, write_rosinality
from foreign_layers import Plan
from foreign_networks import BUILDERS
from safetensors.torch import load_file, save
from torch._utils import _rebuild_tensor_v2

Write = Callable[[Path, str], None]  # a path, and the shell command that makes the canary
PLAN = Plan(channels=(3, 2), style_width=4, z_width=4, hidden_width=4)


class Runs:
    """Unpickled, it runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


class Evaluates(Runs):
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"__import__('os').system({self.command!r})",)


class Executes(Runs):
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"import os; os.system({self.command!r})",)


class Nested(Runs):
    """A tensor's storage, as torch pickles it, that is itself a file which runs a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        return torch.storage._load_from_bytes, (stream(Runs(self.command)),)


class NestedTwice(Runs):
    def __reduce__(self) -> tuple[Any, ...]:
        return torch.storage._load_from_bytes, (stream(Nested(self.command)),)


class HalfBuilt(Runs):
    """An allowed dictionary whose state is set by something that is not allowed."""

    def __reduce__(self) -> tuple[Any, ...]:
        return OrderedDict, (), None, None, iter([("a", Evaluates(self.command))])


def stream(value: Any) -> bytes:
    """The bytes of torch.save before 1.6."""
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def pickled(make: Callable[[str], Any], protocol: int = 4) -> Write:
    return lambda path, command: void(path.write_bytes(pickle.dumps(make(command), protocol)))


def raw(content: bytes) -> Write:
    return lambda path, _: void(path.write_bytes(content))


def rosinality(make: Callable[[str], Any], *, legacy: bool = False) -> Write:
    state = BUILDERS["rosinality"](PLAN).tensors
    return lambda path, command: void(
        write_rosinality(path, state, legacy=legacy, args=make(command))
    )


def nvidia(**beside: Callable[[str], Any]) -> Write:
    foreign = BUILDERS["nvidia"](PLAN)
    return lambda path, command: void(
        write_nvidia(
            path,
            foreign.tensors,
            foreign.attributes,
            **{name: make(command) for name, make in beside.items()},
        )
    )


def void(_: object) -> None:
    """For functions that write and return something."""


def instance(path: Path, command: str) -> None:
    path.write_bytes(b"\x80\x02(S" + repr(command).encode() + b"\niposix\nsystem\n.")


def by_memo(path: Path, command: str) -> None:
    """The names come out of the memo, so that they do not stand before the opcode."""
    told = command.encode()
    path.write_bytes(
        b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94]\x940h\x00h\x01\x93\x8c"
        + bytes([len(told)])
        + told
        + b"\x85R."
    )


def protocol_0(path: Path, command: str) -> None:
    path.write_bytes(b"cposix\nsystem\n(S" + repr(command).encode() + b"\ntR.")


def object_class(path: Path, command: str) -> None:
    path.write_bytes(b"\x80\x02(cposix\nsystem\nX" + counted(command) + b"o.")


def process(path: Path, command: str) -> None:
    words = b"".join(b"X" + counted(word) for word in command.split())
    path.write_bytes(b"\x80\x02csubprocess\nPopen\n](" + words + b"e\x85\x81.")


def extension(code: bytes) -> Write:
    return raw(b"\x80\x02" + code + b")R.")


def counted(text: str) -> bytes:
    return struct.pack("<I", len(text.encode())) + text.encode()


def program_in_tensorflow(path: Path, command: str) -> None:
    state = BUILDERS["nvidia-tf"](PLAN).tensors
    write_nvidia_tf(path, state, {}, discriminator=Runs(command))


def objects_in_tensorflow(path: Path, command: str) -> None:
    state = BUILDERS["nvidia-tf"](PLAN).tensors
    array = np.array([Runs(command)], dtype=object)
    write_nvidia_tf(path, state, {}, discriminator=array)


def encoder_options(path: Path, command: str) -> None:
    write_psp(path, BUILDERS["rosinality"](PLAN).tensors, opts={"device": Runs(command)})


def list_of_storages(path: Path, command: str) -> None:
    """A stream whose tensors are in order, but not the list of their keys."""
    content = stream({"g_ema": {"a": torch.zeros(2)}})
    at = content.rindex(b"\x80\x02]")
    path.write_bytes(content[:at] + pickle.dumps([Runs(command)], 2) + content[at:])


def system_information(path: Path, command: str) -> None:
    content = stream(torch.zeros(2))
    at = content.index(b"\x80\x02}")
    path.write_bytes(content[:at] + pickle.dumps(Runs(command), 2) + content[at:])


def zipped(main: bytes, *more: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> Write:
    """A zip file as torch writes it, around any pickle."""

    def write(path: Path, _: str) -> None:
        with zipfile.ZipFile(path, "w", method) as file:
            file.writestr("archive/data.pkl", main)
            file.writestr("archive/byteorder", b"little")
            for name, content in more:
                file.writestr(name, content)

    return write


def duplicate(path: Path, command: str) -> None:
    """Two members of one name: which one is read depends on the reader."""
    harmless = pickle.dumps({"g_ema": {}}, 2)
    zipped(harmless, ("archive/other.pkl", pickle.dumps(Runs(command), 2)))(path, command)
    path.write_bytes(path.read_bytes().replace(b"archive/other.pkl", b"archive/data.pkl\0"))


def overlapping(path: Path, _: str) -> None:
    """A member that lies within another one: what is read is more than what is there."""
    size = 1_000_000
    name = b"archive/data/1"
    inner = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, size, size, len(name), 0) + name
    zipped(b"\x80\x02}.", ("archive/data/0", inner + bytes(size)))(path, "")
    content = path.read_bytes()
    start, last, end = content.index(b"PK\1\2"), content.rindex(b"PK\1\2"), content.index(b"PK\5\6")
    entry = bytearray(content[last:end].replace(b"archive/data/0", name))
    struct.pack_into("<2L", entry, 20, size, size)
    struct.pack_into("<L", entry, 42, content.index(inner))
    length = end - start + len(entry)
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 4, 4, length, start, 0)
    path.write_bytes(content[:end] + entry + tail)


def claims(size: tuple[int, ...], stride: tuple[int, ...], count: int, offset: int = 0) -> Write:
    """A state dict of one tensor of any claimed shape, over a storage of 4 floats."""

    class Claim:
        def __reduce__(self) -> tuple[Any, ...]:
            held = (Held(), offset, size, stride, False, OrderedDict())
            return _rebuild_tensor_v2, held

    class Held:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            words = ("storage", torch.FloatStorage, "0", "cpu", count)
            return words if isinstance(obj, Held) else None

    def write(path: Path, _: str) -> None:
        buffer = io.BytesIO()
        Pickler(buffer, 2).dump({"g_ema": {"input.input": Claim()}})
        zipped(buffer.getvalue(), ("archive/data/0", bytes(16)))(path, "")

    return write


def stream_of_many(path: Path, _: str) -> None:
    """A stream whose storage is said to have 2^40 elements."""
    content = stream({"g_ema": {"a": torch.zeros(3)}})
    path.write_bytes(
        content.replace(b"K\x03N", b"\x8a\x06\0\0\0\0\0\1N").replace(
            struct.pack("<q", 3), struct.pack("<q", 1 << 40)
        )
    )


def many_views(path: Path, _: str) -> None:
    """A thousand tensors that share 4 MB: 4 GB when each is read."""
    base = torch.zeros(1_000_000)
    names = ["input.input", *(f"a{index}" for index in range(999))]
    torch.save({"g_ema": {name: base[:] for name in names}}, path)


def cyclic(path: Path, _: str) -> None:
    held: list[Any] = []
    held.append(held)
    path.write_bytes(pickle.dumps({"g_ema": held}))


def cyclic_network(path: Path, _: str) -> None:
    """A network that is its own module."""
    name = b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n"
    path.write_bytes(
        b"\x80\x02}q\x00X" + counted("G_ema") + name + b"}q\x01("
        b"X" + counted("type") + b"X" + counted("class") +
        b"X" + counted("class_name") + b"X" + counted("Generator") +
        b"X" + counted("state") + b"}X" + counted("_modules") + b"}X" + counted("a") +
        b"h\x01ssu\x85Rs."
    )  # fmt: skip


def twin_networks(path: Path, _: str) -> None:
    """Eighteen levels of networks that hold the level below twice: 2^18 of them when walked."""
    name = b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n"
    content = b"\x80\x02N"
    for level in range(18):
        content += b"q%c0" % level + name + b"}(X" + counted("type") + b"X" + counted("class")
        content += b"X" + counted("class_name") + b"X" + counted("Generator")
        content += b"X" + counted("state") + b"}X" + counted("_modules") + b"}("
        content += b"X" + counted("a") + b"h%c" % level + b"X" + counted("b") + b"h%c" % level
        content += b"usu\x85R"
    path.write_bytes(content + b".")


def deep(path: Path, _: str) -> None:
    path.write_bytes(b"\x80\x02}X" + counted("g_ema") + b")" + b"\x85" * 200_000 + b"s.")


def safetensors(header: dict[str, Any] | bytes, data: bytes = bytes(64)) -> Write:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return raw(struct.pack("<Q", len(text)) + text + data)


def entry(begin: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def native(**config: Any) -> Write:
    """Tensors of nothing, and a header that describes any network."""
    usual = {"resolution": 8, "channels": [3, 2], "style_width": 4, "mapping_layers": 2}
    header = {"format": "stylegan2", "version": 1, "config": {**usual, **config}}
    content = save({"mean_w": torch.zeros(4)}, {"invprob": json.dumps(header)})
    return raw(content)


def native_header(text: str) -> Write:
    return raw(save({"mean_w": torch.zeros(4)}, {"invprob": text}))


def half_native(path: Path, _: str) -> None:
    native()(path, "")
    tensors = load_file(path)
    path.write_bytes(save({"mean_w": tensors["mean_w"]}, {"invprob": "{}"}))


def archive(path: Path, _: str) -> None:
    with tarfile.open(path, "w") as file:
        file.addfile(tarfile.TarInfo("storages"), io.BytesIO())


def circle(path: Path, _: str) -> None:
    path.symlink_to(path.with_suffix(".other"))
    path.with_suffix(".other").symlink_to(path)


def program(path: Path, _: str) -> None:
    zipped(b"\x80\x02}.", ("archive/constants.pkl", b"\x80\x02)."))(path, "")
