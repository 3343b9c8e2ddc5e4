"""Reads any generator file as plain tensors and attributes. No code in it is run."""

import contextlib
import json
import stat
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

from safetensors import SafetensorError, safe_open
from torch import Tensor

from invprob.errors import GeneratorFileError
from invprob.files import file_error
from invprob.priors.checkpoints import objects, torch_files
from invprob.priors.checkpoints.networks import flatten, flatten_tf, is_network, is_tf_network
from invprob.priors.checkpoints.pickles import Budget, Reader, Record, is_tensors, load
from invprob.priors.checkpoints.spans import FileTensors, TensorRef

Format: TypeAlias = Literal["native", "rosinality", "nvidia", "nvidia-tf", "genforce", "psp"]


@dataclass(frozen=True)
class RawCheckpoint:
    """The content of a generator file, under the file's own names.

    Args:
        format: The program that wrote the file.
        tensors: By name. Those of a foreign file are read from it when they are asked for.
        attributes: Plain values: the header of a native file, attributes of NVIDIA's modules.
        notes: Names of what else is in the file and was left out.
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


@dataclass(frozen=True)
class _Recognised:
    """What a `RawCheckpoint` is made from: places in the file instead of tensors."""

    format: Format
    tensors: Mapping[str, TensorRef]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


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


def read_checkpoint(path: str | Path) -> RawCheckpoint:
    """Read a generator file of any known format. Its content tells which format it has.

    Args:
        path: The file.

    Returns:
        Tensors on the CPU and in the file's precision.

    Raises:
        GeneratorFileError: The file is damaged, holds a network that is not StyleGAN2, or is a
            pickle that mentions other names than the few harmless ones in `objects.table`.
    """
    path = Path(path)
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # opening a pipe would wait forever
            kind = "a directory" if stat.S_ISDIR(about.st_mode) else "a pipe or a device"
            raise GeneratorFileError(f"it is {kind}, not a generator file")
        with contextlib.ExitStack() as stack:
            size, file = about.st_size, stack.enter_context(path.open("rb"))
            start = file.read(512)
            if is_safetensors(start, size):
                return _native(path)
            file.seek(0)
            found = _recognise(_value(file, start, size))
            _check_names(found.tensors)
            tensors = FileTensors(file, size, found.tensors)
            stack.pop_all()  # the tensors keep the file open
    except FileNotFoundError:
        raise GeneratorFileError(f"there is no generator file {path}") from None
    except GeneratorFileError as error:
        raise GeneratorFileError(f"{path}: {_line(str(error))}") from None
    except OSError as error:
        raise GeneratorFileError(str(file_error(path, error, "read"))) from None
    except DAMAGE as error:
        reason = _line(f"{type(error).__name__}: {error}")
        raise GeneratorFileError(f"{path} is damaged: {reason}") from None
    return RawCheckpoint(found.format, tensors, found.attributes, found.notes)


def _line(text: str) -> str:
    """Text that may come from a file, short and without control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:300])


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if len(name) > 200 or not name.isprintable():
            raise GeneratorFileError(f"damaged: a tensor is named {name[:40]!a}")


def is_safetensors(start: bytes, size: int) -> bool:
    """Whether a file begins like safetensors: the length of a JSON header, then the header."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= size - 8


def _native(path: Path) -> RawCheckpoint:
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
        return RawCheckpoint(_format_of(tensors), tensors)
    about = json.loads(header)
    if not isinstance(about, dict):
        raise GeneratorFileError("its `invprob` header is not a JSON object")
    return RawCheckpoint("native", tensors, about)


def _value(file: BinaryIO, start: bytes, size: int) -> Any:
    """The value in a file that begins with `start`."""
    if start[:4] == b"PK\3\4":
        return torch_files.read_zip(file, size)
    if start[:1] == b"\x80" and start[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        source, budget = Reader(file, 0, size), Budget(size)
        value = load(source, budget, objects.table(budget, torch_files.nested(budget)))
        if value == torch_files.MAGIC:
            return torch_files.read_stream(source, budget)
        return value
    raise GeneratorFileError(_not_a_generator(start))


def _not_a_generator(start: bytes) -> str:
    """What a file is that is not a generator file."""
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
    return "not a generator file: neither safetensors nor a file of torch.save nor a pickle"


def _recognise(value: Any) -> _Recognised:
    """Find the generator to use in the value of a file."""
    if is_network(value):
        return _nvidia(value, ())
    if isinstance(value, dict) and "G_ema" in value:
        return _nvidia(value["G_ema"], _left_out(value, "G_ema"))
    if isinstance(value, tuple) and len(value) == 3 and all(map(is_tf_network, value)):
        return _Recognised("nvidia-tf", *flatten_tf(value[2]), ("G", "D"))
    if isinstance(value, dict):
        return _state_dicts(value)
    raise GeneratorFileError(_unknown(value))


def _nvidia(value: Any, notes: tuple[str, ...]) -> _Recognised:
    if not is_network(value):
        raise GeneratorFileError("its G_ema is not a network of NVIDIA's code")
    return _Recognised("nvidia", *flatten(value), notes)


def _state_dicts(value: dict[Any, Any]) -> _Recognised:
    models = value.get("models")
    if isinstance(models, dict) and "generator_smooth" in models:
        value = models
    if "g_ema" in value:
        latent = _latent(value)
        found = {**_checked(value["g_ema"], "g_ema"), **latent}
        return _Recognised("rosinality", found, {}, _left_out(value, "g_ema", "latent_avg"))
    if "generator_smooth" in value:
        tensors = _checked(value["generator_smooth"], "generator_smooth")
        return _Recognised("genforce", tensors, {}, _left_out(value, "generator_smooth"))
    if isinstance(value.get("state_dict"), dict):
        return _psp(value)
    if is_tensors(value):
        return _Recognised(_format_of(value), value)
    raise GeneratorFileError(_unknown(value))


def _psp(value: dict[Any, Any]) -> _Recognised:
    """Files of pSp, e4e and their kind: an encoder, and rosinality's network as `decoder.`."""
    state = _checked(value["state_dict"], "state_dict")
    decoder = {
        name.removeprefix("decoder."): item
        for name, item in state.items()
        if name.startswith("decoder.")
    }
    if not decoder:
        raise GeneratorFileError("its state_dict has no `decoder.`, so it holds no generator")
    others = sorted(
        {_line(name.partition(".")[0])[:40] for name in state if not name.startswith("decoder.")}
    )
    notes = (*others[:20], *_left_out(value, "state_dict", "latent_avg"))
    return _Recognised("psp", {**decoder, **_latent(value)}, {}, notes)


def _latent(value: Mapping[Any, Any]) -> dict[str, TensorRef]:
    latent = value.get("latent_avg")
    if latent is not None and not isinstance(latent, TensorRef):
        raise GeneratorFileError("its latent_avg is not a tensor")
    return {} if latent is None else {"latent_avg": latent}


def _format_of(state: Mapping[str, Any]) -> Format:
    """The format of a bare state dict, from a name that only that format has."""
    if "synthesis.b4.const" in state:
        return "nvidia"
    if "synthesis.early_layer.const" in state:
        return "genforce"
    if "input.input" in state:
        return "rosinality"
    raise GeneratorFileError(_unknown(dict(state)))


def _checked(state: Any, name: str) -> dict[str, TensorRef]:
    if not is_tensors(state):
        raise GeneratorFileError(f"its {name} is not a dictionary of tensors")
    return dict(state)


def _left_out(value: Mapping[Any, Any], *used: str) -> tuple[str, ...]:
    return tuple(_line(str(name))[:40] for name in list(value)[:20] if name not in used)


def _unknown(value: Any) -> str:
    if isinstance(value, dict):
        names = ", ".join(ascii(str(name)[:40]) for name in list(value)[:5])
        return f"no StyleGAN2 generator is known by these names: {names or '(none)'}"
    kind = value.name if isinstance(value, Record) else type(value).__name__
    return f"it holds a {kind}, not a StyleGAN2 generator"
