"""Put a trained generator where the package finds it by name.

    python examples/ship_generator.py run/generator.safetensors --name faces-128 \
        --purpose "synthetic human faces" --licence CC0-1.0 [--figures figures.json]

The script copies the file and its companion into `priors/data` and writes the card `NAME.json`
beside them: configuration, sha256, purpose, and measured figures. Loader and tests read the card,
so a better training replaces the file without a change of code.
"""

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from invprob.errors import ArgumentError, InvprobError
from invprob.files import atomic_write, sha256_of
from invprob.priors import load_generator
from invprob.priors.stylegan.extras import extras_path, load_extras

DATA = Path(__file__).resolve().parent.parent / "priors" / "data"


def main(
    generator: Annotated[Path, typer.Argument(help="Native generator file.")],
    name: Annotated[str, typer.Option(help="Name of the generator.")],
    purpose: Annotated[str, typer.Option(help="What it draws, in one line.")],
    licence: Annotated[str, typer.Option(help="SPDX name of its licence.")],
    figures: Annotated[
        Path | None, typer.Option(help="JSON file with figures and their values.")
    ] = None,
    into: Annotated[Path, typer.Option(help="Folder for generators and cards.")] = DATA,
) -> None:
    """Check the file and its companion, copy them, write the card."""
    try:
        card = ship(generator, into, name, purpose, licence, _figures(figures))
    except InvprobError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(str(card))


def ship(
    source: Path, into: Path, name: str, purpose: str, licence: str, figures: dict[str, Any]
) -> Path:
    """Copy `source` and its companion as `name` and write the card; returns the card's path."""
    loaded = load_generator(source)
    load_extras(source, loaded)  # raises an error for a companion of other weights
    target = into / f"{name}.safetensors"
    for origin, copy in ((source, target), (extras_path(source), extras_path(target))):
        with atomic_write(copy) as temporary:
            shutil.copyfile(origin, temporary)
    card = {
        "name": name,
        "file": target.name,
        "sha256": sha256_of(target),
        "config": loaded.config.to_json(),
        "purpose": purpose,
        "licence": licence,
        "card": "MODEL_CARD.md",
        "figures": figures,
    }
    path = into / f"{name}.json"
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return path


def _figures(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        figures = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ArgumentError(f"--figures {path} cannot be read: {error}") from None
    if not isinstance(figures, dict):
        raise ArgumentError(f"--figures {path} must hold an object of figures")
    return figures


if __name__ == "__main__":
    typer.run(main)
