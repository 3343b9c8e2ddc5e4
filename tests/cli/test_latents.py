"""`invprob edit`, `interpolate` and `perturb`, from the command line."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from networks import GeneratorConfig, random_generator
from PIL import Image, ImageSequence

from invprob.cli.app import run
from invprob.latents import Latents, StyleDirection
from invprob.latents.direction_files import save_directions
from invprob.priors import save_generator
from invprob.solver.solution import Solution

SOLVE = ("--operator", "circulant", "--ratio", "0.5", "--perceptual", "none")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs by several methods, an unfinished one, one of another generator, and directions."""
    place = tmp_path_factory.mktemp("made")
    config = GeneratorConfig(
        resolution=32, channels=(12, 10, 8, 6), style_width=24, mapping_layers=2
    )
    tiny, other, wide = random_generator(), random_generator(seed=8), random_generator(config)
    save_generator(tiny, place / "tiny.safetensors")
    save_generator(other, place / "second.safetensors")
    rng = torch.Generator().manual_seed(0)
    rows = torch.randn(8, 16, generator=rng)
    save_directions([StyleDirection("some", rows)], tiny, place / "some.safetensors")
    unfit = StyleDirection("some", torch.ones(8, 24))
    save_directions([unfit], wide, place / "wide.safetensors")
    sphinx = ("--method", "sphinx", "--optimiser", "adam")
    for name, words in {
        "one": sphinx,
        "two": ("--sample", "cat", *sphinx),
        "three": ("--method", "tv"),
        "plus": ("--method", "iagan"),
        "both": ("--sample", "face", "--sample", "cat", "--method", "w-plus"),
        "unfinished": ("--method", "w-plus"),
        "other-generator": sphinx,
    }.items():
        prior = place / ("second" if name == "other-generator" else "tiny")
        more = ("--prior", f"{prior}.safetensors", "--steps", "3", "--out", str(place / name))
        assert run(["solve", *SOLVE, *words, *more, "-q"]) == 0
    Solution.load(place / "two" / "solution.safetensors").save(place / "copy.safetensors")
    (place / "unfinished" / "scores.json").unlink()
    (place / "taken.png").touch()
    return place


@pytest.fixture
def runs(made: Path, place: Path) -> Path:
    """The working folder, with a copy of what was made."""
    shutil.copytree(made, place, dirs_exist_ok=True)
    return place


def files(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()}


def test_an_edit_writes_a_sheet_numbers_and_latents_that_reload(call, runs: Path) -> None:
    before = files(runs)
    done = call("edit", "one", "--direction", "some.safetensors", "--strength", "-1 0 1.5")
    assert done.status == 0, done.err
    assert done.last == Path("edit-001.png")
    new = {"edit-001.png", "edit-001.json", "edit-001.safetensors"}
    assert files(runs) - before == new
    numbers = json.loads(Path("edit-001.json").read_text())
    (edited,) = numbers["edits"]
    assert edited["strengths"] == [-1, 0, 1.5] and edited["image"] == "face"
    assert edited["effect"][1] is None and edited["distance"][1] == 0
    assert f"-1: outside the region {edited['outside'][0]:.1f} dB" in done.out
    solution, own = Solution.load("edit-001.safetensors"), Solution.load("one/solution.safetensors")
    assert torch.equal(solution.image[1], own.image[0])
    torch.testing.assert_close(Latents.of(solution).draw(), solution.image, rtol=0, atol=1e-5)
    again = call("edit", "edit-001.safetensors", "--direction", "some.safetensors", "--json")
    assert again.status == 0, again.err
    assert len(json.loads(again.out)["edits"]) == 3
    assert call("edit", "one", "--direction", "some.safetensors").last == Path("edit-003.png")


def test_rows_together_and_an_animation(call, runs: Path) -> None:
    words = ("--direction", "some.safetensors", "--direction", "some.safetensors")
    done = call(
        *("edit", "one", *words, "--together", "--rows", "0-2", "--strength", "0..1:3"),
        *("--out", "sheet.webp", "--animation", "moving.gif", "--quiet"),
    )
    assert done.status == 0, done.err
    assert done.out == "sheet.webp\n"
    with Image.open("moving.gif") as moving:
        assert len(list(ImageSequence.Iterator(moving))) == 4
    with Image.open("sheet.webp") as sheet:
        assert sheet.width > 3 * 128
    edited = Solution.load("sheet.safetensors").realised["styles"]
    own = Solution.load("one/solution.safetensors").realised["styles"]
    rng = torch.Generator().manual_seed(0)
    direction = torch.randn(8, 16, generator=rng)
    torch.testing.assert_close(edited[2, :3], own[0, :3] + 2 * direction[:3], rtol=0, atol=1e-5)
    assert torch.equal(edited[2, 3:], own[0, 3:])


def test_a_path_of_latents_and_of_heads(call, runs: Path) -> None:
    done = call("interpolate", "one", "two", "--steps", 4, "--of", "both", "--path", "spherical")
    assert done.status == 0, done.err
    numbers = json.loads(Path("interpolate-001.json").read_text())
    kinds = ["latents, spherical", "heads, linear", "cross-fade of the pictures"]
    assert [path["path"] for path in numbers["paths"]] == kinds
    for path in numbers["paths"]:
        assert len(path["steps"]) == 3 and sum(path["steps"]) == pytest.approx(path["length"])
        assert f"length {path['length']:.3f}" in done.out
    solution = Solution.load("interpolate-001.safetensors")
    ends = [Solution.load(f"{name}/solution.safetensors").image[0] for name in ("one", "two")]
    assert torch.equal(solution.image[0], ends[0]) and torch.equal(solution.image[3], ends[1])


def test_noise_on_several_solutions(call, runs: Path) -> None:
    done = call("perturb", "one", "two", "--snr", "30 0", "--draws", 3, "--of", "all")
    assert done.status == 0, done.err
    numbers = json.loads(Path("perturb-001.json").read_text())
    assert [one["solution"] for one in numbers["solutions"]] == ["one", "two"]
    near, far = numbers["solutions"][0]["distance"]["mean"]
    assert near < far
    assert all(one["psnr_truth"] is not None for one in numbers["solutions"])
    assert Solution.load("perturb-001.safetensors").image.shape == (4, 3, 32, 32)


def test_noise_that_changes_nothing_has_an_infinite_psnr(call, runs: Path) -> None:
    done = call("perturb", "one", "--snr", "200 10", "--draws", 1)
    assert done.status == 0, done.err
    (one,) = json.loads(Path("perturb-001.json").read_text())["solutions"]
    assert one["distance"]["mean"][0] == 0
    assert one["psnr"]["mean"][0] is None and one["psnr"]["quartiles"][0] == [None] * 3
    assert one["psnr"]["mean"][1] > 0 and None not in one["psnr"]["quartiles"][1]


def test_a_generator_that_was_moved(refuse, runs: Path) -> None:
    save_generator(random_generator(), Path("mine.safetensors"))
    words = ("--method", "w-plus", "--prior", "mine.safetensors", "--steps", "1")
    assert run(["solve", *SOLVE, *words, "--out", "moved", "-q"]) == 0
    Path("mine.safetensors").rename("away.safetensors")
    said = refuse("edit", "moved", "--direction", "some.safetensors")
    assert "no generator file" in said and "bring it back there" in said


def test_one_image_of_several(call, runs: Path) -> None:
    every = call("edit", "both", "--direction", "some.safetensors", "--strength", "1", "--json")
    assert [one["image"] for one in json.loads(every.out)["edits"]] == ["face", "cat"]
    one = call(
        *("edit", "both", "--direction", "some.safetensors", "--strength", "1", "--json"),
        *("--image", "cat"),
    )
    (cat,) = json.loads(one.out)["edits"]
    assert cat["image"] == "cat"
    assert cat["distance"] == pytest.approx(json.loads(every.out)["edits"][1]["distance"], rel=1e-4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("edit nowhere --direction some.safetensors", "no run folder or solution file 'nowhere'"),
        ("edit three --direction some.safetensors", "no latents of a generator"),
        ("edit one", "Missing option '--direction'"),
        ("edit one --direction smile", "no direction of"),
        ("edit one --direction other.safetensors", "there is no file of directions"),
        ("edit one --direction wide.safetensors", "wide.safetensors"),
        ("edit one --direction some.safetensors --strength far", "must be numbers"),
        ("edit one --direction some.safetensors --rows 0-99", "rows must be from 0 to 7, not 8"),
        ("edit one --direction some.safetensors --rows x", "rows must be numbers and ranges"),
        ("edit one --direction some.safetensors --image dog", "Known: face"),
        ("edit one --direction some.safetensors --out sheet.jpg", "must end in .png or .webp"),
        ("edit one --direction some.safetensors --out no/sheet.png", "make the folder 'no'"),
        ("edit one --direction some.safetensors --out taken.png", "'taken.png' exists"),
        ("edit one --direction some.safetensors --animation a.mp4", "must end in .gif or .webp"),
        (
            "edit one --direction some.safetensors --out a.webp --animation a.webp",
            "'a.webp' would be written twice",
        ),
        (
            "edit one/measurements.safetensors --direction some.safetensors",
            "is not a solution file of this release: it holds something else",
        ),
        ("edit one --direction some.safetensors --retouch no", "'keep', 'drop'"),
        ("edit unfinished --direction some.safetensors", "finish it: invprob resume unfinished"),
        ("edit some.safetensors --direction some.safetensors", "is not a solution file"),
        ("interpolate one three", "no latents of a generator"),
        ("interpolate one other-generator", "different generators"),
        ("interpolate one plus", "solve both with one method"),
        ("interpolate one two --steps 1", "steps must be from 2, the two ends, to 101, not 1"),
        ("interpolate one two --steps 102", "to 101, not 102"),
        ("interpolate plus plus --of heads", "no heads"),
        ("interpolate copy.safetensors two --of heads", "name the folder of its run"),
        ("perturb one --snr loud", "must be numbers"),
        ("perturb one --draws 0", "draws must be at least 1, not 0"),
        ("perturb", "Missing argument"),
        ("perturb three", "no latents of a generator"),
        ("perturb one three", "three: this solution has no latents"),
        ("perturb one --snr -99999", "snr must be from -200 to 200 dB"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(refuse, runs: Path, words: str, said: str) -> None:
    assert said in refuse(*words.split())
