"""`invprob directions`: the list, and directions that are found."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from invprob.draws import normal
from invprob.latents import StyleDirection, load_directions, principal_directions
from invprob.priors import Generator, load_generator
from invprob.priors.stylegan.extras import Extras, FactorDirection, extras_path, save_extras
from invprob.priors.stylegan.statistics import draws_of_w, sample_statistics
from invprob.report.directions import STRENGTHS, direction_rows
from invprob.streams import stream

TINY = ("directions", "--prior", "../tiny.safetensors")
PLUGIN = """
import torch
from invprob.draws import normal
from invprob.latents import StyleDirection
from invprob.registry import register

@register.direction("brighter")
def brighter(generator):
    rows = torch.ones(generator.num_layers, generator.style_width)
    return StyleDirection("brighter", rows, "one step")
"""


@pytest.fixture
def factor(place: Path) -> None:
    """A direction beside the small generator."""
    file = place.parent / "tiny.safetensors"
    generator = load_generator(file)
    statistics = sample_statistics(generator, torch.Generator().manual_seed(0), count=200)
    smile = FactorDirection("smile", torch.ones(16), (2, 3), moved=0.812, others=0.1)
    save_extras(Extras(statistics, {"smile": smile}), generator, extras_path(file))


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time spent on a hundred thousand draws."""

    def few(generator: Generator, rng: torch.Generator, *, count: int) -> Iterator[torch.Tensor]:
        return draws_of_w(generator, rng, count=min(count, 300))

    monkeypatch.setattr("invprob.latents.unlabelled.draws_of_w", few)


def test_what_ships_is_listed_with_what_was_measured(factor: None, call) -> None:
    Path("brighter.py").write_text(PLUGIN)
    done = call(*TINY, "--plugin", "brighter.py")
    assert done.status == 0
    assert done.out.splitlines() == [
        "smile\t0.81\t0.10\tone standard deviation of the factor (measured: 0.81)",
        "brighter\t–\t–\tone step",
    ]
    told, other = json.loads(call(*TINY, "--json").out)
    assert (told["name"], told["moved"], told["others"]) == ("smile", 0.812, 0.1)
    assert other == {"name": "brighter", "unit": "one step"}


def test_a_generator_without_directions_says_what_to_do(call) -> None:
    done = call(*TINY)
    assert (done.status, done.out) == (0, "")
    assert "invprob directions --prior ../tiny.safetensors --by pca" in done.err
    assert json.loads(call(*TINY, "--json").out) == []


@pytest.mark.parametrize("by", ["pca", "sefa"])
def test_directions_are_found_and_shown(by: str, call) -> None:
    done = call(*TINY, "--by", by, "--count", 3, "--rows", "0-1,4")
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert [line.split("\t")[0] for line in lines[:3]] == [f"{by}-{number}" for number in range(3)]
    assert lines[-2:] == ["directions.safetensors", "directions.png"]
    found = load_directions("directions.safetensors", load_generator("../tiny.safetensors"))
    assert list(found) == [f"{by}-{number}" for number in range(3)]
    first = found[f"{by}-0"]
    assert isinstance(first, StyleDirection)
    assert first.rows.any(1).tolist() == [True, True, False, False, True, False, False, False]
    with Image.open("directions.png") as sheet:
        assert sheet.width > 10 * 96 and sheet.height > 3 * 96


def test_what_is_written_is_what_the_library_finds(call) -> None:
    assert call(*TINY, "--by", "pca", "--count", 2, "--out", "p.safetensors", "-q").status == 0
    generator = load_generator("../tiny.safetensors")
    expected = principal_directions(generator, 2)
    found = load_directions("p.safetensors", generator).values()
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one, StyleDirection)
        assert torch.equal(one.rows, other.rows) and one.facts == other.facts


def test_json_names_the_files(call) -> None:
    told = json.loads(call(*TINY, "--by", "sefa", "--count", 1, "--json").out)
    assert told["files"] == ["directions.safetensors", "directions.png"]
    assert told["directions"][0]["name"] == "sefa-0"
    assert told["directions"][0]["eigenvalue"] > 0


def test_the_sheet_shows_the_generators_own_images() -> None:
    """The middle is the sample itself; the ends are w moved by three times the vector."""
    generator = load_generator("faces-128", resolution=16)
    (direction,) = principal_directions(generator, 1, draws=300)
    (row,) = direction_rows(generator, [direction], seed=2)
    assert row.images.shape == (2 * len(STRENGTHS), 3, 16, 16)
    w = generator.mapping(normal((2, generator.z_width), stream(2, "sample")))
    w = 0.3 * generator.mean_w + 0.7 * w
    for sample in range(2):
        for column, strength in enumerate(STRENGTHS):
            rows = w[sample] + strength * direction.rows.float()
            drawn = generator.synthesis(rows[None])[0]
            np.testing.assert_allclose(row.images[5 * sample + column], drawn, atol=2e-5)
    assert [text for (text,) in row.texts[:5]] == ["-3", "-1.5", "0", "+1.5", "+3"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--count", "3"), "--count is for finding directions: add --by pca or --by sefa"),
        (("--rows", "0-3"), "--rows is for finding directions"),
        (("--out", "x.safetensors"), "--out is for finding directions"),
        (("--overwrite",), "--overwrite is for finding directions"),
        (("--by", "ica"), "'pca'"),
        (("--by", "pca", "--count", "0"), "count must be from 1 to 16"),
        (("--by", "pca", "--count", "17"), "count must be from 1 to 16"),
        (("--by", "sefa", "--rows", "8"), "rows must be from 0 to 7"),
        (("--by", "sefa", "--rows", "3-1"), "rows must be numbers and ranges such as 0-3,5"),
        (("--by", "pca", "--out", "x.npz"), "'x.npz' must end in .safetensors"),
        (("--by", "pca", "--out", "a/x.safetensors"), "make the folder 'a'"),
        (("--by", "pca", "--prior", "nobody"), "no generator is named 'nobody'"),
        (("--by", "pca", "--resolution", "7"), "resolution must be"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], complaint: str, refuse) -> None:
    assert complaint in refuse(*TINY, *arguments)


@pytest.mark.parametrize("name", ["directions.safetensors", "directions.png"])
def test_nothing_is_replaced_unasked(name: str, call, refuse) -> None:
    Path(name).write_text("mine")
    assert f"'{name}' exists" in refuse(*TINY, "--by", "pca")
    assert Path(name).read_text() == "mine"
    assert call(*TINY, "--by", "pca", "--count", 1, "--overwrite").status == 0
    assert Path(name).read_bytes() != b"mine"


def test_a_damaged_companion_is_named(factor: None, place: Path, refuse) -> None:
    extras_path(place.parent / "tiny.safetensors").write_bytes(b"text")
    assert "tiny-extras.npz cannot be read" in refuse(*TINY)
