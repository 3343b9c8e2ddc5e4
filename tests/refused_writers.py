"""Writers of small files that the reader of generator files refuses. All are harmless anywhere.

What a pickle asks for is a function of the tests (`called`). Sizes are at most a little wrong.
"""

import io
import json
import pickle
import struct
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from called import Asks
from foreign_files import borrowed_names, write_nvidia, write_nvidia_tf, write_psp, write_rosinality
from foreign_layers import Plan
from foreign_networks import BUILDERS
from safetensors.torch import save
from torch._utils import _rebuild_tensor_v2

Write = Callable[[Path], object]
PLAN = Plan(channels=(3, 2), style_width=4, z_width=4, hidden_width=4)
NOTHING = b"\x80\x02}."  # the pickle of an empty dictionary


class Nested:
    """Where NVIDIA's pickles hold a storage as a torch file, a torch file of something else."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return torch.storage._load_from_bytes, (stream(self.value),)


class HalfBuilt:
    """An allowed dictionary that is filled with something that is not allowed."""

    def __reduce__(self) -> tuple[Any, ...]:
        return OrderedDict, (), None, None, iter([("a", Asks())])


def stream(value: Any) -> bytes:
    """The bytes of torch.save before 1.6."""
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def raw(content: bytes) -> Write:
    return lambda path: path.write_bytes(content)


def pickled(value: Any, protocol: int = 4) -> Write:
    return raw(pickle.dumps(value, protocol))


def ops(*parts: bytes | str) -> Write:
    """A pickle of opcodes; text stands for itself, as a value."""
    return raw(
        b"\x80\x04" + b"".join(p if isinstance(p, bytes) else _text(p) for p in parts) + b"."
    )


def _text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word.encode())) + word.encode()


def rosinality(value: Any, *, legacy: bool = False) -> Write:
    """A whole generator with something beside it."""
    state = BUILDERS["rosinality"](PLAN).tensors
    return lambda path: write_rosinality(path, state, legacy=legacy, args=value)


def psp(value: Any) -> Write:
    state = BUILDERS["rosinality"](PLAN).tensors
    return lambda path: write_psp(path, state, opts={"device": value})


def nvidia(**beside: Any) -> Write:
    foreign = BUILDERS["nvidia"](PLAN)
    return lambda path: write_nvidia(path, foreign.tensors, foreign.attributes, **beside)


def tensorflow(value: Any) -> Write:
    state = BUILDERS["nvidia-tf"](PLAN).tensors
    return lambda path: write_nvidia_tf(path, state, {}, discriminator=value)


def persistent(value: Any) -> Write:
    """A pickle of NVIDIA's network whose description is any value."""

    class Network:
        def __init__(self, function: Any) -> None:
            self.function = function

        def __reduce__(self) -> tuple[Any, ...]:
            return self.function, (value,)

    def write(path: Path) -> None:
        with borrowed_names() as names:
            path.write_bytes(pickle.dumps({"G_ema": Network(names.reconstruct)}, 4))

    return write


def described(name: str = "Generator", **state: Any) -> Write:
    """A pickle of NVIDIA's network with that class and state."""
    return persistent({"type": "class", "class_name": name, "state": state})


def twins(levels: int) -> Write:
    """Networks that hold the network below twice, so that their number doubles with each level."""

    def write(path: Path) -> None:
        with borrowed_names() as names:

            class Network:
                def __init__(self, below: Any) -> None:
                    self.below = below

                def __reduce__(self) -> tuple[Any, ...]:
                    state = {"_modules": {"a": self.below, "b": self.below}}
                    told = {"type": "class", "class_name": "Generator", "state": state}
                    return names.reconstruct, (told,)

            made = None
            for _ in range(levels):
                made = Network(made)
            path.write_bytes(pickle.dumps(made, 4))

    return write


def tf_network(**state: Any) -> Write:
    """A pickle of one network of NVIDIA's TensorFlow code with that state."""

    def write(path: Path) -> None:
        with borrowed_names() as names:
            network = names.Network()
            usual = {"version": 4, "static_kwargs": {}, "variables": []}
            network.__dict__.update({**usual, **state})
            path.write_bytes(pickle.dumps(network, 4))

    return write


def stream_with(marker: bytes, value: Any) -> Write:
    """A stream of torch.save with the pickle of a value put before one of its parts."""

    def write(path: Path) -> None:
        content = stream({"g_ema": {"a": torch.zeros(2)}})
        at = content.rindex(marker) if marker == b"\x80\x02]" else content.index(marker)
        path.write_bytes(content[:at] + pickle.dumps(value, 2) + content[at:])

    return write


def stream_of_more(path: Path) -> None:
    """A stream whose storage is said to have four elements in place of three."""
    content = stream({"g_ema": {"a": torch.zeros(3)}}).replace(b"K\x03N", b"K\x04N")
    path.write_bytes(content.replace(struct.pack("<q", 3), struct.pack("<q", 4)))


def claims(size: tuple[int, ...], stride: tuple[int, ...], count: int, offset: int = 0) -> Write:
    """A state dict of one tensor of some claimed shape, over a storage of 4 floats."""

    class Claim:
        def __reduce__(self) -> tuple[Any, ...]:
            return _rebuild_tensor_v2, (Held(), offset, size, stride, False, OrderedDict())

    class Held:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            words = ("storage", torch.FloatStorage, "0", "cpu", count)
            return words if isinstance(obj, Held) else None

    def write(path: Path) -> None:
        buffer = io.BytesIO()
        Pickler(buffer, 2).dump({"g_ema": {"input.input": Claim()}})
        zipped(buffer.getvalue(), ("archive/data/0", bytes(16)))(path)

    return write


def views(path: Path) -> None:
    """Four tensors that share a thousand numbers: read, they are four thousand."""
    base = torch.zeros(1000)
    state = {"input.input": base[:], **{f"a{index}": base[:] for index in range(3)}}
    torch.save({"g_ema": state}, path)


def zipped(main: bytes, *more: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> Write:
    """A zip file as torch writes it, around any pickle."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", method) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of two members of one name
            file.writestr("archive/data.pkl", main)
            for name, content in more:
                file.writestr(name, content)

    return write


def overlapping(path: Path) -> None:
    """A zip file of which a member of 600 bytes lies within another one."""
    name, size = b"archive/data/1", 600
    inner = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, size, size, len(name), 0) + name
    zipped(NOTHING, ("archive/data/0", inner + bytes(size)))(path)
    content = path.read_bytes()
    start, last, end = content.index(b"PK\1\2"), content.rindex(b"PK\1\2"), content.index(b"PK\5\6")
    entry = bytearray(content[last:end].replace(b"archive/data/0", name))
    struct.pack_into("<2L", entry, 20, size, size)
    struct.pack_into("<L", entry, 42, content.index(inner))
    length = end - start + len(entry)
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 3, 3, length, start, 0)
    path.write_bytes(content[:end] + entry + tail)


def large(write: Write) -> Write:
    """A zip file with the directory and the numbers of files of more than 4 GB."""

    def rewrite(path: Path) -> None:
        write(path)
        content = path.read_bytes()
        end = content.rindex(b"PK\5\6")
        count, _, start = struct.unpack_from("<HLL", content, end + 10)
        changed = bytearray(content[start:end])
        sizes, name = struct.unpack_from("<2L", changed, 20), struct.unpack_from("<H", changed, 28)
        wide = struct.pack("<2H2Q", 1, 16, *sizes)
        changed[20:28] = b"\xff" * 8
        changed[30:32] = struct.pack("<H", len(wide))
        changed[46 + name[0] : 46 + name[0]] = wide
        tail = struct.pack(
            "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(changed), start
        )
        locator = struct.pack("<4sLQL", b"PK\6\7", 0, start + len(changed), 1)
        last = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *(0xFFFF,) * 2, *(0xFFFFFFFF,) * 2, 0)
        path.write_bytes(content[:start] + changed + tail + locator + last)

    return rewrite


def patched(write: Write, change: Callable[[bytes], bytes]) -> Write:
    """A file with some of its bytes changed."""

    def patch(path: Path) -> None:
        write(path)
        path.write_bytes(change(path.read_bytes()))

    return patch


def safetensors(header: dict[str, Any] | bytes, data: bytes = bytes(64)) -> Write:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return raw(struct.pack("<Q", len(text)) + text + data)


def entry(begin: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def native(**config: Any) -> Write:
    """One tensor, and a header that describes a network."""
    usual = {"resolution": 8, "channels": [3, 2], "style_width": 4, "mapping_layers": 1}
    header = {"format": "stylegan2", "version": 1, "config": {**usual, **config}}
    return native_header(json.dumps(header))


def native_header(text: str) -> Write:
    return raw(save({"mean_w": torch.zeros(4)}, {"invprob": text}))


def archive(path: Path) -> None:
    with tarfile.open(path, "w") as file:
        file.addfile(tarfile.TarInfo("storages"), io.BytesIO())


def circle(path: Path) -> None:
    path.symlink_to(path.with_suffix(".other"))
    path.with_suffix(".other").symlink_to(path)


def objects() -> np.ndarray[Any, Any]:
    """An array of objects, one of which asks for a call."""
    return np.array([Asks()], dtype=object)
