"""The runs of a sweep: every combination that is not excluded, each with a readable name."""

import contextlib
import dataclasses
import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invprob.bench.sweep import NOTHING, Choice, MethodChoice, Pictures, Sweep
from invprob.errors import ArgumentError, FileError, InvprobError
from invprob.files import file_error
from invprob.operators.base import Operator
from invprob.perceptual.distance import Absent, PerceptualDistance, find_perceptual
from invprob.priors.generator_files import fingerprint, load_generator
from invprob.priors.stylegan.generator import Generator
from invprob.run.build import build_noise, build_recipe, make_operator, make_transform
from invprob.run.config import SETTINGS, Named, RunConfig
from invprob.run.inputs import SUFFIXES, distinct, expand
from invprob.run.samples import sample_path


@dataclass(frozen=True)
class Planned:
    """A run to be made.

    Attributes:
        id: Its name.
        at: Its label on each axis.
        config: Its settings.
        definition: The settings and the contents of files by which it is known, as JSON. They do
            not depend on where files lie or on the machine.
    """

    id: str
    at: Mapping[str, str]
    config: RunConfig
    definition: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """All runs of a sweep; `skipped` says what was left out and why."""

    sweep: Sweep
    runs: tuple[Planned, ...]
    skipped: tuple[str, ...]
    network: str | None
    no_network: Absent | None


@dataclass(frozen=True)
class _Picture:
    set: str
    name: str
    path: Path
    sample: str | None = None


def make_plan(sweep: Sweep) -> Plan:
    """Find the images, check that everything can be built by building it once, and name the runs.

    Raises:
        InvprobError: for what does not exist or does not fit; it names the line of the sweep file.
    """
    generator = load_generator(
        sweep.setting("prior"), resolution=sweep.setting("resolution"), label=sweep.setting("label")
    )
    network = find_perceptual(sweep.setting("perceptual"), sweep.setting("lpips_weights"))
    pictures, skipped = _find_pictures(sweep.pictures)
    scale = generator.resolution / (sweep.pixels_at or generator.resolution)
    known_by = {
        "generator": fingerprint(generator),
        "perceptual": None if isinstance(network, Absent) else network.record(),
    }
    runs = tuple(_runs(sweep, pictures, scale, known_by))
    for study in sweep.studies:
        study.check(list(dict.fromkeys(run.at["image"] for run in runs)))
    absent = _check(sweep, runs, generator, network)
    runs = tuple(run for run in runs if run.at["method"] not in absent)
    if not runs:
        raise ArgumentError(f"{sweep.source}: nothing is left to run; exclude or skip less")
    return Plan(
        sweep=sweep,
        runs=runs,
        skipped=(*skipped, *absent.values()),
        network=None if isinstance(network, Absent) else network.label,
        no_network=network if isinstance(network, Absent) else None,
    )


def _runs(
    sweep: Sweep, pictures: Sequence[_Picture], scale: float, known_by: Mapping[str, Any]
) -> Iterator[Planned]:
    slugs = {axis: _slugs(sweep.choices(axis)) for axis in ("transform", "operator", "noise")}
    slugs["method"] = _slugs(sweep.methods)
    contents = {picture.path: _sha256(picture.path) for picture in pictures}
    names = dict(zip(pictures, distinct([one.name for one in pictures]), strict=True))
    product = itertools.product(
        pictures, sweep.transforms, sweep.operators, sweep.noises, sweep.methods, sweep.seeds
    )
    for picture, transform, operator, noise, method, seed in product:
        at = {
            "set": picture.set,
            "image": names[picture],
            "transform": transform.label,
            "operator": operator.label,
            "noise": noise.label,
            "method": method.label,
            "seed": str(seed),
        }
        if any(exclusion.covers(at) for exclusion in sweep.exclude):
            continue
        config = dataclasses.replace(
            _config(sweep, method, _chain(operator, scale), _noise(noise)),
            samples=() if picture.sample is None else (picture.sample,),
            images=() if picture.sample is not None else (str(picture.path),),
            transforms=_chain(transform, scale),
            seed=seed,
        )
        parts = [at["image"]]
        for axis in ("transform", "operator", "noise", "method"):
            if at[axis] != NOTHING:
                parts.append(slugs[axis][at[axis]])
        yield Planned(
            id="_".join([*parts, f"s{seed}"]),
            at=at,
            config=config,
            definition={**_definition(config), **known_by, "image": contents[picture.path]},
        )


def _config(
    sweep: Sweep, method: MethodChoice, operators: tuple[Named, ...], noise: Named | None
) -> RunConfig:
    shared = dict(sweep.settings)
    if noise is None:  # there is nothing that another data term could use
        shared.pop("data_term", None)
    return RunConfig(
        samples=("face",),
        operators=operators,
        noise=noise,
        method=method.chain[0].named(1),
        **{**shared, **method.settings},
    )


def _definition(config: RunConfig) -> dict[str, Any]:
    """The settings by which runs are told apart, where they differ from the defaults, as JSON."""
    return {
        setting.name: setting.write(getattr(config, setting.name))
        for setting in SETTINGS.values()
        if setting.about.identifies and getattr(config, setting.name) != setting.default
    }


def _chain(choice: Choice, scale: float) -> tuple[Named, ...]:
    return tuple(link.named(scale) for link in choice.chain)


def _noise(choice: Choice) -> Named | None:
    return choice.chain[0].named(1) if choice.chain else None


def _slugs(choices: Sequence[Choice]) -> dict[str, str]:
    labels = [choice.label for choice in choices]
    plain = [re.sub(r"[^A-Za-z0-9._]+", "-", label)[:60] for label in labels]
    return dict(zip(labels, distinct(plain), strict=True))


# ---------------------------------------------------------------------------- before anything runs


def _check(
    sweep: Sweep,
    runs: Sequence[Planned],
    generator: Generator,
    network: PerceptualDistance | Absent,
) -> dict[str, str]:
    """Build what each combination needs, once; says by label which methods are left out and why."""
    shape = generator.image_shape
    choices = {
        axis: {one.label: one for one in sweep.choices(axis)} for axis in ("transform", "operator")
    }
    methods = {method.label: method for method in sweep.methods}
    for run in _first_of(runs, ("transform",)):
        with _placed(choices["transform"][run.at["transform"]]):
            make_transform(run.config, shape)
    absent: dict[str, str] = {}
    operators: dict[str, Operator] = {}
    for run in _first_of(runs, ("operator", "noise", "method")):
        label, method = run.at["operator"], methods[run.at["method"]]
        if label not in operators:
            with _placed(choices["operator"][label]):
                operators[label] = make_operator(run.config, shape)
        try:
            with _placed(method):
                noise = build_noise(run.config.noise)
                build_recipe(run.config, generator, operators[label], network, noise=noise)
        except InvprobError as error:
            if not method.optional:
                raise
            absent[method.label] = f"the method {method.label!r} was left out: {error}"
    return absent


def _first_of(runs: Sequence[Planned], axes: Sequence[str]) -> list[Planned]:
    """One run of each combination of labels on these axes."""
    first: dict[tuple[str, ...], Planned] = {}
    for run in runs:
        first.setdefault(tuple(run.at[axis] for axis in axes), run)
    return list(first.values())


@contextlib.contextmanager
def _placed(choice: Choice) -> Iterator[None]:
    """Let errors begin with the entry's place in the file."""
    try:
        yield
    except InvprobError as error:
        raise type(error)(f"{choice.place}: {choice.label!r}: {error}") from error


# ----------------------------------------------------------------------------------------- images


def _find_pictures(sets: Sequence[Pictures]) -> tuple[list[_Picture], list[str]]:
    """The images of all sets, and why optional sets are missing."""
    found: list[_Picture] = []
    missing: list[str] = []
    for one in sets:
        inside = [_Picture(one.label, name, sample_path(name), name) for name in one.samples]
        try:
            for path in one.paths:
                inside += [_Picture(one.label, file.stem, file) for file in _files(path)]
        except FileError as error:
            if not one.optional:
                raise FileError(f"{one.place}: {error}; optional = true would skip it") from None
            missing.append(f"the images {one.label!r} were left out: {error}")
            continue
        found += inside[: one.most]
    return list({picture.path: picture for picture in found}.values()), missing


def _files(path: str) -> list[Path]:
    """The images that the name of a file, a folder or a pattern stands for, in order."""
    if Path(path).exists():
        return [Path(one) for one in expand([path])]
    if not set("*?[") & set(path):
        raise FileError(f"there is no file or folder {path!r}")
    pattern = Path(path).absolute()
    found = Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
    files = sorted(file.resolve() for file in found if file.name.lower().endswith(SUFFIXES))
    if not files:
        raise FileError(f"no picture ({', '.join(SUFFIXES)}) is named like {path!r}")
    return files


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise file_error(path, error, "read") from None
