"""The native generator file: safetensors, with the configuration as JSON in its header."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from invprob.errors import ArgumentError, FileError, GeneratorFileError
from invprob.files import atomic_write
from invprob.priors.stylegan2 import Generator, GeneratorConfig
from invprob.registry import register

FORMAT = "stylegan2"
VERSION = 1


@dataclass(frozen=True)
class GeneratorEntry:
    """A generator that goes by a name: its weight file and what is said of it."""

    path: Path
    card: Mapping[str, Any]

    @property
    def purpose(self) -> str:
        """One line for lists."""
        return str(self.card["purpose"])


def save_generator(
    generator: Generator, path: str | Path, *, dtype: torch.dtype = torch.float32
) -> None:
    """Write the native file, floating-point tensors as `dtype` (half precision halves the file)."""
    header = {"format": FORMAT, "version": VERSION, "config": generator.config.to_json()}
    tensors = {
        name: value.detach().to("cpu", dtype).contiguous()
        for name, value in generator.state_dict().items()
    }
    # As bytes, so that a full disk is an OSError, which `atomic_write` puts into one line.
    content = save(tensors, {"invprob": json.dumps(header)})
    with atomic_write(Path(path)) as temporary:
        temporary.write_bytes(content)


def load_generator(name: str | Path) -> Generator:
    """Load a generator by its registered name or from a native file, in float32 on the CPU.

    Nothing in the file is executed. Raises `UnknownNameError` for a name that is neither registered
    nor a file, `GeneratorFileError` for a file that is damaged or holds another network.
    """
    path = find_generator(name)
    if not is_path(name):
        digest, card = sha256_of(path), card_of(name)
        if digest != card["sha256"]:
            raise GeneratorFileError(
                f"{path}: its sha256 is {digest[:12]}…, but its card says "
                f"{card['sha256'][:12]}…; install the package again"
            )
    return read_generator(path, source=str(name))


def find_generator(name: str | Path) -> Path:
    """The file of a generator given by its registered name or as a path, which is not opened."""
    return Path(name) if is_path(name) else register.generator[str(name)].path


def card_of(name: str | Path) -> Mapping[str, Any]:
    """What is said of a registered generator; nothing of a file."""
    return {} if is_path(name) else register.generator[str(name)].card


def is_path(name: str | Path) -> bool:
    """Whether a generator is meant as a file: by its look, or because there is one."""
    path = Path(name)
    looks_like_path = isinstance(name, Path) or path.suffix != "" or len(path.parts) > 1
    return looks_like_path or path.exists()


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a native file, without reading tensors."""
    if path.is_dir():
        raise GeneratorFileError(f"{path} is a directory, not a generator file")
    if not path.exists():
        raise GeneratorFileError(f"there is no generator file {path}")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        header = json.loads(metadata["invprob"])
        if header["format"] != FORMAT:
            raise GeneratorFileError(
                f"{path} holds {header['format']!r}, not a {FORMAT!r} generator"
            )
        if header["version"] != VERSION:
            raise GeneratorFileError(
                f"{path} has format version {header['version']}; this release reads {VERSION}"
            )
    except (KeyError, TypeError, ValueError, OSError, SafetensorError) as error:
        raise GeneratorFileError(
            f"{path} is not a generator file of this package (safetensors with an `invprob` "
            f"header): {error}"
        ) from None
    return dict(header)


def read_generator(path: Path, *, source: str) -> Generator:
    """Read a native file; every tensor must be there, no other, each of the right shape."""
    header = read_header(path)
    try:
        config = GeneratorConfig.from_json(header["config"])
    except (ArgumentError, KeyError, TypeError) as error:
        raise GeneratorFileError(f"{path}: {error}") from None
    with torch.device("meta"):
        generator = Generator(config)
    expected = {name: tuple(value.shape) for name, value in generator.state_dict().items()}
    try:
        with safe_open(path, "pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            _compare(path, expected, found)
            # Copies: a mapped file is aligned otherwise than new tensors, and rounds otherwise.
            tensors = {
                name: file.get_tensor(name).to(torch.float32, copy=True) for name in expected
            }
    except (SafetensorError, OSError) as error:
        raise GeneratorFileError(f"{path} cannot be read: {error}") from None
    bad = [name for name, value in tensors.items() if not bool(value.isfinite().all())]
    if bad:
        raise GeneratorFileError(f"{path}: NaN or infinite values in {', '.join(bad[:5])}")
    generator.load_state_dict(tensors, assign=True)
    generator.requires_grad_(False)
    generator.source = source
    return generator


def _compare(
    path: Path, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> None:
    problems = [f"{name} is missing" for name in expected if name not in found]
    problems += [f"{name} is not part of the network" for name in found if name not in expected]
    problems += [
        f"{name} is {found[name]}, not {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if problems:
        more = f", and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise GeneratorFileError(f"{path}: {'; '.join(problems[:5])}{more}")


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def fingerprint(generator: Generator) -> str:
    """The sha256 of configuration and tensors, whatever file or device they are on."""
    digest = hashlib.sha256(json.dumps(generator.config.to_json(), sort_keys=True).encode())
    for name, value in sorted(generator.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()


def register_embedded() -> None:
    """Register every generator that lies in the package's `data` folder, by its JSON card."""
    folder = Path(str(resources.files("invprob.priors"))) / "data"
    for path in sorted(folder.glob("*.json")):
        card = json.loads(path.read_text("utf-8"))
        register.generator(card["name"])(GeneratorEntry(folder / card["file"], card))
