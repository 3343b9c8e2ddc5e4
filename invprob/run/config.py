"""The settings of a run, and the TOML file that brings it back."""

import dataclasses
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from invprob.errors import ArgumentError, FileError
from invprob.files import atomic_write, file_error
from invprob.registry import suggest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FORMAT = "invprob-run"
VERSION = 1
FITS = ("crop", "pad", "stretch")
PRECISIONS = ("float32", "tf32", "bf16")
MEMORIES = ("normal", "low")


@dataclass(frozen=True)
class Named:
    """A registered name and the settings given to it; what is not given has its default."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_table(cls, table: object, where: str) -> "Named":
        """Read `{name = "rotate", degrees = 10}`; raises `ArgumentError` for anything else."""
        if not isinstance(table, dict) or not isinstance(table.get("name"), str):
            raise ArgumentError(f"{where} must be a table with a name, got {table!r}")
        settings = {key: value for key, value in table.items() if key != "name"}
        return cls(table["name"], settings)

    def to_table(self) -> dict[str, Any]:
        """The inverse of `from_table`; TOML has no null, so None is left out."""
        given = {key: value for key, value in self.settings.items() if value is not None}
        return {"name": self.name, **given}


@dataclass(frozen=True)
class RunConfig:
    """What determines a run's result, besides versions and machine (see `environment.json`).

    Either `measurements` names a file, or `images` and `samples` are measured by `operators`, in
    reading order (the last sees the image first), or by the operator of which `spec` is the JSON,
    with `noise`. `transforms` are operators, too, in reading order: what they make of a picture is
    the truth that is measured. `resolution` takes the lower blocks of the generator alone, `label`
    one class of a conditional one. `data_term` is misfit, likelihood or stochastic, `init` default
    or encoder, `coarse` the size to begin with (`methods.make`). `steps` None takes the method's
    own number, `operator_seed` None derives one; `per_image` draws random operators anew for each
    image. `stop` names a rule that ends a solve early (`invprob.solver.stopping`). After `seconds`
    in the loop, if they are given, a run stops where it is. `batch` images are solved at once,
    None: as many as fit into memory, on a CPU 32 at most; it changes their last digits, as
    `precision` and `threads` do. Raises `ArgumentError` where values are out of range or contradict
    each other.
    """

    images: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    measurements: str | None = None
    transforms: tuple[Named, ...] = ()
    operators: tuple[Named, ...] = ()
    spec: str | None = None
    noise: Named | None = None
    grey: bool = False
    fit: str = "crop"
    prior: str = "faces-128"
    resolution: int | None = None
    label: int | None = None
    method: Named = Named("sphinx")
    data_term: str = "misfit"
    init: str = "default"
    coarse: int | None = None
    steps: int | None = None
    seconds: float | None = None
    restarts: int = 1
    stop: Named | None = None
    seed: int = 0
    operator_seed: int | None = None
    per_image: bool = False
    perceptual: str = "auto"
    lpips_weights: str | None = None
    device: str = "auto"
    precision: str = "float32"
    memory: str = "normal"
    batch: int | None = None
    threads: int | None = None
    plugins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise ArgumentError(
                f"fit must be crop, pad or stretch, got {self.fit!r}.{suggest(self.fit, FITS)}"
            )
        for name, known in (("precision", PRECISIONS), ("memory", MEMORIES)):
            value = getattr(self, name)
            if value not in known:
                raise ArgumentError(
                    f"{name} must be {', '.join(known)}, got {value!r}.{suggest(value, known)}"
                )
        for name in ("steps", "restarts", "batch", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ArgumentError(f"{name} must be at least 1, got {value}")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise ArgumentError(f"seconds must be a number above 0, got {self.seconds}")
        for name in ("seed", "operator_seed"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 2**63:
                raise ArgumentError(f"{name} must be from 0 to 2**63 - 1, got {value}")
        if self.measurements is not None:
            self._check_measured()
        elif self.spec is not None:
            self._check_saved(self.spec)
        elif not self.operators:
            raise ArgumentError(
                "name what measures the image (--operator NAME, see `invprob operators`), "
                "or give measurements (--measurements FILE)"
            )
        if self.measurements is None and not (self.images or self.samples):
            raise ArgumentError("there is no image: name a file, or a sample (--sample NAME)")

    def _check_measured(self) -> None:
        """A file of measurements says by itself how they came about."""
        default = {item.name: item.default for item in dataclasses.fields(self)}
        settled = (
            "transforms",
            "operators",
            "spec",
            "noise",
            "operator_seed",
            "per_image",
            "grey",
            "fit",
            "images",
            "samples",
        )
        for name in settled:
            if getattr(self, name) != default[name]:
                flag = {"operators": "--operator", "samples": "--sample", "images": "an image"}
                raise ArgumentError(
                    f"{flag.get(name, '--' + name.replace('_', '-'))} was given beside "
                    f"--measurements {self.measurements}, which already settles it; leave one out"
                )

    def _check_saved(self, spec: str) -> None:
        """A saved operator is whole: it has its options and its seed."""
        for name, given in (
            ("operator", self.operators),
            ("operator-seed", self.operator_seed),
            ("per-image", self.per_image),
        ):
            if given not in ((), None, False):
                raise ArgumentError(
                    f"--{name} was given beside a saved operator (--spec); leave one out"
                )
        try:
            whole = isinstance(json.loads(spec), dict)
        except ValueError:
            whole = False
        if not whole:
            raise ArgumentError(f"spec must be the JSON of an operator's spec, got {spec!r}")

    def to_toml(self) -> str:
        """The file's text; values that are None or empty are left out."""
        table: dict[str, Any] = {"format": FORMAT, "version": VERSION}
        nested: dict[str, Any] = {}  # TOML wants plain values before tables
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if value is None or value == ():
                continue
            if isinstance(value, Named):
                nested[item.name] = value.to_table()
            elif isinstance(value, tuple) and isinstance(value[0], Named):
                nested[item.name] = [named.to_table() for named in value]
            else:
                table[item.name] = list(value) if isinstance(value, tuple) else value
        return tomli_w.dumps({**table, **nested})

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        with atomic_write(path) as temporary:
            temporary.write_text(self.to_toml(), "utf-8")

    @classmethod
    def from_toml(cls, text: str) -> "RunConfig":
        """Read what `to_toml` wrote, or a person; raises `ArgumentError` that names the key."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ArgumentError(f"this is not TOML: {error}") from None
        if table.pop("format", None) != FORMAT:
            raise ArgumentError(f"this is not the configuration of a run (format = {FORMAT!r})")
        if table.pop("version", None) != VERSION:
            raise ArgumentError(f"the configuration must have version = {VERSION}")
        known = {item.name: item for item in dataclasses.fields(cls)}
        settings: dict[str, Any] = {}
        for key, value in table.items():
            if key not in known:
                raise ArgumentError(
                    f"unknown key {key!r}.{suggest(key, known)} Known: {', '.join(known)}."
                )
            settings[key] = _read(key, value)
        return cls(**settings)

    @classmethod
    def load(cls, path: Path) -> "RunConfig":
        """Read a file; raises `FileError` or `ArgumentError`, which name it."""
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            raise FileError(f"{str(path)!r} is not a text file") from None
        except OSError as error:
            raise file_error(path, error, "read") from None
        try:
            return cls.from_toml(text)
        except ArgumentError as error:
            raise ArgumentError(f"{path}: {error}") from None


_WORDS = (
    "measurements",
    "spec",
    "fit",
    "prior",
    "data_term",
    "init",
    "perceptual",
    "lpips_weights",
    "device",
    "precision",
    "memory",
)
_NUMBERS = (
    *("steps", "restarts", "seed", "operator_seed", "batch", "threads", "resolution", "label"),
    "coarse",
)


def _read(key: str, value: Any) -> Any:
    if key in ("noise", "method", "stop"):
        return Named.from_table(value, key)
    if key in _WORDS:
        return _of_type(key, value, str, "a string")
    if key in _NUMBERS:
        return _of_type(key, value, int, "a whole number")
    if key == "seconds":
        return float(_of_type(key, value, (int, float), "a number"))
    if key in ("grey", "per_image"):
        return _of_type(key, value, bool, "true or false")
    items = _of_type(key, value, list, "a list")
    if key in ("operators", "transforms"):
        return tuple(Named.from_table(item, f"{key}[{at}]") for at, item in enumerate(items))
    return tuple(_of_type(f"{key}[{at}]", item, str, "a string") for at, item in enumerate(items))


def _of_type(key: str, value: Any, kind: type | tuple[type, ...], article: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
        raise ArgumentError(f"{key} must be {article}, got {value!r}")
    return value
