"""`invprob discover`: its files, what it says, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import random_generator
from PIL import Image

from invprob.latents import edit, load_directions
from invprob.latents.latents import Latents
from invprob.priors import load_generator
from invprob.run.config import Named
from invprob.run.images import load_image
from invprob.run.variants import Varied, make_variants, varied
from invprob.solver.solution import Solution

PRIOR = ("--prior", "../tiny.safetensors")
QUICK = (*PRIOR, "--steps", "3")
ROTATED = ("../picture.png", "--by", "rotate", "--values", "0 22.5 45", *QUICK)


@pytest.mark.parametrize("latents", ["heads", "w-plus"])
def test_it_writes_sheet_numbers_latents_and_direction(call, latents: str) -> None:
    done = call("discover", *ROTATED, "--latents", latents, "--out", "found.png")
    assert done.status == 0, done.err
    assert done.last == Path("found.png")
    assert "rotation" in done.out and "scale 0.00" in done.out
    names = {path.name for path in Path().iterdir()}
    parts = {"found.png", "found.json", "found.safetensors", "found-direction.safetensors"}
    assert names == parts
    numbers = json.loads(Path("found.json").read_text())
    assert numbers["latents"] == latents and numbers["values"] == [0, 22.5, 45]
    assert len(numbers["learned_scales"]) == len(numbers["psnr"]) == 3
    assert len(numbers["measured"]["values"]) == len(numbers["strengths"]) == 11
    assert numbers["measured"]["of_true_variants"] == pytest.approx([0, 22.5, 45], abs=0.7)
    generator = load_generator("../tiny.safetensors")
    (direction,) = load_directions("found-direction.safetensors", generator).values()
    solution = Solution.load("found.safetensors")
    strip = edit(Latents.of(solution), direction, numbers["learned_scales"])
    torch.testing.assert_close(strip.images[:1], solution.image)
    with Image.open("found.png") as sheet:
        assert min(sheet.size) > 400


def test_the_sheet_says_what_is_measured(call, monkeypatch: pytest.MonkeyPatch) -> None:
    captions: list[str] = []

    def taken(rows: object, path: Path, caption: list[str]) -> None:
        captions.extend(caption)

    monkeypatch.setattr("invprob.report.figure.write_strips", taken)
    call("discover", *ROTATED, "--out", "found.png")
    assert captions[-1] == (
        "The last line under each picture: its rotation against the true image (degrees, "
        "counter-clockwise)."
    )


def test_small_pictures_are_refused_before_the_solve(call, refuse) -> None:
    small = ("discover", *ROTATED, "--resolution", "8")
    said = refuse(*small)
    assert "rotation is measured in pictures of 16 pixels" in said
    assert call(*small, "--attribute", "none").status == 0


def test_edit_takes_its_files(call) -> None:
    call("discover", *ROTATED, "--out", "found.png")
    done = call(
        *("edit", "found.safetensors", "--direction", "found-direction.safetensors"),
        *("--strength", "0 2 4", "--out", "edited.png"),
    )
    assert done.status == 0, done.err
    assert Solution.load("edited.safetensors").image.shape == (3, 3, 32, 32)


def test_variants_may_be_files_of_other_sizes_which_are_fitted(call, place: Path) -> None:
    call("discover", "../picture.png", "../grey.png", *QUICK, "--seed", "4", "--out", "a.png")
    pixels = np.random.default_rng(1).integers(0, 256, (70, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(place.parent / "large.png")
    done = call("discover", "../picture.png", "../large.png", *QUICK, "--out", "b.png")
    assert done.status == 0, done.err
    assert "picture.png is cropped from 48 x 40" in done.err and "1 more likewise" in done.err
    numbers = json.loads(Path("b.json").read_text())
    assert numbers["names"] == ["picture", "large"] and numbers["measured"] is None
    assert "rotation" not in done.out


def test_the_same_seed_gives_the_same_files(call) -> None:
    for name in ("a", "b"):
        call("discover", *ROTATED, "--seed", "5", "--out", f"{name}.png")
    for ending in (".safetensors", "-direction.safetensors", ".png"):
        assert Path(f"a{ending}").read_bytes() == Path(f"b{ending}").read_bytes()


def test_it_discovers_from_measurements(call) -> None:
    whole = call("discover", *ROTATED, "--out", "a.png", "--json")
    part = call(
        *("discover", *ROTATED, "--operator", "circulant", "--ratio", "0.3", "--noise"),
        *("gaussian", "--sigma", "0.01", "--out", "b.png", "--json"),
    )
    assert part.status == 0, part.err
    one, other = json.loads(whole.out), json.loads(part.out)
    assert one["learned_scales"] != other["learned_scales"]
    assert Path(one["files"][-1]) == Path("a.png")


def test_options_of_heads_strengths_and_samples(call) -> None:
    done = call(
        *("discover", "--sample", "cat", "--by", "scale", "--values", "1 1.25", *QUICK),
        *("--content", "head", "--noise-maps", "free", "--strengths", "-1..3:5", "--tau", "1"),
        *("--attribute", "brightness", "--quiet"),
    )
    assert done.status == 0, done.err
    assert done.out == "discover-001.png\n"
    numbers = json.loads(Path("discover-001.json").read_text())
    assert numbers["strengths"] == [-1, 0, 1, 2, 3] and numbers["tau"] == 1
    assert numbers["measured"]["attribute"] == "brightness"
    names = Solution.load("discover-001.safetensors").realised
    assert "content" in names and "noise.0" in names
    own = random_generator().noise_maps()[0]
    assert not torch.allclose(names["noise.0"], own)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("../picture.png",), ("one variant of it", "--by rotate")),
        (("../picture.png", "missing.png"), ("missing.png",)),
        (("../picture.png", "--by", "rotate"), ("--values",)),
        (("../picture.png", "--values", "0 1"), ("--by rotate",)),
        (("../picture.png", "--by", "rotate", "--values", "30"), ("two numbers or more", "not 1")),
        (("../picture.png", "--by", "rotate", "--values", "0 much"), ("values must be numbers",)),
        (("../picture.png", "../grey.png", "--by", "rotate", "--values", "0 9"), ("2 were named",)),
        (("--by", "rotat", "--values", "0 1"), ("Did you mean 'rotate'?",)),
        (("--by", "rotate:degree", "--values", "0 1"), ("Did you mean 'degrees'?",)),
        (("--by", "rotate:sampling", "--values", "0 1"), ("'sampling'", "is a number")),
        (("--by", "translate", "--values", "0 1"), ("translate:dx or --by translate:dy",)),
        (("--by", "translate:dx,dy", "--values", "0 1"), ("dx and dy have no value",)),
        (("--by", "luminance", "--values", "0 1"), ("no option that is a number",)),
        (("--by", "circulant", "--values", "0.1 0.2"), ("no variants of them", "such as rotate")),
        (("--by", "scale", "--values", "1 0"), ("factor must be a number above 0",)),
        (("--by", "quantise", "--values", "4 2.5"), ("levels must be an int",)),
        (("--by", "rotate", "--values", "0 9", "--tau", "-1"), ("--tau must be",)),
        (("--by", "rotate", "--values", "0 9", "--strengths", "far"), ("strengths",)),
        (("--by", "rotate", "--values", "0 9", "--out", "x.jpg"), (".png or .webp",)),
        (("--by", "rotate", "--values", "0 9", "--out", "no/x.png"), ("make the folder",)),
        (("--by", "rotate", "--values", "0 9", "--latents", "w"), ("'heads', 'w-plus'",)),
        (("--by", "rotate", "--values", "0 9", "--prior", "nobody"), ("nobody",)),
        (("--by", "rotate", "--values", "0 9", "--operator", "circulant"), ("needs --ratio",)),
        (("--by", "rotate", "--values", "0 9", "--contnet", "head"), ("'--content'",)),
    ],
)
def test_what_makes_no_sense_is_refused(refuse, arguments, words) -> None:
    prior = () if "--prior" in arguments else PRIOR
    said = refuse("discover", *arguments, "--steps", "2", *prior)
    for word in words:
        assert word in said, said


@pytest.mark.parametrize("name", ["a.png", "a.json", "a.safetensors", "a-direction.safetensors"])
def test_files_are_replaced_only_if_asked_for(call, refuse, name: str) -> None:
    Path(name).write_text("mine")
    assert "--overwrite" in refuse("discover", *ROTATED, "--out", "a.png")
    assert Path(name).read_text() == "mine"
    assert call("discover", *ROTATED, "--out", "a.png", "--overwrite").status == 0
    assert Path(name).read_bytes() != b"mine"


def test_the_option_that_varies() -> None:
    assert varied(Named("rotate")) == Varied(Named("rotate"), "degrees")
    assert varied(Named("translate", {"dy": 1.0})).option == "dx"
    assert varied(Named("saturate"), "gain").attribute is None
    assert varied(Named("scale")).attribute == "zoom"


def test_variants_are_what_the_operator_makes(place: Path) -> None:
    picture = load_image("../picture.png", size=32)
    made = make_variants(picture, varied(Named("brightness")), [1.0, 0.5, 3.0])
    torch.testing.assert_close(made[0], picture[0])
    torch.testing.assert_close(made[1], 0.5 * (picture[0] + 1) - 1)
    assert float(made[2].max()) == 1
