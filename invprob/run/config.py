"""The settings of a run: one table, and the TOML file that holds a run's own."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from invprob.errors import ArgumentError, FileError
from invprob.run import scan_settings as scan
from invprob.run import unit_settings as unit
from invprob.run.settings import AT_LEAST_ONE, POSITIVE, SEED, Setting, parsed, settings_of
from invprob.run.settings import Named as Named
from invprob.run.together import MEASURED, check_together

FORMAT = "invprob-run"
VERSION = 1

USUAL_METHOD = Named("sphinx-adapted")

_measured = partial(Setting, heading=MEASURED, scope="run")
_solved = partial(Setting, heading="How it is solved", scope="method")
_computed = partial(Setting, heading="How it is computed", scope="sweep", identifies=False)


@dataclass(frozen=True)
class RunConfig:
    """What determines a run's result, besides versions and the machine (`environment.json`).

    Either `measurements` names a file that says by itself how they came about. Or the chain of
    `operators`, or the saved operator of which `spec` is the JSON, and `noise` say how `images` and
    `samples` are measured, or how `measured` were. Chains are in reading order: the last operator
    sees the image first. A setting is declared here and nowhere else (see `invprob.run.settings`).

    Raises:
        ArgumentError: where a value is out of range, or two settings contradict each other.
    """

    images: Annotated[
        tuple[str, ...],
        _measured(
            "Image files, or folders of them.",
            metavar="IMAGE",
            unset="the sample `face`",
            option="",  # the command's arguments
            file=True,
            identifies=False,
        ),
    ] = ()
    operators: Annotated[
        tuple[Named, ...],
        _measured(
            "What measures the image (see `invprob operators`). Repeat it to make a chain.",
            metavar="NAME",
            option="--operator",
        ),
    ] = ()
    spec: Annotated[
        str | None,
        _measured("A saved operator, as a JSON file, in place of a named one.", metavar="FILE"),
    ] = None
    noise: Annotated[
        Named | None,
        _measured(
            "What is added to the measurement (see `invprob operators`).",
            metavar="NAME",
            unset="nothing",
        ),
    ] = None
    measurements: Annotated[
        str | None,
        _measured(
            "Measurements made before, instead of an image (see `invprob measure`).",
            metavar="FILE",
            file=True,
        ),
    ] = None
    measured: Annotated[
        tuple[str, ...],
        _measured(
            "A picture, an array or a folder of them that is the measurement itself, such as a "
            "photo that is small, blurred or noisy, or the file of a scanner (see the page "
            "Importing). --operator and --noise say what made it so. May be repeated.",
            metavar="FILE",
            file=True,
            identifies=False,
        ),
    ] = ()
    image_range: unit.ImageRange = None
    gain: unit.Gain = None
    offset: unit.Offset = None
    data_weights: unit.DataWeights = None
    noise_covariance: unit.NoiseCovariance = None
    samples: Annotated[
        tuple[str, ...],
        _measured(
            "An image that ships with the package (see `invprob samples`). May be repeated.",
            metavar="NAME",
            option="--sample",
            identifies=False,
        ),
    ] = ()
    transforms: Annotated[
        tuple[Named, ...],
        _measured(
            "Operators applied to each image first; what they make of it is the truth.", option=""
        ),
    ] = ()
    fit: Annotated[
        Literal["crop", "pad", "stretch"], _measured("How an image becomes square.", scope="sweep")
    ] = "crop"
    align: Annotated[
        Literal["none", "face"],
        _measured(
            "face: turn, scale and shift each picture such that its face is where the generator "
            "draws faces. --paste lays the result back."
        ),
    ] = "none"
    white: Annotated[
        float | None,
        _measured(
            "The number in an image file that is white, such as 4095 for 12 bits.",
            metavar="NUMBER",
            unset="the largest that the file can hold",
            within=POSITIVE,
            scope="sweep",
        ),
    ] = None
    window: scan.Window = None
    frame: scan.Frame = None
    plane: scan.Plane = None
    index: scan.Index = None
    volume: scan.Volume = None
    dataset: scan.Dataset = None
    slice: scan.Slice = None
    repetition: scan.Repetition = None
    contrast: scan.Contrast = None
    angles: scan.Angles = None
    axes: scan.Axes = None
    keep_patient: scan.KeepPatient = False
    grey: Annotated[bool, _measured("Measure the luminance alone: one channel.", scope="sweep")] = (
        False
    )
    operator_seed: Annotated[
        int | None,
        _measured(
            "The seed of random operators.",
            metavar="N",
            unset="derived from --seed",
            within=SEED,
            scope="sweep",
        ),
    ] = None
    per_image: Annotated[bool, _measured("Give each image its own random operator.")] = False
    paste: Annotated[
        bool,
        _measured(
            "Also write pasted.png: the whole picture, with the result where it was cropped from.",
            identifies=False,
        ),
    ] = False
    prior: Annotated[
        str,
        _solved(
            "The generator (see `invprob priors`).",
            metavar="NAME|FILE",
            file=True,
            scope="sweep",
            identifies=False,
        ),
    ] = "faces-128"
    resolution: Annotated[
        int | None,
        _solved(
            "Use only the generator's blocks up to this size, in pixels.",
            metavar="N",
            unset="all of them",
            scope="sweep",
        ),
    ] = None
    label: Annotated[
        int | None,
        _solved(
            "The class to draw, where the generator is conditional.", metavar="N", scope="sweep"
        ),
    ] = None
    method: Annotated[
        Named,
        _solved(
            "How the generator is searched for the image (see `invprob methods`).",
            metavar="NAME",
            scope="run",
        ),
    ] = USUAL_METHOD
    data_term: Annotated[
        Literal["misfit", "likelihood", "stochastic"],
        _solved(
            "How the prediction is compared with the measurements. misfit: by squared differences. "
            "likelihood: by how likely the noise makes them. stochastic: by squared differences, "
            "after fresh noise is added to the prediction in each step."
        ),
    ] = "misfit"
    init: Annotated[
        Literal["default", "encoder"],
        _solved(
            "Where the search begins. default: where the method says. encoder: at the style rows "
            "that the generator's encoder finds in the measurements."
        ),
    ] = "default"
    coarse: Annotated[
        int | None,
        _solved(
            "Begin with the generator cut to this size and double it, with half of the method's "
            "steps at each size. The generator's own size: search at full size only.",
            metavar="PIXELS",
            unset="the method's choice; sphinx begins at a quarter where little is measured",
        ),
    ] = None
    steps: Annotated[
        int | None,
        _solved(
            "Optimisation steps in all.",
            metavar="N",
            unset="the method's number: 400 for sphinx at full size, 600 from a quarter of it",
            within=AT_LEAST_ONE,
        ),
    ] = None
    seconds: Annotated[
        float | None,
        _solved(
            "Stop after this many seconds of optimisation.",
            metavar="N",
            unset="no limit",
            within=POSITIVE,
            scope="sweep",
        ),
    ] = None
    restarts: Annotated[
        int,
        _solved(
            "Solve from N seeds, and keep the result that fits the data best.",
            metavar="N",
            within=AT_LEAST_ONE,
        ),
    ] = 1
    stop: Annotated[
        Named | None,
        _solved(
            "The rule that ends a solve before its steps are spent (see `invprob methods`).",
            metavar="none|NAME",
            unset="none",
            none="none",
        ),
    ] = None
    seed: Annotated[
        int,
        _solved(
            "The number from which all random draws derive.", metavar="N", within=SEED, scope="run"
        ),
    ] = 0
    perceptual: Annotated[
        Literal["auto", "none", "alex", "squeeze", "vgg", "st-vgg"],
        _solved(
            "The network behind the perceptual distance (LPIPS), which is a loss and a score.",
            unset="auto, the first of alex, squeeze and vgg that is on this machine",
            scope="sweep",
            identifies=False,
        ),
    ] = "auto"
    lpips_weights: Annotated[
        str | None,
        _solved(
            "A weight file of the perceptual network.",
            metavar="FILE",
            file=True,
            scope="sweep",
            identifies=False,
        ),
    ] = None
    device: Annotated[
        str,
        _computed(
            "The device that computes.",
            metavar="auto|cpu|cuda|cuda:N|mps",
            unset="auto, which takes CUDA, else Apple's MPS, else the CPU",
        ),
    ] = "auto"
    precision: Annotated[
        Literal["float32", "tf32", "bf16"],
        _computed("The precision of the generator's convolutions.", identifies=True),
    ] = "float32"
    memory: Annotated[
        Literal["normal", "low"],
        _computed("low: keep less in memory and compute parts twice. The result is the same."),
    ] = "normal"
    batch: Annotated[
        int | None,
        _computed(
            "How many images are solved at once. This changes the last digits of results.",
            metavar="auto|N",
            unset="auto, as many as fit into memory, at most 32 on a CPU",
            none="auto",
            within=AT_LEAST_ONE,
            scope="run",
        ),
    ] = None
    threads: Annotated[
        int | None,
        _computed("CPU threads.", metavar="N", unset="PyTorch's choice", within=AT_LEAST_ONE),
    ] = None
    plugins: Annotated[
        tuple[str, ...],
        _computed(
            "A Python file that registers operators, methods or other parts. May be repeated.",
            metavar="FILE",
            option="--plugin",
            file=True,
        ),
    ] = ()

    def __post_init__(self) -> None:
        for setting in SETTINGS.values():
            setting.check(getattr(self, setting.name))
        check_together(self, SETTINGS)

    @property
    def simulated(self) -> bool:
        """Whether the measurements are made of pictures, which are then known as the truth."""
        return self.measurements is None and not self.measured

    def to_toml(self) -> str:
        """The file's text; settings that are None or empty are left out."""
        import tomli_w  # command-line help imports this module, and needs no TOML

        written = {
            setting.name: setting.write(getattr(self, setting.name))
            for setting in SETTINGS.values()
            if getattr(self, setting.name) not in (None, ())
        }
        # TOML wants plain values before tables.
        tables = {name for name in written if SETTINGS[name].kind is Named}
        plain = {name: value for name, value in written.items() if name not in tables}
        return tomli_w.dumps({"format": FORMAT, "version": VERSION, **plain, **written})

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        from invprob.files import atomic_write

        with atomic_write(path) as temporary:
            temporary.write_text(self.to_toml(), "utf-8")

    @classmethod
    def from_toml(cls, text: str) -> "RunConfig":
        """The configuration that `to_toml` or a person wrote.

        Raises:
            ArgumentError: for what is no configuration of a run, or has a wrong key or value.
        """
        from invprob.registry import suggest

        table = parsed(text)
        if table.pop("format", None) != FORMAT:
            raise ArgumentError(f"this is not the configuration of a run (format = {FORMAT!r})")
        if table.pop("version", None) != VERSION:
            raise ArgumentError(f"the configuration must have version = {VERSION}")
        for key in table:
            if key not in SETTINGS:
                raise ArgumentError(
                    f"unknown key {key!r}.{suggest(key, SETTINGS)} Known: {', '.join(SETTINGS)}."
                )
        return cls(**{key: SETTINGS[key].read(value) for key, value in table.items()})

    @classmethod
    def load(cls, path: Path) -> "RunConfig":
        """Read a file; raises `FileError` or `ArgumentError`, which name it."""
        from invprob.files import file_error

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


SETTINGS = settings_of(RunConfig)  # the table, by name
