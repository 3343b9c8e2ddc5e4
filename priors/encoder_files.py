"""Encoder files: `NAME-encoder.safetensors` beside the generator `NAME.safetensors`.

A file holds one encoder or both kinds, in half precision. Its header says to which generator they
belong, how each is built, and how it was trained. No code in it is executed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.errors import ArgumentError, EncoderError
from invprob.files import atomic_write
from invprob.priors.encoders import BaseCodeEncoder, Encoder, ToolkitEncoder
from invprob.priors.generator_files import find_generator, fingerprint
from invprob.priors.stylegan.generator import Generator, GeneratorConfig

FORMAT = "invprob-encoder"
VERSION = 1
Kind = Literal["toolkit", "base-code"]
KINDS: tuple[Kind, ...] = ("toolkit", "base-code")


@dataclass(frozen=True)
class Trained:
    """A trained encoder.

    Args:
        encoder: The network.
        record: How it was trained and how good it is, as JSON values.
    """

    encoder: Encoder
    record: Mapping[str, Any]


def build_encoder(kind: Kind, config: GeneratorConfig) -> Encoder:
    """An untrained encoder.

    Args:
        kind: "toolkit" or "base-code".
        config: The shape of the generators that it is for.

    Raises:
        ArgumentError: There is no such kind.
    """
    if kind not in KINDS:
        raise ArgumentError(f"kind must be {' or '.join(KINDS)}, not {kind!r}")
    with torch.device("cpu"):  # whatever the caller's default device and dtype are
        encoder = ToolkitEncoder(config) if kind == "toolkit" else BaseCodeEncoder(config)
    return encoder.to(torch.float32)


def encoder_path(generator_file: Path, options: Mapping[str, int] | None = None) -> Path:
    """The file of the encoders of a generator, beside the generator's file.

    Args:
        generator_file: The generator's file.
        options: The generator's `options`: a resolution that it was cut down to, or its class.
            Each has encoders of its own.

    Returns:
        `NAME-encoder.safetensors`, or for example `NAME-resolution-256-encoder.safetensors`.
    """
    chosen = "".join(f"-{name}-{value}" for name, value in sorted((options or {}).items()))
    return generator_file.with_name(f"{generator_file.stem}{chosen}-encoder.safetensors")


def training_command(generator: Generator) -> str:
    """The shell command that trains encoders for a generator."""
    chosen = "".join(f" --{name} {value}" for name, value in sorted(generator.options.items()))
    return f"invprob train-encoder --prior {generator.source}{chosen}"


@undisturbed()
def save_encoders(trained: Mapping[Kind, Trained], generator: Generator, path: Path) -> None:
    """Write encoders into one file, in half precision.

    Args:
        trained: The encoders by kind.
        generator: The generator they belong to.
        path: The file, which is replaced only when all is written.

    Raises:
        FileError: The file cannot be written.
    """
    header = {
        "format": FORMAT,
        "version": VERSION,
        "generator": fingerprint(generator),
        "encoders": {kind: {**_built(each), **each.record} for kind, each in trained.items()},
    }
    tensors = {
        f"{kind}.{name}": _halved(value)
        for kind, each in trained.items()
        for name, value in each.encoder.state_dict().items()
    }
    content = save(tensors, {"invprob": json.dumps(header)})
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


@undisturbed()
def load_encoder(generator: Generator, kind: Kind) -> Encoder:
    """Load an encoder from beside the file of a generator.

    Args:
        generator: The generator, which must have been loaded from a file.
        kind: "toolkit" maps images to style rows, "base-code" to the features that enter
            `layers[BASE_LAYER]`.

    Returns:
        A frozen encoder in float32, on the device of the generator.

    Raises:
        EncoderError: There is none, it is damaged, or it was trained for other weights.
        ArgumentError: There is no such kind.
    """
    encoder = build_encoder(kind, generator.config)
    if generator.source == "memory":
        raise EncoderError(
            "this generator was never saved, so it has no encoder; save it, and train one "
            "with: invprob train-encoder --prior FILE"
        )
    path = encoder_path(find_generator(generator.source), generator.options)
    command = f"{training_command(generator)} --kind {kind}"
    if not path.exists():
        raise EncoderError(
            f"{generator.source} has no encoder ({path.name} beside it); train one: {command}"
        )
    if kind not in read_header(path, generator)["encoders"]:
        raise EncoderError(f"{path} has no {kind!r} encoder; train one: {command}")
    encoder.load_state_dict(_read(path, kind, encoder))
    return encoder.to(generator.mean_w.device).requires_grad_(False).eval()


def read_header(path: Path, generator: Generator) -> dict[str, Any]:
    """The header of an encoder file, which must belong to `generator` (`EncoderError`)."""
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})["invprob"])
        if header["format"] != FORMAT or header["version"] != VERSION:
            raise EncoderError(
                f"{path} holds {header['format']!r}, version {header['version']}; this release "
                f"reads {FORMAT!r}, version {VERSION}"
            )
        named, own = str(header["generator"]), fingerprint(generator)
        if not isinstance(header["encoders"], dict):
            raise EncoderError(f"{path} does not say which encoders it holds")
    except (KeyError, TypeError, ValueError, OSError, SafetensorError) as error:
        if isinstance(error, EncoderError):
            raise
        raise EncoderError(
            f"{path} is not an encoder file of this package (safetensors with an `invprob` "
            f"header): {error}"
        ) from None
    if named != own:
        raise EncoderError(
            f"{path} was trained for the generator {named[:12]}…, not for {own[:12]}…; train one "
            f"for this: {training_command(generator)}"
        )
    return dict(header)


@undisturbed()
def load_all(path: Path, generator: Generator) -> dict[Kind, Trained]:
    """All encoders in a file, with their records. Raises as `load_encoder`."""
    records = read_header(path, generator)["encoders"]
    found: dict[Kind, Trained] = {}
    for kind in KINDS:
        if kind in records:
            encoder = build_encoder(kind, generator.config)
            encoder.load_state_dict(_read(path, kind, encoder))
            found[kind] = Trained(encoder, records[kind])
    return found


def _read(path: Path, kind: Kind, encoder: Encoder) -> dict[str, Tensor]:
    """The tensors of one encoder. All must be there, finite, and of the right shape."""
    own = encoder.state_dict()
    try:
        with safe_open(path, "pt") as file:
            found = {name.removeprefix(f"{kind}."): name for name in file.keys()}  # noqa: SIM118
            found = {name: full for name, full in found.items() if name != full}
            if set(found) != set(own):
                wrong = sorted(set(found) ^ set(own))
                raise EncoderError(
                    f"{path}: {kind}.{wrong[0]} is missing or not part of the encoder "
                    f"({len(wrong)} such tensors)"
                )
            # Copies, because a mapped file is aligned differently, which changes rounding.
            tensors = {
                name: file.get_tensor(full).to(own[name].dtype, copy=True)
                for name, full in found.items()
            }
    except SafetensorError as error:
        raise EncoderError(f"{path} cannot be read: {error}") from None
    for name, value in tensors.items():
        if value.shape != own[name].shape:
            raise EncoderError(
                f"{path}: {kind}.{name} is {tuple(value.shape)}, not {tuple(own[name].shape)}"
            )
        if not bool(value.isfinite().all()):
            raise EncoderError(f"{path}: {kind}.{name} has NaN or infinite values")
    return tensors


def _built(trained: Trained) -> dict[str, Any]:
    encoder = trained.encoder
    count = sum(value.numel() for value in encoder.parameters())
    return {"architecture": type(encoder).__name__, "parameters": count}


def _halved(value: Tensor) -> Tensor:
    value = value.detach().cpu().contiguous()
    return value.half() if value.is_floating_point() else value
