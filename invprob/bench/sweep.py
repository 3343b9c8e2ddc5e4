"""What a sweep is: images, operators, noises, methods and seeds, of which all combinations are run.

`read.py` reads a sweep from a TOML file, and `plan.py` plans its runs.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from invprob.errors import ArgumentError
from invprob.registry import suggest
from invprob.run.config import SETTINGS, Named

if TYPE_CHECKING:
    from invprob.bench.studies import Study

AXES = ("set", "image", "transform", "operator", "noise", "method", "seed")
CHOSEN = ("transform", "operator", "noise", "method")  # axes whose entries have labels in the file
COPY = "sweep.toml"  # the sweep file in the folder of the sweep
NOTHING = "none"  # the label of no transform and of no noise


@dataclass(frozen=True)
class Link:
    """One operator of a chain; `pixels` are the options that are lengths in pixels."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    pixels: Mapping[str, float] = field(default_factory=dict)

    def named(self, scale: float) -> Named:
        """The operator with its lengths scaled to whole pixels, so that shifts do not blur."""
        lengths = {name: round(value * scale) for name, value in self.pixels.items()}
        return Named(self.name, {**self.settings, **lengths})


@dataclass(frozen=True)
class Choice:
    """One entry of an axis.

    Attributes:
        label: Its name in tables and plots.
        chain: What it builds, in reading order. An empty chain changes nothing; a noise and a
            method have one link.
        x: Its place in a plot over the axis.
        family: Entries of one family share a panel of a plot.
        place: Its place in the file.
    """

    label: str
    chain: tuple[Link, ...] = ()
    x: float | None = None
    family: str = ""
    place: str = ""


@dataclass(frozen=True)
class MethodChoice(Choice):
    """A method with settings of its own, which win over those of the sweep.

    A method that cannot be built stops the sweep, but an `optional` one is left out.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    optional: bool = False


@dataclass(frozen=True)
class Pictures:
    """A set of images: the first `most` of samples, files, folders and patterns."""

    label: str
    samples: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    most: int | None = None
    optional: bool = False
    place: str = ""


@dataclass(frozen=True)
class Exclusion:
    """Runs to leave out: those whose label is listed on every axis that is named."""

    labels: Mapping[str, tuple[str, ...]]

    def covers(self, at: Mapping[str, str]) -> bool:
        """Whether a run with these labels is left out."""
        return all(at[axis] in labels for axis, labels in self.labels.items())


@dataclass(frozen=True)
class Scale:
    """A smaller or larger version of a sweep; what is not given stays as it was.

    Attributes:
        most: How many images of each set are used.
        settings: Settings of all runs, in place of the sweep's and of the methods' own.
        seeds: Seeds in place of the sweep's.
        kept: For each axis named, the labels of the entries that are used.
    """

    most: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] | None = None
    kept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Sweep:
    """Everything that a sweep file says.

    `settings` are those of all runs, by their names in `RunConfig`; the others have their defaults.
    With `seconds`, a run gets as many steps as fit into that time, and at most `steps`. `pixels_at`
    is the image size for which lengths in pixels are meant; None stands for the generator's.
    """

    name: str
    pictures: tuple[Pictures, ...]
    operators: tuple[Choice, ...]
    methods: tuple[MethodChoice, ...]
    transforms: tuple[Choice, ...] = (Choice(NOTHING),)
    noises: tuple[Choice, ...] = (Choice(NOTHING),)
    seeds: tuple[int, ...] = (0,)
    purpose: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    pixels_at: int | None = None
    processes: int | None = None
    group_by: tuple[str, ...] = ("method", "operator", "noise")
    exclude: tuple[Exclusion, ...] = ()
    studies: tuple["Study", ...] = ()
    scales: Mapping[str, Scale] = field(default_factory=dict)
    scale: str | None = None
    source: str = ""

    def setting(self, name: str) -> Any:
        """A setting of all runs: the sweep's, or the default."""
        return self.settings.get(name, SETTINGS[name].default)

    def with_settings(self, settings: Mapping[str, Any]) -> "Sweep":
        """The sweep with these settings for all runs; they win over methods' own, too."""
        methods = tuple(
            dataclasses.replace(
                one,
                settings={name: own for name, own in one.settings.items() if name not in settings},
            )
            for one in self.methods
        )
        return dataclasses.replace(self, methods=methods, settings={**self.settings, **settings})

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
        """The sweep at one of its scales; raises `ArgumentError` if there is none of that name."""
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
        changed = self.with_settings(scale.settings)
        return dataclasses.replace(
            changed,
            pictures=pictures,
            methods=kept(changed.methods, scale.kept.get("method")),
            transforms=kept(self.transforms, scale.kept.get("transform")),
            operators=kept(self.operators, scale.kept.get("operator")),
            noises=kept(self.noises, scale.kept.get("noise")),
            seeds=self.seeds if scale.seeds is None else scale.seeds,
            scale=name,
        )


def kept(choices: Sequence[Any], labels: Sequence[str] | None) -> tuple[Any, ...]:
    """The entries with these labels; all entries if there are no labels."""
    return tuple(one for one in choices if labels is None or one.label in labels)
