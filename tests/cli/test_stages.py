"""Stages, restarts and early stopping, from end to end on a 32 px generator."""

import filecmp
import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

import invprob
from invprob.run.config import RunConfig
from invprob.run.folder import Checkpoint, RunFolder
from invprob.run.launch import resume
from invprob.run.watch import Recorder

STAGED = '''
from invprob.losses import DataMisfit
from invprob.methods import Recipe, Setting
from invprob.priors.parts.heads import HeadShape
from invprob.priors.parts import FreeNoise, ProjectedStyles, WPlus
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.registry import register
from invprob.schedules import constant
from invprob.solver.optimisers import Adam, NormalisedGradientDescent
from invprob.solver.task import Stage


@register.method("staged-test")
def staged(setting: Setting) -> Recipe:
    """W+ first, then heads around it with noise that is kept near white."""
    shape = HeadShape.preset("paper", setting.generator.style_width, None)
    first = StyleGANPrior(setting.generator, style=WPlus())
    second = StyleGANPrior(
        setting.generator, style=ProjectedStyles(shape), noise=FreeNoise(regulariser=0.1)
    )
    terms = [DataMisfit()]
    descent = NormalisedGradientDescent(0.1)
    return Recipe((
        Stage(first, terms, descent, constant(), 4),
        Stage(first, terms, descent, constant(), 0),
        Stage(second, terms, Adam(0.01), constant(), 6),
    ))


@register.method("start-test")
def start(setting: Setting) -> Recipe:
    """The start is the solution."""
    prior = StyleGANPrior(setting.generator, style=WPlus())
    return Recipe((Stage(prior, [DataMisfit()], Adam(), constant(), 0),), notes=("nothing moves",))
'''
RUN = ("--operator", "circulant", "--ratio", 0.1, "--noise", "gaussian", "--sigma", 0.5)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    path = tmp_path_factory.mktemp("plugin") / "staged.py"
    path.write_text(STAGED)
    return "--plugin", path


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Write a checkpoint at each step, and keep them all; returns their steps."""
    monkeypatch.setattr(Recorder, "SHORTEST", 0.0)
    monkeypatch.setattr(Recorder, "LONGEST", 0.0)
    save, taken = RunFolder.save_checkpoint, []

    def keep(folder: RunFolder, checkpoint: Checkpoint) -> None:
        save(folder, checkpoint)
        if folder.path.name == "whole":
            taken.append(checkpoint.taken)
            shutil.copy(folder.path / "checkpoint.safetensors", f"at-{checkpoint.taken}")

    monkeypatch.setattr(RunFolder, "save_checkpoint", keep)
    return taken


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ((), 5),
        (("--restarts", 2), 10),
        (("--stop", "held-out", "--patience", 2, "--restarts", 2), None),
        (("--stop", "discrepancy", "--tau", 1.05), None),
        (("--stop", "plateau:window=1", "--drop", 0.9), None),
    ],
    ids=["stages", "restarts", "held-out", "discrepancy", "plateau"],
)
def test_a_run_resumes_bit_for_bit_at_every_step(
    call, plugin, every_step: list[int], options: tuple[object, ...], steps: int | None
) -> None:
    run = ("solve", *RUN, "--method", "staged-test", "--steps", 5, *plugin, *options)
    run = (*run, "--perceptual", "none")
    done = call(*run, "--sample", "face", "--sample", "cat", "--out", "whole")
    assert done.status == 0, done
    whole = Path("whole")
    lines = [json.loads(line) for line in (whole / "trace.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    assert steps is None or len(lines) == steps
    assert set(every_step) == set(range(len(lines) + 1))
    assert "noise" not in lines[1] and (steps is None or "noise" in lines[4])
    for taken in sorted(set(every_step)):
        again = Path(f"again-{taken}")
        shutil.copytree(whole, again)
        shutil.copy(f"at-{taken}", again / "checkpoint.safetensors")
        for name in ("scores.json", "solution.safetensors"):
            (again / name).unlink()
        assert not resume(again).again
        for name in ("solution.safetensors", "trace.jsonl", "face/image.png"):
            assert filecmp.cmp(whole / name, again / name, shallow=False), (taken, name)


def test_restarts_are_recorded_and_the_best_is_kept(call, plugin) -> None:
    run = ("solve", *RUN, "--method", "staged-test", "--steps", 4, *plugin)
    assert call(*run, "--restarts", 3, "--out", "many").status == 0
    scores = json.loads(Path("many/scores.json").read_text())
    misfits = scores["restart_misfits"]
    assert len(misfits) == 3 and misfits[scores["restart"]] == min(misfits)
    assert scores["data_misfit"] == pytest.approx(min(misfits), rel=1e-5)
    assert scores["steps"] == 12
    assert RunConfig.load(Path("many/config.toml")).restarts == 3
    assert call(*run, "--out", "one").status == 0
    single = json.loads(Path("one/scores.json").read_text())
    assert single["data_misfit"] == pytest.approx(misfits[0], rel=1e-5)
    assert "restart" not in single


def test_a_method_without_steps_accepts_steps_and_takes_none(call, plugin) -> None:
    for number, options in enumerate(((), ("--steps", 9))):
        done = call("solve", *RUN, "--method", "start-test", *plugin, *options, "--out", number)
        assert done.status == 0, done
        assert "nothing moves" in done.err
        assert json.loads(Path(f"{number}/scores.json").read_text())["steps"] == 0
        for name in ("scores.json", "solution.safetensors"):
            Path(str(number), name).unlink()
        again = call("resume", number)
        assert again.status == 0, again


def test_rules_that_cannot_be(refuse) -> None:
    run = ("solve", "--operator", "circulant", "--ratio", 0.1)
    assert "name no noise" in refuse(*run, "--stop", "discrepancy")
    assert "Did you mean 'held-out'" in refuse(*run, "--stop", "hold-out")
    assert "patience must be at least 1" in refuse(*run, "--stop", "held-out", "--patience", 0)
    assert "option of --stop held-out" in refuse(*run, "--patience", 3)
    assert "restarts must be at least 1" in refuse(*run, "--restarts", 0)


def test_a_rule_in_a_config_can_be_changed_and_left_out(call, place: Path) -> None:
    run = ("solve", *RUN, "--steps", 4, "--stop", "held-out:patience=3,hidden=0.1")
    run = (*run, "--out", "first")
    assert call(*run).status == 0
    again = ("solve", "--config", "first/config.toml", "--prior", "../tiny.safetensors")
    assert call(*again, "--patience", 2, "--out", "second").status == 0
    stop = RunConfig.load(Path("second/config.toml")).stop
    assert stop is not None and stop.settings == {"hidden": 0.1, "patience": 2}
    assert call(*again, "--stop", "none", "--out", "third").status == 0
    assert RunConfig.load(Path("third/config.toml")).stop is None


@pytest.mark.parametrize("method", ["tv", "deep-image-prior"])
def test_controls_need_no_generator_and_take_measurements_of_any_size(
    call, place: Path, method: str
) -> None:
    picture = ("../picture.png", "--operator", "random-mask", "--ratio", 0.5)
    assert call("measure", *picture, "--size", 24, "--out", "y.safetensors").status == 0
    run = ("solve", "--measurements", "y.safetensors", "--method", method, "--steps", 4)
    done = call(*run, "--out", "run")
    assert done.status == 0, done
    assert f"{method} has no generator: " in done.err and "is not used" in done.err
    assert json.loads(Path("run/environment.json").read_text())["generator_used"] is False
    with Image.open("run/image.png") as image:
        assert image.size == (24, 24)
    solution = invprob.Solution.load("run/solution.safetensors")
    assert torch.equal(solution.render(), solution.image)
    for name in ("scores.json", "solution.safetensors"):
        Path("run", name).unlink()
    assert call("resume", "run").status == 0
    assert torch.equal(invprob.Solution.load("run/solution.safetensors").image, solution.image)
    done = call("solve", *picture, "--method", method, "--steps", 2, "--out", "sized")
    assert "is used only for the size of the images" in done.err
    with Image.open("sized/image.png") as image:
        assert image.size == (32, 32)


def test_a_control_needs_no_download(call, refuse, place: Path) -> None:
    run = ("solve", "../picture.png", "--operator", "random-mask", "--ratio", 0.5, "--steps", 2)
    done = call(*run, "--prior", "ffhq-256", "--method", "tv", "--out", "run")
    assert done.status == 0, done
    assert "ffhq-256 is not on this machine, and tv does without it" in done.err
    assert RunConfig.load(Path("run/config.toml")).prior == "faces-128"
    with Image.open("run/image.png") as image:
        assert image.size == (128, 128)
    assert "invprob pull ffhq-256" in refuse(*run, "--prior", "ffhq-256")


def test_a_run_records_what_its_method_says_of_itself(call, place: Path) -> None:
    run = ("solve", "../picture.png", "--prior", "../tiny.safetensors", "--operator", "identity")
    done = call(*run, "--method", "robust", "--steps", 3, "--perceptual", "none", "--out", "run")
    assert done.status == 0, done
    notes = json.loads(Path("run/environment.json").read_text())["notes"]
    assert any("it runs on the data term instead" in note and note in done.err for note in notes)


def test_coarse_to_fine_from_the_command_line(call, refuse, place: Path) -> None:
    run = ("solve", *RUN, "--perceptual", "none", "--steps", 6)
    done = call(*run, "--coarse", 8, "--out", "whole")
    assert done.status == 0, done.err
    assert "coarse = 8" in Path("whole/config.toml").read_text()
    again = call("solve", "--config", "whole/config.toml", "--out", "again")
    assert again.status == 0, again.err
    name = "solution.safetensors"
    assert filecmp.cmp(f"whole/{name}", f"again/{name}", shallow=False)
    left = call(*run, "--out", "left")  # to the policy, which begins so where little is measured
    assert left.status == 0, left.err
    assert filecmp.cmp(f"whole/{name}", f"left/{name}", shallow=False)
    at_once = call(*run, "--coarse", 32, "--out", "once")
    assert at_once.status == 0, at_once.err
    # What may be stopped early begins at the full size, so that it never ends with a small image.
    left_to_it = Path("left/config.toml").read_text().replace("coarse = 8", "seconds = 60")
    Path("budget.toml").write_text(left_to_it)
    assert call("solve", "--config", "budget.toml", "--out", "budget").status == 0
    held_out = call(*run, "--stop", "held-out", "--out", "stopped")
    assert held_out.status == 0, held_out.err
    outs = ("left", "once", "budget", "stopped")
    recorded = [Path(f"{out}/config.toml").read_text() for out in outs]
    assert ["coarse = 8" in one for one in recorded] == [True, False, False, False]
    assert not filecmp.cmp(f"whole/{name}", f"once/{name}", shallow=False)
    assert "coarse must be a power of two from 8 to 16" in refuse(*run, "--coarse", 20)
    shipped = (*run, "--prior", "faces-128", "--coarse", 32, "--init", "encoder")
    assert "leave one out" in refuse(*shipped)
    at_full_size = ("--prior", "faces-128", "--init", "encoder", "--stop", "held-out", "--out", "e")
    assert call(*run, *at_full_size).status == 0
