"""Studies of a sweep's solutions: made once, of finished runs, and shown in tables."""

import csv
import json
from pathlib import Path

import pytest
import torch
from solved import small_generator

from invprob.bench.read import read_sweep
from invprob.bench.records import load_record
from invprob.bench.runner import SweepResult, run_sweep
from invprob.errors import ArgumentError
from invprob.latents import Latents, StyleDirection
from invprob.latents.direction_files import save_directions
from invprob.latents.distance import Distance, smoothness
from invprob.latents.edit import edit
from invprob.latents.perturb import robustness
from invprob.solver.solution import Solution

PERTURB = """
[[studies]]
name = "perturb"
snr = [30, 10.5]
draws = 3
"""
INTERPOLATE = """
[[studies]]
name = "interpolate"
to = "cat"
steps = 4
"""


def run(path: Path, out: Path) -> SweepResult:
    return run_sweep(read_sweep(path), out)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def solution(out: Path, run_id: str) -> Solution:
    return Solution.load(out / "runs" / run_id / "solution.safetensors")


def test_solutions_under_noise(write, in_process: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(write(more=PERTURB), out)
    own = solution(out, "face_all_w-plus_s0")
    found = robustness(Latents.of(own), own.image, [30, 10.5], Distance(), draws=3)
    record = load_record(out, "face_all_w-plus_s0")
    assert record is not None
    numbers = record.studies["perturb"]
    assert not isinstance(numbers, str)
    assert list(numbers) == [
        *("RMS difference to the solution, 30 dB", "PSNR to the truth, 30 dB"),
        *("RMS difference to the solution, 10.5 dB", "PSNR to the truth, 10.5 dB"),
    ]
    for at, ratio in enumerate(("30", "10.5")):
        median = float(found.distance[at].double().median())
        assert numbers[f"RMS difference to the solution, {ratio} dB"] == pytest.approx(median)
    table = (out / "table.md").read_text()
    assert "## perturb" in table and table.count("| RMS difference to the solution, 30 dB |") == 1
    assert len(rows(out / "studies.csv")) == 4 * 4
    assert (out / "studies" / "perturb" / "face_all_w-plus_s0.png").exists()
    kept = Solution.load(out / "studies" / "perturb" / "face_all_w-plus_s0.safetensors")
    assert kept.image.shape == (2, 3, 32, 32)


def test_a_study_that_is_added_is_made_of_the_runs_there_are(
    write, in_process: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(write(), out)
    assert not (out / "studies.csv").exists()
    in_process.clear()
    run(write(more=PERTURB), out)
    assert in_process == []
    sheet = out / "studies" / "perturb" / "face_all_w-plus_s0.png"
    sheet.unlink()
    run(write(more=PERTURB), out)
    assert not sheet.exists()  # it was studied, and is not again


def test_edits_along_a_direction_of_a_file(write, in_process: list[str], tmp_path: Path) -> None:
    out, file = tmp_path / "out", tmp_path / "some.safetensors"
    rng = torch.Generator().manual_seed(0)
    direction = StyleDirection("some", torch.randn(8, 16, generator=rng))
    save_directions([direction], small_generator(), file)
    study = (
        f'\n[[studies]]\nname = "edit"\nlabel = "some way"\ndirections = ["{file}"]\n'
        "strengths = [-1, 0, 2.5]\n"
    )
    run(write(more=study), out)
    own = solution(out, "face_all_w-plus_s0")
    strip = edit(Latents.of(own), direction, [2.5], own.image)
    record = load_record(out, "face_all_w-plus_s0")
    assert record is not None
    numbers = record.studies["some way"]
    assert not isinstance(numbers, str)
    gap = Distance()(strip.images, own.image)
    assert numbers["some +2.5: RMS difference"] == pytest.approx(float(gap), rel=1e-4)
    assert "some +0: RMS difference" not in numbers and "some -1: change" in numbers


def test_the_path_to_another_image(write, in_process: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    two = ('samples = ["face"]', 'samples = ["face", "cat"]')
    run(write(two, more=INTERPOLATE), out)
    one, other = (solution(out, f"{name}_all_w-plus_s0").image[0] for name in ("face", "cat"))
    fade = torch.stack([one.lerp(other, share) for share in (0, 1 / 3, 2 / 3, 1)])
    expected = smoothness(fade, Distance())
    record = load_record(out, "face_all_w-plus_s0")
    assert record is not None
    numbers = record.studies["interpolate"]
    assert not isinstance(numbers, str)
    assert numbers["cross-fade of the pictures: length"] == pytest.approx(expected.length, rel=1e-4)
    assert "heads, linear: length" not in numbers  # W+ has no heads
    headed = load_record(out, "face_all_sphinx_s0")
    assert headed is not None and "heads, linear: length" in headed.studies["interpolate"]
    end = load_record(out, "cat_all_w-plus_s0")
    assert end is not None and not end.studies
    assert {row["image"] for row in rows(out / "studies.csv")} == {"face"}


def test_a_direction_from_variants(write, in_process: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    study = '\n[[studies]]\nname = "discover"\nby = "brightness"\nvalues = [0.5, 1, 1.5]\n'
    run(write(more=study), out)
    record = load_record(out, "face_all_sphinx_s0")
    assert record is not None
    numbers = record.studies["discover"]
    assert not isinstance(numbers, str)
    names = [f"brightness {value}" for value in ("0.5", "1", "1.5")]
    expected = [f"{name}: {what}" for what in ("PSNR", "brightness") for name in names]
    assert list(numbers) == [*expected, "monotonic", "off a straight line"]
    assert numbers["monotonic"] in (0, 1)
    sheet = out / "studies" / "discover" / "face_all_sphinx_s0.json"
    assert json.loads(sheet.read_text())["psnr"][0] == numbers["brightness 0.5: PSNR"]


def test_what_cannot_be_studied_is_told(write, in_process: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    other = ('[[methods]]\nname = "w-plus"', '[[methods]]\nname = "tv"')
    run(write(other, more=PERTURB), out)
    table = (out / "table.md").read_text()
    assert "- `face_all_tv_s0`: this solution has no latents of a generator" in table
    record = json.loads((out / "records" / "face_all_tv_s0.json").read_text())
    assert record["studies"]["perturb"].startswith("this solution has no latents")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "pertrub"', "Did you mean 'perturb'?"),
        ("draws = 3", "this study has no name"),
        ('name = "perturb"\nsnr = ["30"]', "must be a list of numbers, such as snr = [1, 2]"),
        ('name = "perturb"\nsnr = []', "got an empty list"),
        ('name = "perturb"\nwhich = "styles"', "Did you mean 'style'?"),
        ('name = "perturb"\ndraws = 0', "must be a whole number from 1 on"),
        ('name = "perturb"\nsteps = 3', "steps is not known here"),
        ('name = "edit"', "must be names of directions"),
        ('name = "interpolate"', "must be the name of an image of the sweep"),
        ('name = "interpolate"\nto = "cat"\nsteps = 1', "must be at least 2, the two ends"),
        ('name = "discover"', "must be the name of an operator"),
        ('name = "discover"\nby = "rotat"\nvalues = [0, 1]', "Did you mean 'rotate'?"),
        ('name = "discover"\nby = "rotate"\nvalues = [0]', "must be two numbers or more"),
        ('name = "interpolate"\nto = "dog"', "there is no image 'dog' in this sweep"),
    ],
)
def test_mistakes_are_found_before_anything_runs(
    write, in_process: list[str], tmp_path: Path, text: str, said: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(ArgumentError, match=r"sweep\.toml, line") as caught:
        run(write(more=f"\n[[studies]]\n{text}\n"), out)
    assert said in str(caught.value) and not out.exists() and in_process == []
