"""Finds the generator in the content of a file, whatever it is wrapped in.

A network lies in dictionaries within dictionaries ("state_dict", "models"), and the names of its
tensors may begin with those of modules that held it ("module.", "decoder."). Both are read alike,
as one path. A name that only one format has tells where a network is. What stands before that name
is taken off. Of several networks, the averaged one is taken.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from torch import Tensor

from invprob.errors import GeneratorFileError
from invprob.priors.checkpoints.limits import Limits
from invprob.priors.checkpoints.networks import (
    draws_images,
    flatten,
    flatten_tf,
    is_network,
    is_tf_network,
)
from invprob.priors.checkpoints.pickles import Record
from invprob.priors.checkpoints.spans import TensorRef

Format: TypeAlias = Literal[
    "native", "bare", "rosinality", "nvidia", "nvidia-tf", "genforce", "psp"
]

SIGNS: Mapping[str, Format] = {
    "input.input": "rosinality",
    "synthesis.b4.const": "nvidia",
    "synthesis/4x4/Const/const": "nvidia-tf",
    "synthesis.early_layer.const": "genforce",
    "mapping_layers.0.weight": "bare",
}
AVERAGED = {"averaged", "average", "avg", "ema", "gs", "running", "shadow", "smooth", "swa"}
DEEPEST = 8  # dictionaries within dictionaries that are looked into
LONGEST = 200  # characters of a name
TOLD = 20  # names of what is left out


@dataclass(frozen=True)
class Recognised:
    """The generator of a file: its tensors, or their places in the file.

    Args:
        format: The names that its tensors have.
        tensors: By name.
        attributes: Plain values of NVIDIA's modules.
        notes: Names of what else is in the file.
    """

    format: Format
    tensors: Mapping[str, Any]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Place:
    """Where a generator is: what stands before its tensors' names, or the name of a network."""

    path: str
    format: Format

    @property
    def parts(self) -> list[str]:
        return [part for part in re.split(r"[./]", self.path) if part]


def recognise(value: Any, limits: Limits) -> Recognised:
    """Find the generator to use.

    Args:
        value: Dictionaries of tensors, NVIDIA's network, or the tuple of NVIDIA's three.
        limits: What the file may ask for.

    Raises:
        GeneratorFileError: There is none, or there are several and it cannot be told which of them
            is the averaged one.
    """
    if isinstance(value, tuple) and len(value) == 3 and all(map(is_tf_network, value)):
        value = dict(zip(("G", "D", "Gs"), value, strict=True))
    if not (isinstance(value, dict) or is_network(value) or is_tf_network(value)):
        kind = value.name if isinstance(value, Record) else type(value).__name__
        raise GeneratorFileError(f"it holds a {kind}, not a StyleGAN2 generator")
    entries = _entries(value, limits)
    places = _places(entries)
    if not places:
        first = ", ".join(ascii(name[:40]) for name in list(entries)[:5] if name)
        raise GeneratorFileError(
            f"no StyleGAN2 generator is known by these names: {first or '(none)'}"
        )
    place = _chosen(places)
    network = entries.get(place.path)
    if is_network(network):
        notes = _others(entries, list(_above(place.path)), {place.path})
        return Recognised("nvidia", *flatten(network, limits), notes)
    if is_tf_network(network):
        notes = _others(entries, list(_above(place.path)), {place.path})
        return Recognised("nvidia-tf", *flatten_tf(network), notes)
    names = _names(entries, place)
    if place.format == "rosinality":
        names |= _latent(entries, place)
    notes = _others(entries, [place.path, *_above(place.path)], set(names.values()))
    tensors = {own: entries[name] for own, name in names.items()}
    in_encoder = place.format == "rosinality" and place.parts[-1:] == ["decoder"]
    return Recognised("psp" if in_encoder else place.format, tensors, {}, notes)


def unwrapped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a native file without what stands before the names of all of them."""
    entries = dict(tensors)
    places = [place for place in _places(entries) if place.format == "bare"]
    prefix = places[0].path if len(places) == 1 else ""
    if not all(name.startswith(prefix) for name in entries):
        return entries
    return {name.removeprefix(prefix): value for name, value in entries.items()}


def _entries(value: Any, limits: Limits) -> dict[str, Any]:
    """The values of dictionaries within dictionaries, by the keys that lead there."""
    found: dict[str, Any] = {}
    waiting = [("", 0, value)]
    while waiting:
        path, depth, held = waiting.pop()
        if isinstance(held, dict) and held and depth < DEEPEST:
            names = [(str(key), item) for key, item in held.items()]
            long = [name for name, _ in names if len(name) > LONGEST]
            if long:
                raise GeneratorFileError(f"damaged: something is named {long[0][:40]!a}")
            before = f"{path}." if path else ""
            waiting += [(before + name, depth + 1, item) for name, item in reversed(names)]
            continue
        if path in found:
            raise GeneratorFileError(f"damaged: two things are named {path[:40]!a}")
        found[path] = held
        if len(found) > limits.entries:
            raise GeneratorFileError("it holds more things than any generator's file")
    return found


def _places(entries: Mapping[str, Any]) -> list[_Place]:
    """Where generators are. A network that is none is taken only where nothing else is there."""
    networks = {
        _Place(name, "nvidia" if is_network(value) else "nvidia-tf"): draws_images(value)
        for name, value in entries.items()
        if is_network(value) or is_tf_network(value)
    }
    found = [place for place, draws in networks.items() if draws]
    for name, value in entries.items():
        for sign, kind in SIGNS.items():
            begins = name.removesuffix(sign)
            if begins != name and begins[-1:] in ("", ".", "/") and _is_tensor(value):
                found.append(_Place(begins, kind))
    return found or list(networks)


def _chosen(places: list[_Place]) -> _Place:
    """The only generator, or the only averaged one (`GeneratorFileError`)."""
    if len(places) == 1:
        return places[0]
    columns = zip(*(place.parts for place in places), strict=False)
    shared = len(list(itertools.takewhile(lambda column: len(set(column)) == 1, columns)))
    averaged = [place for place in places if _words(place.parts[shared:]) & AVERAGED]
    if len(averaged) == 1:
        return averaged[0]
    names = [ascii(place.path.rstrip("./")[-40:]) for place in (averaged or places)[:5]]
    which = "all of them averaged" if averaged else "and no name says which is the averaged one"
    raise GeneratorFileError(
        f"it holds the generators {' and '.join(names)}, {which}: save the one to use in a file "
        "of its own"
    )


def _words(parts: list[str]) -> set[str]:
    """The words in names, in small letters: params_ema, modelEMA and Gs have two, two and one."""
    found = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", " ".join(parts))
    return {word.lower() for word in found}


def _names(entries: Mapping[str, Any], place: _Place) -> dict[str, str]:
    """A generator's own names of its tensors, each with that in the file."""
    return {
        name.removeprefix(place.path): name
        for name, value in entries.items()
        if name.startswith(place.path) and _is_tensor(value)
    }


def _latent(entries: Mapping[str, Any], place: _Place) -> dict[str, str]:
    """The name of the mean of w, which rosinality's code keeps beside or above the network."""
    for before in (place.path, *_above(place.path)):
        latent = entries.get(f"{before}latent_avg")
        if latent is not None and not _is_tensor(latent):
            raise GeneratorFileError("its latent_avg is not a tensor")
        if latent is not None:
            return {"latent_avg": f"{before}latent_avg"}
    return {}


def _above(path: str) -> Iterator[str]:
    """The path without its last part, without its last two parts, and so on to nothing."""
    while path:
        path = re.sub(r"[^./]*[./]?$", "", path)
        yield path


def _others(entries: Mapping[str, Any], levels: list[str], used: set[str]) -> tuple[str, ...]:
    """The names of what is beside a generator, the nearest first."""
    found: dict[str, None] = {}
    nearer = used
    for level in levels:
        here = [name for name in entries if name.startswith(level) and name not in nearer]
        rest = (re.split(r"[./]", name.removeprefix(level), maxsplit=1)[0] for name in here)
        found.update(dict.fromkeys(one_line(word)[:40] for word in rest))
        nearer = nearer | set(here)
    return tuple(found)[:TOLD]


def one_line(text: str) -> str:
    """Text that may come from a file, short and without control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:300])


def _is_tensor(value: Any) -> bool:
    return isinstance(value, (TensorRef, Tensor))
