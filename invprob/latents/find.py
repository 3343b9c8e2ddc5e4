"""Directions by name: those that ship with a generator, those of plugins, and those in files."""

import os
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import torch

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.errors import ArgumentError, FileError, InvprobError, UnknownNameError
from invprob.latents.direction import Direction, StyleDirection
from invprob.latents.direction_files import load_directions
from invprob.latents.foreign_directions import read_foreign
from invprob.priors.stylegan.extras import FactorDirection, has_extras, load_extras
from invprob.priors.stylegan.generator import Generator
from invprob.registry import register, suggest

_SUFFIX = re.compile(r"\.(safetensors|npy|npz|pt|pth|pkl)(:|$)", re.IGNORECASE)


@checked
@undisturbed()
def known_directions(generator: Generator) -> Mapping[str, Direction]:
    """The directions of a generator that have a name.

    They are those that ship with it, and those of `register.direction`. One of the latter that
    raises an error of this package for this generator is left out, with a warning.

    Args:
        generator: the network that they move.

    Returns:
        The directions by name.

    Raises:
        ArgumentError: two have one name.
        GeneratorFileError: what ships with the generator is damaged.
    """
    found: dict[str, Direction] = dict(_shipped(generator))
    for name in register.direction:
        _check_one(name, found)
        try:
            found[name] = _registered(name, generator)
        except InvprobError as error:
            warnings.warn(f"the direction {name!r} is left out: {error}", stacklevel=2)
    return MappingProxyType(found)


@checked
@undisturbed()
def find_direction(name: str, generator: Generator) -> Direction:
    """A direction by its name, or from a file.

    Args:
        name: that of a direction that ships with the generator or is registered; FILE where the
            file holds one direction; FILE:NAME where it holds several.
        generator: the network that it is to move.

    Raises:
        UnknownNameError: no direction has this name.
        ArgumentError: two have it; or the file holds several, and none was named.
        FileError: there is no such file, it is damaged, or it was made for another generator.
        ShapeError: the direction is of a generator of another width or depth.
    """
    if _SUFFIX.search(name) or len(Path(name).parts) > 1:
        return _in_file(name, generator)
    shipped = _shipped(generator)
    if name in register.direction:
        _check_one(name, shipped)
        return _registered(name, generator)
    if name not in shipped:
        known = [*shipped, *register.direction]
        raise UnknownNameError(
            f"no direction of {generator.source!r} is named {name!r}.{suggest(name, known)} "
            f"Known: {', '.join(known) or 'none'}. A file is named as FILE or FILE:NAME"
        )
    return shipped[name]


def _shipped(generator: Generator) -> dict[str, StyleDirection]:
    """The directions in the companion of a generator's file; none where there is no companion."""
    if not has_extras(generator):
        return {}
    factors = load_extras(generator.source, generator).directions
    return {name: of_factor(factor, generator) for name, factor in factors.items()}


def of_factor(factor: FactorDirection, generator: Generator) -> StyleDirection:
    """The direction of a labelled factor, in the rows that it moves.

    Its facts `moved` and `others` say by how many standard deviations it was measured to move the
    factor, and the other factors.
    """
    rows = torch.zeros(
        generator.num_layers, generator.style_width, dtype=torch.float32, device="cpu"
    )
    rows[list(factor.rows)] = factor.vector.to(rows)
    unit = f"one standard deviation of the factor (measured: {factor.moved:.2f})"
    facts = {"moved": factor.moved, "others": factor.others}
    return StyleDirection(factor.name, rows, unit, facts)


def _registered(name: str, generator: Generator) -> Direction:
    """What a registered function makes for a generator."""
    make: Callable[[Generator], object] = register.direction[name]
    direction = make(generator)
    if not isinstance(direction, Direction):
        raise ArgumentError(
            f"the direction {name!r} must be a function of a generator that returns a Direction, "
            f"but it returned {type(direction).__name__}"
        )
    direction.check(generator)
    return direction


def _check_one(name: str, shipped: Mapping[str, Direction]) -> None:
    if name in shipped:
        raise ArgumentError(
            f"two directions are named {name!r}: one ships with the generator, one is registered; "
            "register that one under another name"
        )


def _in_file(name: str, generator: Generator) -> Direction:
    """The direction that FILE or FILE:NAME stands for."""
    path, part = _split(name)
    native = path.suffix.lower() == ".safetensors"
    held = (load_directions if native else read_foreign)(path, generator)
    if part is not None and part not in held:
        raise UnknownNameError(
            f"{path} holds no direction {part!r}.{suggest(part, held)} Known: {_shown(held)}"
        )
    if part is None and len(held) != 1:
        raise ArgumentError(
            f"{path} holds {len(held)} directions; name one, FILE:NAME. Known: {_shown(held)}"
        )
    return next(iter(held.values())) if part is None else held[part]


def _split(name: str) -> tuple[Path, str | None]:
    """The file, and the direction in it; there are files with a colon in their name."""
    ends = [len(name), *(at for at, sign in enumerate(name) if sign == ":")]
    for at in sorted(ends, reverse=True):
        if os.path.isfile(name[:at]):  # noqa: PTH113 - false, not an error, for impossible names
            return Path(name[:at]), name[at + 1 :] if at < len(name) else None
    raise FileError(f"there is no file of directions {name!r}")


def _shown(names: Mapping[str, Direction], most: int = 20) -> str:
    """The names in one line; of very many, the first."""
    listed = list(names)
    more = f", … ({len(listed)} in all)" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
