"""Generators by name or path, from our own files (safetensors with a JSON header) and others."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.errors import ArgumentError, GeneratorFileError, UnknownNameError
from invprob.files import atomic_write, sha256_of
from invprob.priors.checkpoints.convert import OnTensor, to_generator
from invprob.priors.checkpoints.limits import USUAL, Limits
from invprob.priors.checkpoints.noise_maps import NOTE, draw_noise_maps, lacking
from invprob.priors.checkpoints.reading import RawCheckpoint, read_checkpoint
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.shapes import GeneratorConfig, compare
from invprob.registry import register, suggest
from invprob.weights.catalogue import Published, find_pulled, known

FORMAT = "stylegan2"
VERSIONS = (1, 2)  # the second has configurations that say more than the four fields of the first


@dataclass(frozen=True)
class GeneratorEntry:
    """A generator that is registered under a name.

    Args:
        path: Its weight file.
        card: Facts about it, as JSON values: "purpose", "licence", "sha256" and others.
    """

    path: Path
    card: Mapping[str, Any]

    @property
    def purpose(self) -> str:
        """One line for lists."""
        return str(self.card["purpose"])


@checked
@undisturbed()
def save_generator(
    generator: Generator,
    path: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    origin: Mapping[str, Any] | None = None,
) -> None:
    """Write a generator to a file of this package: safetensors with a JSON header.

    Args:
        generator: What to save.
        path: The file, which is replaced only when all is written.
        dtype: What tensors are stored as. `torch.float16` halves the file.
        origin: What the generator was converted from, as JSON values.

    Raises:
        FileError: The file cannot be written.
    """
    version = VERSIONS[generator.config.extended]
    header = {"format": FORMAT, "version": version, "config": generator.config.to_json()}
    if origin is not None:
        header["origin"] = dict(origin)
    tensors = {
        name: value.detach().to("cpu", dtype).contiguous()
        for name, value in generator.state_dict().items()
    }
    # As bytes, so that a full disk is an OSError, which `atomic_write` turns into a FileError.
    content = save(tensors, {"invprob": json.dumps(header)})
    with atomic_write(Path(path)) as temporary:
        temporary.write_bytes(content)


@checked
@undisturbed()
def load_generator(
    name: str | Path, *, resolution: int | None = None, label: int | None = None
) -> Generator:
    """Load a generator by its name or from a file.

    The file may come from this package, from rosinality's, NVIDIA's or genforce's code, or contain
    a pSp or e4e decoder. Its content tells which. The network may lie in dictionaries, and its
    tensors may have a prefix, as DataParallel, Lightning and others leave them. Where a file holds
    several networks, the averaged one is loaded. No code in the file is executed.

    Args:
        name: A registered name ("faces-128"), the name of a pulled generator, or a path.
        resolution: Leave out the blocks above this size in pixels (`Generator.truncate`). None
            keeps all.
        label: The class of a conditional generator, from 0 (`Generator.with_label`).

    Returns:
        A frozen generator, on the CPU and in float32 (float64 for a foreign file in float64).

    Raises:
        UnknownNameError: The name is neither registered nor published nor a file.
        PullError: The published generator was not pulled.
        GeneratorFileError: The file is damaged, holds another network, or holds several networks of
            which none is the averaged one.
        ArgumentError: The generator has no such resolution or label.
    """
    path = find_generator(name)
    if not is_path(name) and name in register.generator:
        digest, card = sha256_of(path), card_of(name)
        if digest != card["sha256"]:
            raise GeneratorFileError(
                f"{path}: its sha256 is {digest[:12]}…, but its card says "
                f"{card['sha256'][:12]}…; install the package again"
            )
    bad = NotFinite()
    generator = build_generator(read_checkpoint(path), path, source=str(name), on_tensor=bad)
    if bad.names:
        raise GeneratorFileError(f"{path}: NaN or infinite values in {', '.join(bad.names[:5])}")
    if resolution is not None:
        generator = generator.truncate(resolution)
    return generator if label is None else generator.with_label(label)


def find_generator(name: str | Path) -> Path:
    """The file of a generator; it is not opened.

    Args:
        name: A registered name, the name of a pulled generator, or a path.

    Raises:
        UnknownNameError: The name is neither registered nor published.
        PullError: The published generator was not pulled.
    """
    if is_path(name):
        return Path(name)
    name = str(name)
    if name in register.generator:
        return Path(register.generator[name].path)
    names = [*register.generator, *published_generators()]
    if name not in names:
        raise UnknownNameError(
            f"no generator is named {name!r}.{suggest(name, names)} Known: {', '.join(names)}."
        )
    return find_pulled("generator", name)


def published_generators() -> dict[str, Published]:
    """The generators that `invprob pull` can get or has got, by name."""
    return {name: entry for name, entry in known().items() if entry.kind == "generator"}


def card_of(name: str | Path) -> Mapping[str, Any]:
    """Facts about a registered or published generator; none for a path."""
    if is_path(name):
        return {}
    if name in register.generator:
        card: Mapping[str, Any] = register.generator[str(name)].card
        return card
    entry = published_generators()[str(name)]
    terms = f"{entry.licence.name}, {entry.licence.address}"
    return {"purpose": entry.purpose, "licence": terms, "card": entry.address}


def is_path(name: str | Path) -> bool:
    """Whether a generator is given as a path: it looks like one, or there is such a file."""
    path = Path(name)
    looks_like_path = isinstance(name, Path) or path.suffix != "" or len(path.parts) > 1
    return looks_like_path or path.exists()


class NotFinite:
    """Collects the names of tensors with NaN or infinite values, as `on_tensor`."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str, value: Tensor) -> None:
        """Check a tensor, best right after it was read, while it is in the processor's cache."""
        # If the sum is finite, so is every value. A sum needs no memory; it may overflow.
        if not bool(value.sum().isfinite()) and not bool(value.isfinite().all()):
            self.names.append(name)


def build_generator(
    raw: RawCheckpoint,
    path: Path,
    *,
    source: str,
    on_tensor: OnTensor,
    limits: Limits = USUAL,
) -> Generator:
    """Build a generator from the content of a file.

    Args:
        raw: The content. Its tensors are used up.
        path: The file, for error messages.
        source: What the generator keeps as its `source`.
        on_tensor: Called with the name and the values of each tensor, which may be NaN.
        limits: What the header of a native file may ask for.

    Raises:
        GeneratorFileError: A tensor is missing, unknown, or of another shape.
    """
    if raw.format == "native":
        return _build_native(raw, path, limits, source=source, on_tensor=on_tensor)
    return to_generator(raw, source=source, on_tensor=on_tensor)


def _build_native(
    raw: RawCheckpoint, path: Path, limits: Limits, *, source: str, on_tensor: OnTensor
) -> Generator:
    header = raw.attributes
    missing = [name for name in ("format", "version", "config") if name not in header]
    if missing:
        raise GeneratorFileError(
            f"{path} is not a generator file of this package: its header has no {missing[0]!r}"
        )
    if header["format"] != FORMAT:
        raise GeneratorFileError(
            f"{path} holds {str(header['format'])[:40]!r}, not a {FORMAT!r} generator"
        )
    if header["version"] not in VERSIONS:
        raise GeneratorFileError(
            f"{path} has format version {str(header['version'])[:40]!r}; this release reads "
            f"{' and '.join(map(str, VERSIONS))}"
        )
    try:
        config = GeneratorConfig.from_json(header["config"])
    except (ArgumentError, KeyError, TypeError) as error:
        raise GeneratorFileError(f"{path}: {str(error)[:300]}") from None
    # Checked before the network is built, which takes long even without memory for its numbers.
    inner = (config.z_width, config.hidden_width, config.labels, config.label_width)
    widest = max(*config.channels, config.style_width, *inner)
    if widest > limits.width or config.mapping_layers > len(raw.tensors):
        raise GeneratorFileError(f"{path}: its header describes a network larger than the file")
    with torch.device("meta"):
        generator = Generator(config)
    own = generator.state_dict()
    drawn = lacking({name: name for name in own}, raw.tensors)
    expected = {name: tuple(value.shape) for name, value in own.items() if name not in drawn}
    found = {name: tuple(value.shape) for name, value in raw.tensors.items()}
    compare(path, expected, found)
    tensors = {name: raw.tensors[name].to(torch.float32) for name in expected}
    for name, value in tensors.items():
        on_tensor(name, value)
    if drawn:
        tensors.update(draw_noise_maps(own, torch.float32))
    generator.load_state_dict(tensors, assign=True)
    generator.requires_grad_(False)
    generator.source = source
    generator.notes = (NOTE,) if drawn else ()
    return generator


def fingerprint(generator: Generator) -> str:
    """The sha256 of a generator's configuration and tensors, independent of file and device."""
    digest = hashlib.sha256(json.dumps(generator.config.to_json(), sort_keys=True).encode())
    for name, value in sorted(generator.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()


@checked
def register_embedded() -> None:
    """Register the generators in the package's `data` folder, each by its JSON card."""
    folder = Path(str(resources.files("invprob.priors"))) / "data"
    for path in sorted(folder.glob("*.json")):
        card = json.loads(path.read_text("utf-8"))
        register.generator(card["name"])(GeneratorEntry(folder / card["file"], card))
