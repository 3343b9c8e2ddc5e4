"""`invprob convert`: from a generator file of any known format to the native or rosinality's."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from invprob.cli.common import AsJson, Quiet
from invprob.cli.printing import print_json
from invprob.cli.run_options import Given, takes_settings

if TYPE_CHECKING:
    from invprob.priors.stylegan.extras import Extras
    from invprob.priors.stylegan.generator import Generator

SUFFIX = {"native": ".safetensors", "rosinality": ".pt"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(convert)


@takes_settings("resolution", "label")
def convert(
    file: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A generator.")],
    given: Given,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The file to write; it must not exist yet.")
    ],
    to: Annotated[
        str, typer.Option(metavar="native|rosinality", help="The format to write.")
    ] = "native",
    dtype: Annotated[
        str,
        typer.Option(
            metavar="float|half", help="The precision of the numbers; half halves the file."
        ),
    ] = "float",
    draws: Annotated[
        int, typer.Option(metavar="N", help="Draws of w for the statistics of W; 0 computes none.")
    ] = 100_000,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Convert a generator file, and write the statistics of its latent space W beside it."""
    import torch

    from invprob.errors import ArgumentError
    from invprob.files import sha256_of
    from invprob.priors.checkpoints.rosinality import multiplier
    from invprob.priors.generator_files import find_generator, load_generator, save_generator
    from invprob.priors.stylegan.extras import extras_path, save_extras

    precision = {"float": torch.float32, "half": torch.float16}.get(dtype)
    if precision is None:
        raise ArgumentError(f"--dtype must be float or half, not {dtype!r}")
    if to not in SUFFIX:
        raise ArgumentError(f"--to must be native or rosinality, not {to!r}")
    if draws != 0 and draws < 2:
        raise ArgumentError(f"--draws must be 0 or at least 2, not {draws}")
    _check_free(out, SUFFIX[to], extras_path(out) if to == "native" else None)
    generator = load_generator(file, resolution=given.get("resolution"), label=given.get("label"))
    # Rounded first, so that the statistics are those of the network in the file.
    generator = generator.to(precision).float()
    about: dict[str, Any] = {
        "file": str(out),
        "format": to,
        **generator.config.to_json(),
        "parameters": sum(value.numel() for value in generator.parameters()),
        "dtype": dtype,
        "dropped": list(generator.dropped),
        "notes": list(generator.notes),
    }
    if to == "rosinality":
        factor = multiplier(generator.config)
        _write_rosinality(generator, out, precision)
        about["channel_multiplier"] = factor
        line = _rosinality_constructor(generator, factor)
    else:
        extras = _extras(file, generator, draws, quiet=quiet)
        origin = {"source": file, "sha256": sha256_of(find_generator(file)), **generator.options}
        origin |= {"notes": list(generator.notes)} if generator.notes else {}
        save_generator(generator, out, dtype=precision, origin=origin)
        if extras is not None:
            save_extras(extras, generator, extras_path(out))
        about["statistics"] = None if extras is None else str(extras_path(out))
        line = _summary(generator, extras)
    about["sha256"] = sha256_of(out)
    if as_json:
        print_json(about)
        return
    if not quiet:
        for text in (line, *generator.notes):
            typer.echo(text)
    typer.echo(str(out))


def _check_free(out: Path, suffix: str, beside: Path | None) -> None:
    """Refuse to replace a file, before the work begins."""
    from invprob.errors import FileError

    if out.suffix.lower() != suffix:
        raise FileError(f"{str(out)!r} must end in {suffix}")
    for path in (out, beside):
        if path is not None and path.exists():
            raise FileError(f"{str(path)!r} exists; choose another --out, or remove it first")
    if not out.parent.is_dir():
        raise FileError(f"{str(out)!r} cannot be written: make the folder {str(out.parent)!r}")


def _extras(file: str, generator: "Generator", draws: int, *, quiet: bool) -> "Extras | None":
    """The statistics of W with the source's directions; None for a generator of many classes."""
    from invprob.cli.display import track
    from invprob.priors.generator_files import find_generator, load_generator
    from invprob.priors.stylegan.extras import Extras, extras_path, load_extras
    from invprob.priors.stylegan.statistics import draws_of_w, statistics_of
    from invprob.streams import stream

    if draws == 0 or generator.config.labels:
        return None
    batches = draws_of_w(generator, stream(0, "statistics of w"), count=draws)
    statistics = statistics_of(track(batches, draws, "statistics of W", quiet=quiet))
    if not extras_path(find_generator(file)).exists():
        return Extras(statistics)
    source = load_generator(file, resolution=generator.options.get("resolution"))
    return Extras(statistics, load_extras(file, source).directions)


def _write_rosinality(generator: "Generator", out: Path, precision: Any) -> None:
    import torch

    from invprob.files import atomic_write
    from invprob.priors.checkpoints.rosinality import to_rosinality

    content = to_rosinality(generator)
    state = {name: value.to(precision) for name, value in content["g_ema"].items()}
    # As bytes, so that a full disk is an OSError, which `atomic_write` puts into one line.
    memory = io.BytesIO()
    torch.save({"g_ema": state, "latent_avg": content["latent_avg"].to(precision)}, memory)
    with atomic_write(out) as temporary:
        temporary.write_bytes(memory.getbuffer())


def _rosinality_constructor(generator: "Generator", factor: int | None) -> str:
    """What to write in rosinality's code, so that it builds the network of the file."""
    config = generator.config
    sizes = f"size={config.resolution}, style_dim={config.style_width}"
    sizes += f", n_mlp={config.mapping_layers}"
    if factor is not None:
        return f"to load it in rosinality's code: Generator({sizes}, channel_multiplier={factor})"
    channels = {4 << block: count for block, count in enumerate(config.channels)}
    return (
        f"to load it in rosinality's code: Generator({sizes}), after self.channels in "
        f"Generator.__init__ (model.py) is set to {channels}; no argument sets these numbers"
    )


def _summary(generator: "Generator", extras: "Extras | None") -> str:
    """What was converted, in one line."""
    config = generator.config
    parts = [f"{config.resolution} px", f"{config.num_layers} style rows of {config.style_width}"]
    if generator.dropped:
        parts.append(f"without {len(generator.dropped)} upper layers")
    if extras is not None:
        parts.append(f"statistics of {extras.statistics.count} draws of w")
    elif config.labels:
        parts.append(f"no statistics of w, which need one of {config.labels} classes: --label N")
    return " · ".join(parts)
