"""Settings of a run that contradict each other, or lack one another."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from invprob.errors import ArgumentError
from invprob.run.settings import RunSetting

if TYPE_CHECKING:
    from invprob.run.config import RunConfig

MEASURED = "What is measured"  # the heading of the settings that a file of measurements settles

OF_MEASURED = ("image_range", "gain", "offset", "data_weights", "noise_covariance")


class Asked(NamedTuple):
    """The units that the settings name, as `Measurements.from_array` takes them."""

    image_range: tuple[float, float] | None
    gain: "float | Literal['auto']"
    offset: "float | Literal['auto']"


def read_units(config: "RunConfig") -> Asked:
    """Read the settings image_range, gain and offset.

    Raises:
        ArgumentError: one of them is no number.
    """
    limits = None
    if config.image_range is not None:
        words = config.image_range.replace(",", " ").split()
        numbers = [_number(word) for word in words]
        low, high = (*numbers, None, None)[:2]
        if len(words) != 2 or low is None or high is None or not low < high:
            raise ArgumentError(
                "--image-range must be two numbers, black and then the larger white, such as "
                f'--image-range "0 255", got {config.image_range!r}'
            )
        limits = (low, high)
    return Asked(limits, _known("gain", config.gain, 1.0), _known("offset", config.offset, 0.0))


def _known(name: str, text: str | None, usual: float) -> "float | Literal['auto']":
    if text is None:
        return usual
    if text == "auto":
        return "auto"
    number = _number(text)
    if number is None or (name == "gain" and number == 0):
        other = " other than 0" if name == "gain" else ""
        raise ArgumentError(f"--{name} must be auto or a number{other}, got {text!r}")
    return number


def _number(text: str) -> float | None:
    """The finite number that a word is, if it is one."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def check_together(config: "RunConfig", settings: Mapping[str, RunSetting]) -> None:
    """See that the settings of a run fit together.

    Args:
        config: the run's.
        settings: the table, by name.

    Raises:
        ArgumentError: two of them contradict each other, or one is missing.
    """
    if config.window is not None:
        _check_window(config, config.window)
    if config.measurements is not None:
        _check_settled(config, settings, config.measurements)
        return
    if config.align != "none" and not config.images:
        raise ArgumentError(
            "--align face is for pictures that are measured here: name one, or leave it out; a "
            "measurement (--measured) would be spoilt by turning it"
        )
    if config.spec is not None:
        _check_saved(config, settings, config.spec)
    elif not config.operators:
        raise ArgumentError(
            "name what measures the image (--operator NAME, see `invprob operators`), "
            "or give measurements (--measurements FILE)"
        )
    read_units(config)
    if not (config.images or config.measured):
        _check_no_scan(config, settings)
    if config.measured:
        _check_no_truth(config, settings)
        return
    for name in OF_MEASURED:
        if getattr(config, name) is not None:
            raise ArgumentError(
                f"{_given(settings[name])} is for measurements that were made elsewhere, and these "
                "are simulated of images in [-1, 1]; leave it out, or name the measurements: "
                "--measured FILE"
            )
    if not (config.images or config.samples):
        raise ArgumentError("there is no image: name a file, or a sample (--sample NAME)")


def _check_no_scan(config: "RunConfig", settings: Mapping[str, RunSetting]) -> None:
    """What picks a part of a file needs a file."""
    for name in ("window", "frame", "plane", "index", "volume", "dataset"):
        if getattr(config, name) is not None:
            raise ArgumentError(
                f"{_given(settings[name])} picks a part of a file, and none is named; leave it out"
            )


def _check_window(config: "RunConfig", window: str) -> None:
    """A window is one of values; a stopping rule has an option of the same name."""
    from invprob.formats.window import parse_window  # here, as help does not need it

    try:
        parse_window(window)
    except ArgumentError as error:
        rule = config.stop.name if config.stop else "plateau"
        raise ArgumentError(
            f"{error}; that of a stopping rule is written --stop {rule}:window={window}"
            if window.isdecimal()
            else str(error)
        ) from None


def _check_settled(
    config: "RunConfig", settings: Mapping[str, RunSetting], measurements: str
) -> None:
    """A file of measurements says by itself how they came about."""
    if config.paste:
        raise ArgumentError(
            f"--paste needs the picture that was measured, and {measurements} holds none; leave it "
            "out"
        )
    for setting in settings.values():
        settled = setting.about.heading == MEASURED and setting.name != "measurements"
        if settled and getattr(config, setting.name) != setting.default:
            raise ArgumentError(
                f"{_given(setting)} was given beside --measurements {measurements}, which already "
                "settles it; leave one out"
            )


def _check_no_truth(config: "RunConfig", settings: Mapping[str, RunSetting]) -> None:
    """What is measured already has no truth beside it."""
    for name in ("images", "samples", "transforms"):
        if getattr(config, name):
            raise ArgumentError(
                f"{_given(settings[name])} was given beside --measured {config.measured[0]}, which "
                "is the measurement itself; leave one out, or write --measured before each file "
                "that is a measurement"
            )


def _check_saved(config: "RunConfig", settings: Mapping[str, RunSetting], spec: str) -> None:
    """A saved operator is whole: it has its options and its seed."""
    import json  # here, like all that command-line help does not need

    for name in ("operators", "operator_seed", "per_image"):
        setting = settings[name]
        if getattr(config, name) != setting.default:
            raise ArgumentError(
                f"{setting.option} was given beside a saved operator (--spec); leave one out"
            )
    try:
        whole = isinstance(json.loads(spec), dict)
    except ValueError:
        whole = False
    if not whole:
        raise ArgumentError(f"spec must be the JSON of an operator's spec, got {spec!r}")


def _given(setting: RunSetting) -> str:
    """What the user wrote for a setting."""
    return setting.option or setting.metavar or setting.name
