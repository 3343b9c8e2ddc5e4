"""What a sweep is: pictures, operators, noises, methods and seeds, all combined.

`read.py` makes one of a TOML file, `plan.py` makes runs of it.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from invprob.errors import ArgumentError
from invprob.registry import suggest
from invprob.run.config import Named

AXES = ("set", "image", "transform", "operator", "noise", "method", "seed")
CHOSEN = ("transform", "operator", "noise", "method")  # axes whose entries have labels in the file
NOTHING = "none"  # the label of no transform and of no noise


@dataclass(frozen=True)
class Link:
    """One operator of a chain; `pixels` are those options that are lengths at some image size."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    pixels: Mapping[str, float] = field(default_factory=dict)

    def named(self, scale: float) -> Named:
        """The operator at a size; lengths become whole pixels, where shifts blur nothing."""
        lengths = {name: round(value * scale) for name, value in self.pixels.items()}
        return Named(self.name, {**self.settings, **lengths})


@dataclass(frozen=True)
class Choice:
    """One entry of an axis: its label, what it builds, and where it lies in a plot over `x`.

    `chain` is in reading order and may be empty, which changes nothing; a noise and a method have
    one link. Entries of one `family` share a panel. `place` says where the file has it.
    """

    label: str
    chain: tuple[Link, ...] = ()
    x: float | None = None
    family: str = ""
    place: str = ""


@dataclass(frozen=True)
class MethodChoice(Choice):
    """A method, which may have its own steps and data term, restarts and a rule that stops it.

    With `coarse` it begins with images of that size. Where it cannot be built, an `optional` one is
    left out instead of stopping the sweep.
    """

    steps: int | None = None
    data_term: str | None = None
    coarse: int | None = None
    restarts: int | None = None
    stop: Link | None = None
    optional: bool = False


@dataclass(frozen=True)
class Pictures:
    """A set of pictures: samples of the package, files, folders, patterns; the first `most`."""

    label: str
    samples: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    most: int | None = None
    optional: bool = False
    place: str = ""


@dataclass(frozen=True)
class Exclusion:
    """Runs to leave out: those whose labels lie, on every axis named, among those given."""

    labels: Mapping[str, tuple[str, ...]]

    def covers(self, at: Mapping[str, str]) -> bool:
        """Whether a run with these labels is left out."""
        return all(at[axis] in labels for axis, labels in self.labels.items())


@dataclass(frozen=True)
class Scale:
    """A smaller (or larger) version of a sweep; what is None stays as it was.

    `most` pictures of each set; of the axes named, the entries with the labels given.
    """

    most: int | None = None
    steps: int | None = None
    seconds: float | None = None
    seeds: tuple[int, ...] | None = None
    kept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Sweep:
    """Everything that a sweep file says.

    `steps` None takes each method's own number. With `seconds`, each run gets as many steps as its
    pace allows in that time (`steps` at most) and is stopped when it is over. `pixels_at` is the
    image size for which lengths in pixels are meant; None: the prior's.
    """

    name: str
    pictures: tuple[Pictures, ...]
    operators: tuple[Choice, ...]
    methods: tuple[MethodChoice, ...]
    transforms: tuple[Choice, ...] = (Choice(NOTHING),)
    noises: tuple[Choice, ...] = (Choice(NOTHING),)
    seeds: tuple[int, ...] = (0,)
    purpose: str = ""
    steps: int | None = None
    seconds: float | None = None
    pixels_at: int | None = None
    prior: str = "faces-128"
    perceptual: str = "auto"
    lpips_weights: str | None = None
    data_term: str = "misfit"
    fit: str = "crop"
    grey: bool = False
    device: str = "auto"
    threads: int | None = None
    processes: int | None = None
    plugins: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ("method", "operator", "noise")
    exclude: tuple[Exclusion, ...] = ()
    scales: Mapping[str, Scale] = field(default_factory=dict)
    scale: str | None = None
    source: str = ""

    def choices(self, axis: str) -> tuple[Choice, ...]:
        """The entries of an axis among `CHOSEN`."""
        by_axis: dict[str, tuple[Choice, ...]] = {
            "transform": self.transforms,
            "operator": self.operators,
            "noise": self.noises,
            "method": self.methods,
        }
        return by_axis[axis]

    def scaled(self, name: str) -> "Sweep":
        """The sweep at one of its named scales; raises `ArgumentError` where there is none."""
        if name not in self.scales:
            known = ", ".join(self.scales) or "none"
            raise ArgumentError(
                f"{self.source}: there is no scale {name!r}.{suggest(name, self.scales)} "
                f"Scales of this sweep: {known}. A scale is a table [scale.{name}]."
            )
        scale = self.scales[name]
        most = scale.most
        pictures = tuple(
            one if most is None else dataclasses.replace(one, most=min(most, one.most or most))
            for one in self.pictures
        )
        methods = tuple(
            dataclasses.replace(one, steps=None) if scale.steps is not None else one
            for one in self.methods
        )
        return dataclasses.replace(
            self,
            pictures=pictures,
            methods=kept(methods, scale.kept.get("method")),
            transforms=kept(self.transforms, scale.kept.get("transform")),
            operators=kept(self.operators, scale.kept.get("operator")),
            noises=kept(self.noises, scale.kept.get("noise")),
            seeds=self.seeds if scale.seeds is None else scale.seeds,
            steps=self.steps if scale.steps is None else scale.steps,
            seconds=self.seconds if scale.seconds is None else scale.seconds,
            scale=name,
        )


def kept(choices: Sequence[Any], labels: Sequence[str] | None) -> tuple[Any, ...]:
    """The entries with these labels; all where there are no labels."""
    return tuple(one for one in choices if labels is None or one.label in labels)
