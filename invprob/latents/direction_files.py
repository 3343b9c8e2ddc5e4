"""Files of directions: safetensors with a JSON header, which names the generator they are of."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.errors import ArgumentError, FileError
from invprob.files import atomic_write
from invprob.latents.direction import Direction, ScaleDirection, StyleDirection
from invprob.priors.generator_files import fingerprint
from invprob.priors.stylegan.extras import fingerprint_of_whole
from invprob.priors.stylegan.generator import Generator

FORMAT, VERSION = "directions", 1


@checked
@undisturbed()
def save_directions(
    directions: Sequence[Direction], generator: Generator, path: str | Path
) -> None:
    """Write directions of a generator to one safetensors file.

    Args:
        directions: at least one; each has its own name.
        generator: the network that they move.
        path: the file; one of that name is replaced when all is written.

    Raises:
        ArgumentError: there is no direction, two have one name, one is a combination, or one has
            facts that are no JSON values.
        ShapeError: one is of a generator of another width or depth.
        FileError: the file cannot be written.
    """
    if not directions:
        raise ArgumentError("directions must be one direction or more, not none")
    tensors: dict[str, Tensor] = {}
    entries: dict[str, dict[str, Any]] = {}
    for number, direction in enumerate(directions):
        direction.check(generator)
        if direction.name in entries:
            raise ArgumentError(f"two directions are named {direction.name!r}; rename one of them")
        kind, parts = _parts(direction)
        for part, tensor in enumerate(parts):
            tensors[f"{number}.{part}"] = tensor.detach().cpu().contiguous().clone()
        entries[direction.name] = {
            "name": direction.name,
            "unit": direction.unit,
            "kind": kind,
            "facts": dict(direction.facts),
        }
    header = {
        "format": FORMAT,
        "version": VERSION,
        "generator": fingerprint(generator),
        "directions": list(entries.values()),
    }
    try:
        text = json.dumps(header, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"the facts of directions must be JSON values: {error}") from None
    # As bytes, so that a full disk is an OSError, which `atomic_write` puts into one line.
    content = save(tensors, {"invprob": text})
    with atomic_write(Path(path)) as temporary:
        temporary.write_bytes(content)


@checked
@undisturbed()
def load_directions(path: str | Path, generator: Generator) -> dict[str, Direction]:
    """Read what `save_directions` wrote.

    A truncated generator takes the directions of the whole one, without the rows that it lacks. A
    direction of which nothing is left is left out.

    Args:
        path: the file.
        generator: the network that the directions are to move.

    Returns:
        The directions by name, in the order of the file.

    Raises:
        FileError: there is no such file, it is damaged, or it was made for another generator.
        ShapeError: a direction is of another width or depth than the generator that it names.
    """
    header, tensors = _read(Path(path))
    own = fingerprint(generator)
    whole = header["generator"] == own
    if not whole and header["generator"] != _of_whole(generator, own):
        raise FileError(
            f"{path} was made for the generator {str(header['generator'])[:12]}…, not for "
            f"{generator.source!r} ({own[:12]}…); name that generator, or find directions of this "
            "one"
        )
    try:
        found = [
            _direction(about, _numbered(number, tensors), generator, whole=whole)
            for number, about in enumerate(header["directions"])
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, error) from None
    for direction in found:
        direction.check(generator)
    return {direction.name: direction for direction in found if whole or _moves(direction)}


def _parts(direction: Direction) -> tuple[str, list[Tensor]]:
    """The kind of a direction, and its tensors."""
    match direction:
        case StyleDirection():
            return "styles", [direction.rows]
        case ScaleDirection():
            return "scales", list(direction.scales)
    raise ArgumentError(f"the direction {direction.name!r} has several parts; save these instead")


def _direction(
    about: Mapping[str, Any], parts: list[Tensor], generator: Generator, *, whole: bool
) -> Direction:
    """A direction of a file; of a truncated generator, its part in the first rows."""
    same: Any = {"unit": about["unit"], "facts": about["facts"]}
    if about["kind"] == "styles":
        (rows,) = parts
        if rows.ndim != 2:
            raise ValueError(f"style rows of shape {tuple(rows.shape)}")
        return StyleDirection(
            about["name"], rows if whole else rows[: generator.num_layers], **same
        )
    if about["kind"] == "scales":
        count = len(parts) if whole else len(generator.modulations())
        return ScaleDirection(about["name"], parts[:count], **same)
    raise ValueError(f"a direction of the kind {about['kind']!r}")


def _moves(direction: Direction) -> bool:
    """Whether a direction has another value than 0."""
    return any(bool(part.any()) for part in _parts(direction)[1])


def _of_whole(generator: Generator, own: str) -> str:
    """The fingerprint of the generator that one was truncated from."""
    if generator.source == "memory":
        return own
    return fingerprint_of_whole(generator.source, generator, own)


def _read(path: Path) -> tuple[Mapping[str, Any], dict[str, Tensor]]:
    """The header and the tensors of a file; its numbers are finite."""
    if not path.exists():
        raise FileError(f"there is no file {path}")
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})["invprob"])
            if header["format"] != FORMAT:
                raise FileError(f"{path} holds {str(header['format'])[:40]!r}, not directions")
            if header["version"] != VERSION:
                raise FileError(
                    f"{path} has format version {str(header['version'])[:40]!r}; this release "
                    f"reads {VERSION}"
                )
            needed = {name: header[name] for name in ("generator", "directions")}
            # A copy is aligned as any new tensor is; a tensor in a mapped file is not.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except FileError:
        raise
    except (KeyError, TypeError, ValueError, OSError, SafetensorError) as error:
        raise _damaged(path, error) from None
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
            raise FileError(f"{path} is damaged: its tensor {name[:40]!a} is not of finite numbers")
    return needed, tensors


def _numbered(number: int, tensors: Mapping[str, Tensor]) -> list[Tensor]:
    """The tensors of a direction by its number, in their order."""
    found: list[Tensor] = []
    while f"{number}.{len(found)}" in tensors:
        found.append(tensors[f"{number}.{len(found)}"])
    return found


def _damaged(path: str | Path, error: Exception) -> FileError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return FileError(f"{path} is not a file of directions of this release, or damaged: {reason}")
