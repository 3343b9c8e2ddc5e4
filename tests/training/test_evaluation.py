"""The scripts that measure and ship a generator, run as a maintainer would, on little data."""

import json
from pathlib import Path

import networks
import numpy as np
import pytest
import shared_files
import torch
from PIL import Image
from scripts import EXAMPLES, run_script
from solved import solution_of
from training.labels import LabelPredictor, effects, explained

from invprob.files import sha256_of
from invprob.perceptual.distance import PerceptualDistance, find_perceptual
from invprob.priors import load_generator, save_generator
from invprob.priors.stylegan.extras import (
    Extras,
    FactorDirection,
    extras_path,
    load_extras,
    save_extras,
)
from invprob.priors.stylegan.generator import GeneratorConfig
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.priors.stylegan.statistics import sample_statistics


def run(script: str, *arguments: object) -> str:
    done = run_script(EXAMPLES / script, *arguments)
    assert done.status == 0, done.out + done.err
    return done.out


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A random 32 px generator and its companion."""
    generator = networks.random_generator()
    path = tmp_path / "small.safetensors"
    save_generator(generator, path)
    statistics = sample_statistics(generator, torch.Generator().manual_seed(0), count=500)
    save_extras(Extras(statistics), generator, extras_path(path))
    return path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two disjoint sets of alike textures."""
    rng = np.random.default_rng(0)
    made = tmp_path / "one", tmp_path / "other"
    for folder in made:
        folder.mkdir()
        for index in range(40):
            coarse = rng.integers(60, 200, (8, 8, 3), dtype=np.uint8)
            grain = np.kron(coarse, np.ones((4, 4, 1))) + rng.normal(0, 20, (32, 32, 3))
            image = Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8))
            image.save(folder / f"{index}.png")
    return made


def test_distances_tell_the_same_kind_from_a_blurred_one(
    small: Path, folders: tuple[Path, Path]
) -> None:
    weights = shared_files.shared("weights/alexnet_features.pth")
    one, other = folders
    told = run(
        *("frechet_distance.py", "--images", one, "--others", other),
        *("--weights", weights, "--prior", small, "--count", 40),
    )
    words = told.splitlines()[-1].split()
    assert words[0] == "alex:"
    samples, alike, blurred = float(words[2]), float(words[5]), float(words[7])
    assert 0 < alike < blurred < samples


def test_inversion_prints_a_line_a_method(small: Path, folders: tuple[Path, Path]) -> None:
    told = run(
        *("invert_renders.py", "--images", folders[0], "--prior", small),
        *("--count", 2, "--steps", 3, "--seeds", 1),
        *("--weights", shared_files.shared("weights/squeezenet1_1_features.pth")),
    )
    labels = [line.split("  ")[-1] for line in told.splitlines() if "(" in line and "s)" in line]
    assert [label.rpartition(" (")[0] for label in labels] == [
        *("W+", "(W+, S, B)"),
        *("SPHInX", "SPHInX without B", "W+", "(W+, S, B)"),
    ]


def test_shipping_writes_a_card_that_fits(small: Path, tmp_path: Path) -> None:
    into = tmp_path / "data"
    into.mkdir()
    figures = tmp_path / "figures.json"
    figures.write_text('{"a": 1.5}')
    told = run(
        *("ship_generator.py", small, "--name", "tiny", "--into", into, "--figures", figures),
        *("--purpose", "a test", "--licence", "CC0-1.0"),
    )
    card = json.loads(Path(told.strip()).read_text("utf-8"))
    assert card["sha256"] == sha256_of(into / "tiny.safetensors") == sha256_of(small)
    assert card["figures"] == {"a": 1.5}
    generator = load_generator(into / card["file"])
    assert generator.config.to_json() == card["config"]
    assert load_extras(into / card["file"], generator).statistics.count == 500


def test_a_label_is_read_from_images_that_show_it() -> None:
    network = find_perceptual("alex", shared_files.shared("weights/alexnet_features.pth"))
    assert isinstance(network, PerceptualDistance)
    rng = torch.Generator().manual_seed(0)
    labels = torch.randn(240, 2, generator=rng)
    images = 0.2 * torch.randn(240, 3, 48, 48, generator=rng)
    images[:, 0] += 0.2 * labels[:, :1, None]  # the first label is redness, the second unseen
    predictor = LabelPredictor(network)
    seen = predictor.describe(images.split(40))
    predictor.fit(seen[:200], labels[:200], ridge=1e-3)
    certainty = explained(predictor.predict(seen[200:]), labels[200:])
    assert certainty[0] > 0.9
    assert certainty[1] < 0.3


def test_effects_are_means_of_changes() -> None:
    change = torch.tensor([[1.0, 0.3, -0.4], [0.6, 0.3, -0.4]])
    moved, others = effects(change, ["a", "b", "c"], "a")
    assert moved == pytest.approx(0.8)
    assert others == pytest.approx(np.sqrt((0.09 + 0.16) / 2))


def test_edits_of_a_solution_are_measured_beside_random_images(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    faces = shared_files.shared("faces/render_faces.py")
    prior = StyleGANPrior(load_generator("faces-128"))
    solution = solution_of(prior)
    solution.save(tmp_path / "some.safetensors")
    told = run(
        *("measure_edits.py", tmp_path / "some.safetensors", "--assets", faces.parent),
        *("--weights", shared_files.shared("weights/squeezenet1_1_features.pth")),
        *("--labelled", 60, "--fitted", 40, "--held-out", 10, "--samples", 2, "--count", 2),
    )
    head, _, *rows = told.splitlines()
    assert head == "| direction | R² | random images | some.safetensors |"
    assert [row.split(" | ")[0] for row in rows] == ["| yaw", "| light_azimuth"]
    shares = [float(row.split(" | ")[-1].strip(" |")) for row in rows]
    assert all(np.isfinite(share) for share in shares)


def test_directions_are_found_and_lie_beside_the_generator(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    faces = shared_files.shared("faces/render_faces.py")
    renders = tmp_path / "renders"
    small = ("--out", renders, "--count", 60, "--size", 32, "--supersample", 1, "--workers", 1)
    assert run_script(faces, *small).status == 0
    generator = networks.random_generator(GeneratorConfig(32, (8, 8, 8, 8), 256, 2))
    path = tmp_path / "faces.safetensors"
    save_generator(generator, path)
    told = run(
        *("find_directions.py", "--assets", faces.parent, "--renders", renders, "--prior", path),
        *("--weights", shared_files.shared("weights/squeezenet1_1_features.pth")),
        *("--labelled", 60, "--fitted", 40, "--held-out", 20, "--draws", 2000, "--samples", 4),
    )
    assert told.strip().endswith("faces-extras.npz")
    directions = load_extras(path, load_generator(path)).directions
    assert {"smile", "yaw", "age", "eye_colour_brown"} <= set(directions)
    # By definition: where yaw alone is larger by one deviation, w lies further by the vector.
    assert directions["yaw"].vector.shape == (256,)
    assert f"yaw  {directions['yaw'].moved:.2f}" in told


def test_edits_are_drawn_and_unknown_ones_refused(small: Path, tmp_path: Path) -> None:
    generator = load_generator(small)
    extras = load_extras(small, generator)
    step = FactorDirection("wide", torch.ones(16), tuple(range(8)), 1.0, 0.0)
    save_extras(Extras(extras.statistics, {"wide": step}), generator, extras_path(small))
    out = tmp_path / "edits.png"
    run(
        *("draw_edits.py", "--prior", small, "--names", "wide", "--out", out),
        *("--columns", 5, "--paths", 1),
    )
    with Image.open(out) as picture:
        assert picture.size == (5 * 32, 2 * 32)
        pixels = np.asarray(picture)
    assert np.ptp(pixels[:32, :32].astype(int) - pixels[:32, -32:].astype(int)) > 0
    refused = run_script(EXAMPLES / "draw_edits.py", "--prior", small, "--names", "wise")
    assert refused.status == 2
    assert "wide" in refused.err
