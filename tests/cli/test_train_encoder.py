"""`invprob train-encoder` and `invprob solve --init encoder`, as a user meets them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from invprob.encoder import plan
from invprob.encoder.training import EncoderTraining
from invprob.priors.encoder_files import Kind

TRAIN = ("train-encoder", "--prior", "../tiny.safetensors", "--perceptual", "none")
FILE = Path("../tiny-encoder.safetensors")


@pytest.fixture(autouse=True)
def _two_samples_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = plan.usual_plan

    def small(kind: Kind, *, steps: int, **options: Any) -> plan.Plan:
        return replace(usual(kind, steps=steps, **options), batch=2, pool=2 * max(1, steps))

    monkeypatch.setattr(plan, "usual_plan", small)


def test_train_and_solve(call: Callable[..., Any], place: Path) -> None:
    done = call(*TRAIN, "--steps", 2, "--json")
    assert done.status == 0, done.err
    said = json.loads(done.out)
    assert Path(said["file"]) == FILE and FILE.exists()
    assert said["encoders"]["toolkit"]["plan"]["steps"] == 2
    assert said["encoders"]["base-code"]["perceptual"] is None
    assert list(FILE.parent.glob("*.checkpoint")) == []
    solved = call(
        *("solve", "../picture.png", "--operator", "identity", "--method", "w-plus"),
        *("--steps", 2, "--init", "encoder", "--perceptual", "none"),
    )
    assert solved.status == 0, solved.err
    assert 'init = "encoder"' in (solved.last / "config.toml").read_text()
    again = call("solve", "--config", solved.last / "config.toml")
    assert again.status == 0, again.err
    one, two = (load_file(each.last / "solution.safetensors") for each in (solved, again))
    assert all((one[name] == two[name]).all() for name in one)


@pytest.mark.parametrize("usual", ["float32", "bfloat16"])
def test_a_line_before_the_first_step_names_the_precision(
    usual: str, call: Callable[..., Any], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device decides, unless an option does."""

    def begin(training: EncoderTraining) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(EncoderTraining, "step", begin)
    monkeypatch.setattr(plan, "usual_precision", lambda device: usual)
    options = (*TRAIN, "--steps", 2, "--kind", "toolkit", "--restart")
    done = call(*options)
    assert f"toolkit: 2 steps in {usual}; drawing 4 samples first" in done.err
    asked = call(*options, "--precision", "float32")
    assert "2 steps in float32" in asked.err
    assert call(*options, "--quiet").err == "invprob: interrupted; the same command continues\n"


def test_a_generator_cut_down_has_encoders_of_its_own(
    call: Callable[..., Any], refuse: Callable[..., str], place: Path
) -> None:
    solve = ("solve", "../picture.png", "--operator", "identity", "--method", "bdinvert")
    small = (*solve, "--steps", 2, "--perceptual", "none", "--resolution", 16)
    said = refuse(*small)
    assert "tiny-resolution-16-encoder.safetensors beside it" in said
    assert "--resolution 16 --kind base-code" in said
    done = call(*TRAIN, "--steps", 1, "--resolution", 16)
    assert done.status == 0, done.err
    assert call(*small).status == 0
    assert not FILE.exists()


def test_one_kind_keeps_the_other(call: Callable[..., Any], place: Path) -> None:
    assert call(*TRAIN, "--steps", 1, "--kind", "toolkit").status == 0
    before = load_file(FILE)
    assert call(*TRAIN, "--steps", 1, "--kind", "base-code").status == 0
    after = load_file(FILE)
    assert all((after[name] == value).all() for name, value in before.items())
    assert any(name.startswith("base-code.") for name in after)


def test_training_goes_on_from_a_file(
    call: Callable[..., Any], refuse: Callable[..., str], place: Path
) -> None:
    assert call(*TRAIN, "--steps", 2, "--kind", "toolkit", "--out", "first.safetensors").status == 0
    on = (*TRAIN, "--from", "first.safetensors", "--steps", 2)
    done = call(*on, "--kind", "toolkit", "--out", "second.safetensors", "--json")
    assert done.status == 0, done.err
    assert len(json.loads(done.out)["encoders"]["toolkit"]["start"]) == 64
    said = refuse(*on, "--kind", "both", "--out", "third.safetensors")
    assert "has no 'base-code' encoder to continue from" in said and "--kind toolkit" in said
    said = refuse(*TRAIN, "--from", "none.safetensors", "--out", "third.safetensors")
    assert "none.safetensors" in said


def test_an_interrupted_training_goes_on(
    call: Callable[..., Any], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (*TRAIN, "--steps", 4, "--kind", "toolkit", "--out")
    assert call(*options, "whole.safetensors").status == 0
    step = EncoderTraining.step

    def interrupted(training: EncoderTraining) -> dict[str, float]:
        if training.taken == 2:
            raise KeyboardInterrupt
        return step(training)

    with monkeypatch.context() as while_interrupted:
        while_interrupted.setattr(EncoderTraining, "step", interrupted)
        done = call(*options, "parts.safetensors")
    assert done.status == 130 and "the same command continues" in done.err
    other = call(*options[:-3], "--kind", "toolkit", "--seed", 1, "--out", "parts.safetensors")
    assert other.status == 2 and "--restart" in other.err
    done = call(*options, "parts.safetensors")
    assert done.status == 0 and "continuing after step 2" in done.err
    whole, parts = load_file("whole.safetensors"), load_file("parts.safetensors")
    assert all((parts[name] == value).all() for name, value in whole.items())


def test_mistakes_are_said_in_one_line(
    call: Callable[..., Any], refuse: Callable[..., str], place: Path
) -> None:
    assert "no encoder is named 'tolkit'" in refuse(*TRAIN, "--kind", "tolkit")
    assert "steps must be at least 1" in refuse(*TRAIN, "--steps", 0)
    solve = ("solve", "../picture.png", "--operator", "identity", "--steps", 2, "--init", "encoder")
    said = f"train one: invprob train-encoder --prior {Path('../tiny.safetensors').resolve()}"
    assert said in refuse(*solve)
    call(*TRAIN, "--steps", 1, "--kind", "toolkit", "--out", "e.safetensors")
    said = refuse(*TRAIN, "--steps", 1, "--kind", "toolkit", "--out", "e.safetensors")
    assert "has a 'toolkit' encoder" in said and "--overwrite" in said
