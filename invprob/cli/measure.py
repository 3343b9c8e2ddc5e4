"""`invprob measure` and `invprob import-measurements`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from invprob.cli.common import (
    FREE_OPTIONS,
    AsJson,
    PartsCommand,
    Quiet,
    Words,
)
from invprob.cli.printing import print_json
from invprob.cli.run_options import Given, read_settings, takes_settings
from invprob.run.config import RunConfig
from invprob.run.together import OF_MEASURED

if TYPE_CHECKING:
    from torch import Tensor

    from invprob.measurements import Measurements

Target = Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")]
Size = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="The side of the images, in pixels. Default: that of the saved operator, or 128.",
    ),
]
SCANNED = ("window", "frame", "plane", "index", "volume", "dataset", "keep_patient")
RAW = ("slice", "repetition", "contrast", "angles", "axes")
Replace = Annotated[bool, typer.Option("--overwrite", help="Replace the file.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(cls=PartsCommand, context_settings=FREE_OPTIONS)(measure)
    app.command("import-measurements", cls=PartsCommand, context_settings=FREE_OPTIONS)(
        import_measurements
    )


@takes_settings(
    "operators",
    "spec",
    "noise",
    "samples",
    "fit",
    "white",
    *SCANNED,
    "grey",
    "seed",
    "operator_seed",
    "per_image",
    "plugins",
)
def measure(
    context: typer.Context,
    out: Target,
    given: Given,
    words: Words = None,
    size: Size = None,
    overwrite: Replace = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure images, and write the measurements for `invprob solve --measurements FILE`."""
    from invprob.measurements import snr
    from invprob.operators.observed import Observed
    from invprob.run.inputs import measure_inputs

    config = _config(context, words, given)
    _check_target(out, overwrite=overwrite)
    measurements, inputs = measure_inputs(config, _size(config, size))
    measurements.save(out)
    if not (quiet or as_json):
        for note in inputs.notes:
            typer.echo(note, err=True)
    ratios = None
    if measurements.noise_spec is not None:
        operator = measurements.operator()
        observed = Observed(operator)
        clean = observed.shown(operator(inputs.images))
        ratios = snr(clean, observed.shown(measurements.values))
    _report(measurements, ratios, out, as_json=as_json, quiet=quiet)


@takes_settings(
    "operators",
    "spec",
    "noise",
    *OF_MEASURED,
    "fit",
    "white",
    *SCANNED,
    *RAW,
    "grey",
    "seed",
    "operator_seed",
    "plugins",
)
def import_measurements(
    context: typer.Context,
    out: Target,
    given: Given,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="Arrays of NumPy, HDF5 or MATLAB, raw data of ISMRMRD, fastMRI or BART, sinograms "
            "in TIFF, or pictures.",
        ),
    ] = None,
    size: Size = None,
    overwrite: Replace = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Import measurements that were made elsewhere, with the operator that describes them."""
    from invprob.errors import ArgumentError
    from invprob.run.inputs import with_absolute_paths
    from invprob.run.measured import load_measured

    settings = read_settings(context, words, given)
    files = settings.pop("images", ())
    if not files:
        raise ArgumentError("name the file of the measurements: an array, raw data or a picture")
    config = with_absolute_paths(RunConfig(**settings, measured=files))
    _check_target(out, overwrite=overwrite)
    measurements, notes = load_measured(config, _size(config, None), size)
    measurements.save(out)
    if not (quiet or as_json):
        for note in (*notes, *measurements.units.notes()):
            typer.echo(note, err=True)
    _report(measurements, None, out, as_json=as_json, quiet=quiet)


def _config(context: typer.Context, words: Sequence[str] | None, given: Given) -> RunConfig:
    """The part of a run's configuration that measuring needs."""
    from invprob.run.inputs import expand

    settings = read_settings(context, words, given)
    return RunConfig(**{**settings, "images": expand(settings.get("images", ()))})


def _size(config: RunConfig, size: int | None) -> int:
    """The side of the images: as asked for, else that of the saved operator's images, else 128."""
    import json

    from invprob.run.operator_file import rebuild

    if size is not None:
        return size
    if config.spec is None:
        return 128
    return rebuild(json.loads(config.spec), "the saved operator").image_shape[-1]


def _check_target(out: Path, *, overwrite: bool) -> None:
    from invprob.errors import FileError

    if out.exists() and not (overwrite and out.is_file()):
        raise FileError(f"{str(out)!r} exists; choose another --out, or replace it: --overwrite")


def _report(
    measurements: "Measurements",
    ratios: "Tensor | None",
    out: Path,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Print what was measured and, in the last line, the file."""
    from invprob.operators.observed import Observed

    batch, *shape = measurements.values.shape
    count = int(Observed(measurements.operator()).counts.min())
    about = {
        "file": str(out),
        "images": batch,
        "image_shape": list(measurements.image_shape),
        "measurement_shape": shape,
        "measurements": count,
        "snr": None if ratios is None else [float(ratio) for ratio in ratios],
        "fingerprint": measurements.fingerprint,
    }
    if as_json:
        print_json(about)
        return
    if not quiet:
        typer.echo(
            f"{batch} x {tuple(measurements.image_shape)} -> {batch} x {tuple(shape)}, "
            f"{count:,} measurements an image"
        )
        if ratios is not None:
            values = ", ".join(f"{float(ratio):.2f}" for ratio in ratios)
            typer.echo(f"SNR {values} dB")
    typer.echo(str(out))
