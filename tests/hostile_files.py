"""Files that want to run code, to fill the memory, to take for ever, or that are simply broken.

`CASES` names each with a function that writes it and words of the refusal. What would be run is
always the same: a canary file appears.
"""

import argparse
import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from foreign_files import write_nvidia, write_nvidia_tf, write_psp, write_rosinality
from foreign_networks import BUILDERS, Plan
from safetensors.torch import load_file, save
from torch._utils import _rebuild_tensor_v2

Write = Callable[[Path, str], None]  # a path, and the shell command that makes the canary
PLAN = Plan(channels=(3, 2), style_width=4, z_width=4, hidden_width=4)


@dataclass(frozen=True)
class Case:
    """How a file is written, and what its refusal says."""

    write: Write
    words: str


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
    torch.save({"g_ema": {f"a{index}": base[:] for index in range(1000)}}, path)


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


# Multiples of 2^61 - 1 all have the hash 0.
COLLIDING = b"".join(
    b"\x8a\x0a" + (index * ((1 << 61) - 1)).to_bytes(10, "little") + b"N" for index in range(1, 99)
)
HARMLESS = "not among the few harmless names"

CASES: dict[str, Case] = {
    # Code, by every opcode that reaches a name
    "system, protocol 2": Case(pickled(Runs, 2), "posix.system"),
    "system, protocol 4": Case(pickled(Runs), "posix.system"),
    "system, protocol 5": Case(pickled(Runs, 5), "posix.system"),
    "system, protocol 0": Case(protocol_0, "not a generator file"),
    "eval": Case(pickled(Evaluates), "builtins.eval"),
    "exec": Case(pickled(Executes, 2), "exec"),
    "a process by NEWOBJ": Case(process, "subprocess.Popen"),
    "INST": Case(instance, "opcode b'S'"),
    "INST without text": Case(raw(b"\x80\x02(iposix\nsystem\n."), "opcode b'i'"),
    "OBJ": Case(object_class, "posix.system"),
    "OBJ of an allowed name": Case(raw(b"\x80\x02(ccollections\nOrderedDict\no."), "opcode b'o'"),
    "EXT1": Case(extension(b"\x82\x01"), "opcode"),
    "EXT2": Case(extension(b"\x83\x01\x01"), "opcode"),
    "EXT4": Case(extension(b"\x84\x01\x01\x01\x01"), "opcode"),
    "NEWOBJ_EX": Case(raw(b"\x80\x04cargparse\nNamespace\n)}\x92."), "opcode"),
    "names out of the memo": Case(by_memo, "posix.system"),
    "a dotted name": Case(
        raw(b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93."), HARMLESS
    ),
    "torch's own loader": Case(raw(b"\x80\x02ctorch.serialization\nload\n."), HARMLESS),
    "an import": Case(raw(b"\x80\x02cimportlib\nimport_module\n."), HARMLESS),
    "a line in a name": Case(raw(b"\x80\x04\x8c\x03o\ns\x8c\x06system\x93."), HARMLESS),
    "inside an allowed dictionary": Case(pickled(HalfBuilt), "builtins.eval"),
    # Code beside or inside a whole generator
    "beside a generator, zip": Case(rosinality(Runs), "posix.system"),
    "beside a generator, stream": Case(rosinality(Runs, legacy=True), "posix.system"),
    "in train.py's options": Case(
        rosinality(lambda command: argparse.Namespace(lr=Evaluates(command))), "builtin"
    ),
    "in an encoder's options": Case(encoder_options, "posix.system"),
    "as NVIDIA's discriminator": Case(nvidia(D=Runs), "posix.system"),
    "as a data set": Case(nvidia(training_set_kwargs=Evaluates), "builtins.eval"),
    "a nested storage": Case(nvidia(D=Nested), "posix.system"),
    "a storage nested twice": Case(nvidia(D=NestedTwice), "inside a torch file"),
    "a storage nested in a zip": Case(rosinality(Nested), "inside a torch file"),
    "in TensorFlow's discriminator": Case(program_in_tensorflow, "posix.system"),
    "in an array of objects": Case(objects_in_tensorflow, "posix.system"),
    "in a stream's list": Case(list_of_storages, "posix.system"),
    "in a stream's system": Case(system_information, "posix.system"),
    # More than there is
    "bytes that are not there": Case(raw(b"\x80\x04\x8e" + b"\xff" * 7 + b"\x3f."), "damaged or"),
    "text that is not there": Case(raw(b"\x80\x04\x8d" + b"\xff" * 7 + b"\x3f."), "damaged or"),
    "a byte array": Case(raw(b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"."), "damaged or"),
    "a frame": Case(raw(b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"}."), "a frame of"),
    "the memo's last place": Case(raw(b"\x80\x02]r\xff\xff\xff\xff."), "it holds a list"),
    "a negative length": Case(raw(b"\x80\x02T\xff\xff\xff\xff."), "damaged"),
    "a very long number": Case(
        raw(b"\x80\x02\x8b" + struct.pack("<i", 1 << 20) + bytes(1 << 20) + b"."), "whole number"
    ),
    "2^40 elements": Case(claims((1 << 40,), (1,), 4), "reaches to element"),
    "2^40 elements of one": Case(claims((1 << 40,), (0,), 4), "it claims tensors of"),
    "2^40 elements in storage": Case(claims((1 << 40,), (1,), 1 << 40), "should be"),
    "2^200 elements": Case(claims((1 << 20,) * 10, (0,) * 10, 4), "do not fit"),
    "behind the storage": Case(claims((2,), (1,), 4, offset=3), "reaches to element 5"),
    "before the storage": Case(claims((2,), (1,), 4, offset=-2), "whole numbers"),
    "a negative shape": Case(claims((-1, -4), (1, 1), 4), "whole numbers"),
    "2^40 elements in a stream": Case(stream_of_many, "damaged"),
    "a thousand views": Case(many_views, "it claims tensors of"),
    "two million lists": Case(raw(b"\x80\x02" + b"]" * 2_000_000 + b"."), "more work"),
    "a million marks": Case(raw(b"\x80\x02" + b"(" * 900_000 + b"."), "damaged"),
    "numbers that collide": Case(raw(b"\x80\x02}(" + COLLIDING + b"u."), "dictionary's key"),
    "keys that take for ever": Case(raw(b"\x80\x02})" + b"2\x86" * 60 + b"Ns."), "key"),
    "sets of sets": Case(raw(b"\x80\x04\x8f(" + b"\x8f" * 1000 + b"\x90."), "it holds a"),
    "cycles": Case(cyclic, "contains itself"),
    "a cyclic network": Case(cyclic_network, "contains itself"),
    "twin networks": Case(twin_networks, "more parts"),
    "deep": Case(deep, "deep"),
    # Zip files
    "system in a zip": Case(
        lambda path, command: zipped(pickle.dumps(Runs(command), 2))(path, command), "posix.system"
    ),
    "a zip bomb": Case(
        zipped(b"\x80\x02}.", ("archive/data/0", bytes(50_000_000)), method=zipfile.ZIP_DEFLATED),
        "compressed",
    ),
    "a bomb of one's own": Case(overlapping, "members claim"),
    "a way out": Case(zipped(b"\x80\x02}.", ("archive/../../x", b"x")), "leads elsewhere"),
    "an absolute name": Case(zipped(b"\x80\x02}.", ("/etc/x", b"x")), "leads elsewhere"),
    "a Windows name": Case(zipped(b"\x80\x02}.", ("C:\\x", b"x")), "leads elsewhere"),
    "two of one name": Case(duplicate, "the zip file"),
    "a zip of pictures": Case(zipped(b"\x80\x02}.", ("b/data.pkl", b"x")), "data.pkl"),
    "a TorchScript program": Case(program, "TorchScript"),
    "the end of a zip alone": Case(raw(b"PK\3\4" + b"PK\5\6" + b"\xff" * 18), "zip file"),
    # Other files
    "empty": Case(raw(b""), "empty"),
    "a folder": Case(lambda path, _: path.mkdir(), "a directory"),
    "a circle of links": Case(circle, "circle"),
    "a pipe": Case(lambda path, _: os.mkfifo(path), "a pipe or a device"),
    "text": Case(raw(b"weights\n"), "not a generator file"),
    "a web page": Case(raw(b"<!DOCTYPE html><html>quota exceeded</html>"), "web page"),
    "a Git LFS pointer": Case(raw(b"version https://git-lfs.github.com/spec/v1\n"), "Git LFS"),
    "gzip": Case(raw(gzip.compress(b"x")), "compressed"),
    "tar": Case(archive, "tar archive"),
    "wrong magic": Case(raw(b"\x93NUMPY" + bytes(90)), "not a generator file"),
    "a pickle of nothing": Case(raw(b"\x80\x04N."), "it holds a NoneType"),
    "half a pickle": Case(raw(b"\x80\x04}"), "damaged or cut"),
    "a pickle of the future": Case(raw(b"\x80\x05\x80\x09."), "protocol 9"),
    # safetensors
    "overlapping": Case(
        safetensors({"a": entry(0, 64, [16]), "b": entry(32, 64, [8])}), "safetensors"
    ),
    "behind the end": Case(safetensors({"a": entry(0, 1 << 40, [1 << 38])}), "safetensors"),
    "a shape that is not there": Case(safetensors({"a": entry(0, 64, [1 << 38])}), "safetensors"),
    "a shape beyond numbers": Case(
        safetensors({"a": entry(0, 64, [1 << 40, 1 << 40])}), "safetensors"
    ),
    "gaps": Case(safetensors({"a": entry(32, 64, [8])}), "safetensors"),
    "an unknown type": Case(safetensors({"a": entry(0, 64, [16], "F99")}), "safetensors"),
    "a header that is not there": Case(
        raw(struct.pack("<Q", 1 << 40) + b"{"), "not a generator file"
    ),
    "a header that is no JSON": Case(safetensors(b"{" + b"[" * 100_000), "safetensors"),
    "a deep header": Case(native_header("[" * 100_000), "damaged"),
    "a header of a list": Case(native_header("[]"), "not a JSON object"),
    "a header of nothing": Case(half_native, "has no 'format'"),
    "a header of many layers": Case(native(mapping_layers=10**9), "larger than the file"),
    "a header of wide layers": Case(native(channels=[1 << 62, 2]), "larger than the file"),
    "a header of fractions": Case(native(style_width=4.5), "whole numbers"),
    "a header of much text": Case(native(**{"x" * 100_000: 1}), "a generator config has"),
    "letters that a terminal obeys": Case(
        lambda path, _: torch.save({"g_ema": {"\x1b[2J\n": torch.zeros(1)}}, path), "is named"
    ),
    "tensors are missing": Case(native(mapping_layers=1), "is missing"),
}
