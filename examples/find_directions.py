"""Find edit directions in W for the labelled factors of rendered faces, and measure them.

    python examples/find_directions.py --assets FACES --renders renders --weights squeezenet.pth \
        [--prior faces-128] [--out extras.npz]

A direction is the average change of w where one factor grows by a standard deviation and all
others stay the same. It is a column of the regression of w on the factors that z stands for. Each
direction is then tried: samples are edited by -1 and +1, and a predictor that was fitted to
labelled renders says how far the factor moved, and how far the others did. The result is written
beside the generator, together with the statistics of W.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor
from training.data import find_images, read_images
from training.face_factors import load_renderer
from training.labels import LabelPredictor, effects, explained
from training.supervision import FaceCodes

from invprob.perceptual.distance import PerceptualDistance, find_perceptual
from invprob.priors import Generator, load_generator
from invprob.priors.generator_files import find_generator
from invprob.priors.stylegan.extras import Extras, FactorDirection, extras_path, save_extras
from invprob.priors.stylegan.statistics import sample_statistics
from invprob.streams import stream

NUMBERS = (
    *("smile", "grin", "mouth_open", "eyes_closed", "brow_raise", "frown", "squint"),
    *("age", "sex", "weight", "african", "asian", "darkness", "skin_red", "beard"),
    *("yaw", "pitch", "roll", "light_azimuth", "light_elevation", "light_ratio", "exposure"),
    *("warmth", "rim", "hair_brightness", "gaze_x", "bg_value", "bg_saturation", "garment_grey"),
)
NAMES = ("hair_colour", "hair_style", "eye_colour")


def main(
    assets: Annotated[Path, typer.Option(help="Folder that holds render_faces.py.")],
    renders: Annotated[Path, typer.Option(help="Folder of its renders, from number 0 on.")],
    weights: Annotated[Path, typer.Option(help="Weights of the predictor's trunk.")],
    prior: Annotated[str, typer.Option(help="Generator, by name or file.")] = "faces-128",
    labelled: Annotated[int, typer.Option(help="How many renders were trained on.")] = 40_000,
    fitted: Annotated[
        int, typer.Option(help="How many renders the predictor is fitted to.")
    ] = 12_000,
    held_out: Annotated[
        int, typer.Option(help="How many renders, the last ones, it is tested on.")
    ] = 1_000,
    draws: Annotated[
        int, typer.Option(help="How many w are drawn for regression and statistics.")
    ] = 100_000,
    samples: Annotated[int, typer.Option(help="How many samples are edited.")] = 24,
    out: Annotated[
        Path | None, typer.Option(help="File to write; default: beside the generator.")
    ] = None,
) -> None:
    """Print one line for each direction, and write all of them."""
    generator = load_generator(prior)
    renderer = load_renderer(assets)
    codes = FaceCodes(renderer, 0, range(labelled), generator.style_width)
    columns = label_columns(codes, renderer.TABLES, list(renderer.COLOURS), renderer.STYLES)
    names = list(columns)
    labels = codes.features[:, list(columns.values())]

    network = find_perceptual("auto", weights)
    assert isinstance(network, PerceptualDistance)
    predictor = LabelPredictor(network)
    paths = find_images(renders)[:labelled]
    seen = predictor.describe(batches(paths[:fitted], generator.resolution))
    predictor.fit(seen, labels[:fitted], ridge=0.03)
    last = slice(labelled - held_out, labelled)
    test = predictor.describe(batches(paths[last], generator.resolution))
    known = explained(predictor.predict(test), labels[last])

    directions = directions_of(generator, codes, draws)[list(columns.values())]
    rows = tuple(range(generator.num_layers))
    w = generator.mapping(torch.randn(samples, generator.style_width, generator=stream(0, "edit")))
    found: dict[str, FactorDirection] = {}
    print("direction  moved  others  R² of the predictor on held-out renders")
    for name, vector, certainty in zip(names, directions, known, strict=True):
        change = (
            predictor.predict(predictor.describe(drawn(generator, w + vector)))
            - predictor.predict(predictor.describe(drawn(generator, w - vector)))
        ) / 2
        moved, others = effects(change, names, name)
        found[name] = FactorDirection(name, vector, rows, round(moved, 3), round(others, 3))
        print(f"{name}  {moved:.2f}  {others:.2f}  {certainty:.2f}", flush=True)
    statistics = sample_statistics(generator, stream(0, "statistics"), count=draws)
    path = extras_path(find_generator(prior)) if out is None else out
    save_extras(Extras(statistics, found), generator, path)
    print(path)


def label_columns(
    codes: FaceCodes, tables: dict[str, dict[str, object]], colours: list[str], styles: list[str]
) -> dict[str, int]:
    """Return the columns of `codes.features` by label; an indicator's label has its value."""
    known = {"hair_colour": colours, "hair_style": styles, "eye_colour": tables["eye_colours"]}
    columns = {name: codes.columns()[name][0] for name in NUMBERS}
    for name in NAMES:
        values = np.unique(codes.factors[name])
        for value, column in zip(values, codes.columns()[name], strict=True):
            columns[f"{name}_{list(known[name])[int(value)]}"] = column
    return columns


@torch.no_grad()
def directions_of(generator: Generator, codes: FaceCodes, draws: int) -> Tensor:
    """Return (features, width): the regression of w on the features that z stands for."""
    z, features = codes.pairs(draws, np.random.default_rng(0))
    w = generator.mapping(z).double()
    x = torch.cat([features, torch.ones(draws, 1)], 1).double()
    gram = x.T @ x + 1e-3 * draws * torch.eye(x.shape[1], dtype=torch.float64)
    return torch.linalg.solve(gram, x.T @ w)[:-1].float()


def batches(paths: list[Path], size: int) -> list[Tensor]:
    """Yield images in [-1, 1], 50 at a time."""
    return [part.float() / 127.5 - 1 for part in read_images(paths, size).split(50)]


@torch.no_grad()
def drawn(generator: Generator, w: Tensor) -> list[Tensor]:
    """Draw images with one w for all layers and the stored noise maps."""
    rows = w[:, None].expand(-1, generator.num_layers, -1)
    return [generator.synthesis(part) for part in rows.split(16)]


if __name__ == "__main__":
    typer.run(main)
