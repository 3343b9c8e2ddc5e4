"""The companion of a generator file: statistics of W and edit directions, in one `.npz`.

`NAME.safetensors` has the companion `NAME-extras.npz`. It names the generator by its fingerprint,
so that numbers of another network are never used. It holds plain arrays: nothing is executed.
"""

import json
import warnings
import zipfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.errors import FileError, GeneratorFileError
from invprob.files import atomic_write, cache_folder
from invprob.priors.generator_files import find_generator, fingerprint, load_generator
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.statistics import Statistics, sample_statistics, statistics_from
from invprob.streams import stream

VERSION = 1
MOMENTS = ("mean_w", "std_w", "mean", "covariance")


@dataclass(frozen=True)
class FactorDirection:
    """An edit in W, which moves one factor of the images, such as the smile.

    Attributes:
        name: of the factor.
        vector: (width,), added to the style rows. One times the vector is meant to move the factor
            by one standard deviation of the training images.
        rows: the style rows that it is added to.
        moved: by how many standard deviations it was measured to move the factor.
        others: by how many it moved the other factors, root mean square. Both were measured by a
            predictor of the factors on edited samples.
    """

    name: str
    vector: Tensor
    rows: tuple[int, ...]
    moved: float
    others: float


@dataclass(frozen=True)
class Extras:
    """What is known of a generator beside its weights.

    Attributes:
        statistics: of its W.
        directions: edits by name.
    """

    statistics: Statistics
    directions: Mapping[str, FactorDirection] = field(default_factory=lambda: MappingProxyType({}))


def extras_path(generator_file: Path) -> Path:
    """The path of a generator file's companion."""
    return generator_file.with_name(f"{generator_file.stem}-extras.npz")


def has_extras(generator: Generator) -> bool:
    """Whether a companion lies beside the file that a generator was loaded from."""
    source = generator.source
    return source != "memory" and extras_path(find_generator(source)).exists()


@undisturbed()
def save_extras(extras: Extras, generator: Generator, path: Path) -> None:
    """Write the companion file of a generator.

    Args:
        extras: what to write.
        generator: the generator, with the weights that were saved.
        path: the file.
    """
    statistics = extras.statistics
    directions = [
        {"name": d.name, "rows": list(d.rows), "moved": d.moved, "others": d.others}
        for d in extras.directions.values()
    ]
    about = {
        "version": VERSION,
        "generator": fingerprint(generator),
        "space": "w",
        "directions": directions,
    }
    arrays = {
        "count": np.array(statistics.count),
        # In float64, in which the near-null directions of the covariance are still true.
        **{name: getattr(statistics, name).numpy() for name in MOMENTS},
    }
    if directions:
        vectors = torch.stack([d.vector for d in extras.directions.values()])
        arrays["directions"] = vectors.float().numpy()
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)


@undisturbed()
def load_extras(name: str | Path, generator: Generator) -> Extras:
    """Read the companion of a generator file.

    A truncated generator has the statistics of the whole one, as its W is the same. Its directions
    lose the rows that it lacks; a direction without rows is left out.

    Args:
        name: registered name or file of the generator.
        generator: what was loaded from it.

    Raises:
        FileError: there is no companion.
        GeneratorFileError: it is damaged, or was made for other weights.
    """
    path = extras_path(find_generator(name))
    if not path.exists():
        raise FileError(
            f"{path} does not exist: no statistics or directions come with {str(name)!r}"
        )
    own = fingerprint(generator)
    return read_extras(path, generator, (own, fingerprint_of_whole(name, generator, own)))


def read_extras(path: Path, generator: Generator, made_for: Collection[str]) -> Extras:
    """Read a companion file.

    Args:
        path: the file.
        generator: the generator that will use it.
        made_for: fingerprints, of which the file must name one.

    Raises:
        GeneratorFileError: it is damaged, or was made for other weights.
    """
    about, arrays = _read(path)
    if about.get("version") != VERSION:
        raise GeneratorFileError(
            f"{path} has format version {about.get('version')}; this release reads {VERSION}"
        )
    if about.get("generator") not in made_for:
        raise GeneratorFileError(
            f"{path} was made for the generator {str(about.get('generator'))[:12]}…, not for "
            f"{fingerprint(generator)[:12]}…; make it again for this one"
        )
    try:
        moments = {name: arrays[name].double() for name in MOMENTS}
        statistics = statistics_from(count=int(arrays["count"]), **moments)
        directions = [
            FactorDirection(row["name"], vector, tuple(row["rows"]), row["moved"], row["others"])
            for row, vector in zip(about["directions"], arrays.get("directions", ()), strict=True)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise GeneratorFileError(f"{path} is incomplete: {error}") from None
    within = (
        replace(d, rows=tuple(r for r in d.rows if r < generator.num_layers)) for d in directions
    )
    return Extras(statistics, MappingProxyType({d.name: d for d in within if d.rows}))


def fingerprint_of_whole(name: str | Path, generator: Generator, own: str) -> str:
    """The fingerprint of the whole generator that one was truncated from.

    Args:
        name: registered name or file of the whole generator.
        generator: what may be a truncation of it.
        own: the fingerprint of `generator`, which is returned where it is none.
    """
    if not generator.dropped:
        return own
    whole = load_generator(name)
    part = generator.resolution < whole.resolution and whole.truncate(generator.resolution)
    return fingerprint(whole) if part and fingerprint(part) == own else own


@undisturbed()
def statistics_for(
    generator: Generator, *, progress: Callable[[int, int], None] | None = None
) -> Statistics:
    """Statistics of a generator's W: those of its companion file, else of 100,000 draws.

    Statistics that were drawn are kept in the cache folder under the generator's fingerprint. A
    damaged file there is made again.

    Args:
        generator: the network whose W it is.
        progress: called with the draws that are done and their number.

    Raises:
        GeneratorFileError: the companion is damaged or was made for other weights.
    """
    if has_extras(generator):
        return load_extras(generator.source, generator).statistics
    own = fingerprint(generator)
    kept = cache_folder() / "statistics" / f"{own}.npz"
    if kept.exists():
        try:
            return read_extras(kept, generator, (own,)).statistics
        except GeneratorFileError as error:
            warnings.warn(f"made again: {error}", stacklevel=2)
    statistics = sample_statistics(generator, stream(0, "statistics"), progress=progress)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_extras(Extras(statistics), generator, kept)
    except OSError as error:
        # A folder that cannot be written costs time at the next solve, and must not end this one.
        warnings.warn(f"the statistics of W are not kept: {error}", stacklevel=2)
    return statistics


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            arrays = {key: torch.from_numpy(file[key]) for key in file.files if key != "about"}
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise GeneratorFileError(f"{path} cannot be read: {error}") from None
    if not isinstance(about, dict):
        raise GeneratorFileError(f"{path} cannot be read: it does not say what it is")
    return about, arrays
