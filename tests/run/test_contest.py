"""A run whose method is chosen by the data: what it records, refuses, and repeats on resuming."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networks
import pytest
import torch

from invprob import Solution
from invprob.callbacks import Iterate
from invprob.errors import ArgumentError, InvprobError, RunError
from invprob.losses import DataMisfit
from invprob.methods import Problem, Recipe
from invprob.operators import LinearOperator
from invprob.priors import Pixels
from invprob.priors.generator_files import save_generator
from invprob.registry import register
from invprob.run import contest as contests
from invprob.run.config import Named, RunConfig
from invprob.run.launch import resume, start
from invprob.run.watch import Display, Recorder, Status, Watcher
from invprob.schedules import constant
from invprob.solver.optimisers import Adam
from invprob.solver.task import Stage


class Messages(Display):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.psnr: list[float | None] = []
        self.path: Path | None = None

    def folder(self, path: Path) -> None:
        self.path = path

    def message(self, text: str) -> None:
        self.texts.append(text)

    def status(self, status: Status) -> None:
        self.psnr.append(status.psnr)


@pytest.fixture
def prior(tmp_path: Path) -> str:
    save_generator(networks.random_generator(), tmp_path / "small.safetensors")
    return str(tmp_path / "small.safetensors")


def config(prior: str, **changes: Any) -> RunConfig:
    """Half of the pixels of a face, at 32 pixels, by two methods of which tv is far ahead."""
    auto = changes.pop("auto", {"candidates": "w-plus tv"})
    settings: dict[str, Any] = {
        "samples": ("face",),
        "operators": (Named("random-mask", {"ratio": 0.5}),),
        "steps": 8,
        "perceptual": "none",
        "device": "cpu",
    }
    return RunConfig(prior=prior, method=Named("auto", auto), **{**settings, **changes})


MEAN: dict[str, Any] = {
    "auto": {"candidates": "lighter darker"},
    "operators": (Named("identity"),),
    "noise": Named("gaussian", {"sigma": 0.5}),
    "steps": 6,
}


def shifted(level: float) -> Callable[[Problem], Recipe]:
    """A method that begins at an even grey, and hardly moves."""

    def method(problem: Problem) -> Recipe:
        stage = Stage(Pixels(problem.image_shape), [DataMisfit()], Adam(1e-3), constant(), 6)
        even = {"image": torch.full(problem.image_shape, level)}
        return Recipe((stage,), initial=lambda known, by: even)

    return method


@pytest.fixture(autouse=True)
def methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two methods whose mean is better than each, and one that fails when it is solved."""
    monkeypatch.setattr(register.method, "_entries", dict(register.method._entries))
    register.method("lighter")(shifted(0.9))
    register.method("darker")(shifted(-0.9))
    register.method("fragile")(failing)


def failing(problem: Problem) -> Recipe:
    def no_start(*_: Any) -> Any:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    return Recipe(shifted(0.0)(problem).stages, initial=no_start)


def candidates(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "candidates.json").read_text())
    return found


def test_the_folder_tells_what_was_tried_and_chosen(prior: str, tmp_path: Path) -> None:
    messages = Messages()
    finished = start(config(prior), out=tmp_path / "run", display=messages)
    told = candidates(tmp_path / "run")
    assert told["chosen"] == ["tv"] and told["reason"].startswith("it predicts what was held out")
    assert told["unit"] == "the measurement's unit, squared"
    assert told["held_out"] == 3 * round(200 / 1536 * 512)
    by_name = {one["method"]: one for one in told["candidates"]}
    assert list(by_name) == ["w-plus", "tv"] and by_name["tv"]["because"] == "asked for"
    assert 0 < by_name["tv"]["misfit"] < by_name["w-plus"]["misfit"]
    assert by_name["tv"]["misfits"] == pytest.approx([by_name["tv"]["misfit"]])
    assert by_name["tv"]["choices"]["fidelity"]["value"] == 0
    assert finished.choices["method"] == {"value": "tv", "reason": told["reason"]}
    assert finished.choices["fidelity"]["value"] == 0
    spent = sum(one["seconds"] for one in told["candidates"])
    assert finished.scores["seconds"] > spent > 0
    assert 'name = "auto"' in (tmp_path / "run" / "config.toml").read_text()
    for name in by_name:
        folder = tmp_path / "run" / "candidates" / name
        assert {path.name for path in folder.iterdir()} == {
            "image.png",
            "scores.json",
            "solution.safetensors",
            "trace.jsonl",
        }
    assert not list((tmp_path / "run").glob("**/checkpoint*"))
    assert messages.texts[0].startswith("auto tries w-plus, tv; 201 numbers are held out")
    assert messages.texts[1].startswith("w-plus: held-out misfit ")
    assert messages.texts[3].startswith("chosen: tv, because it predicts")
    assert messages.path == tmp_path / "run"


def test_the_winner_is_solved_as_it_would_be_alone(prior: str, tmp_path: Path) -> None:
    start(config(prior), out=tmp_path / "run")
    alone = config(prior)
    start(RunConfig(**{**vars(alone), "method": Named("tv")}), out=tmp_path / "alone")
    ours, theirs = (Solution.load(tmp_path / n / "solution.safetensors") for n in ("run", "alone"))
    assert torch.equal(ours.image, theirs.image) and ours.steps == theirs.steps


def test_the_truth_plays_no_part(
    prior: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run from the measurements alone chooses the same, and no candidate is given a truth."""
    truths: list[Any] = []
    solved = contests.solve_in_chunks

    def watched(job: Any, *rest: Any) -> Any:
        truths.append(job.truth)
        return solved(job, *rest)

    monkeypatch.setattr(contests, "solve_in_chunks", watched)
    start(config(prior), out=tmp_path / "run")
    assert truths[:-1] == [None, None] and truths[-1] is not None
    blind = config(
        prior,
        measurements=str(tmp_path / "run" / "measurements.safetensors"),
        samples=(),
        operators=(),
    )
    start(blind, out=tmp_path / "blind")
    assert truths[-1] is None
    first, second = (candidates(tmp_path / name) for name in ("run", "blind"))
    for one, other in zip(first["candidates"], second["candidates"], strict=True):
        assert one["misfits"] == other["misfits"]
    assert first["chosen"] == second["chosen"]


def test_a_mean_is_kept_as_pixels(prior: str, tmp_path: Path) -> None:
    finished = start(config(prior, **MEAN), out=tmp_path / "run")
    told = candidates(tmp_path / "run")
    assert sorted(told["chosen"]) == ["darker", "lighter"]
    assert told["unit"] == "the noise's variance"
    found = Solution.load(tmp_path / "run" / "solution.safetensors")
    members = [
        Solution.load(tmp_path / "run" / "members" / name / "solution.safetensors").image
        for name in told["chosen"]
    ]
    assert torch.equal(found.image, torch.stack(members).mean(0))
    assert torch.equal(found.render(), found.image)
    assert finished.scores["steps"] == 6 and "this is the mean of" in finished.scores["outcome"]
    assert finished.choices["method"]["value"].startswith("the mean of ")


def test_images_of_a_batch_get_one_method(prior: str, tmp_path: Path) -> None:
    several = config(prior, samples=("face", "cat", "retina"), batch=2, per_image=True)
    finished = start(several, out=tmp_path / "run")
    told = candidates(tmp_path / "run")
    assert [len(one["misfits"]) for one in told["candidates"]] == [3, 3]
    assert finished.choices["method"]["value"] == "tv" and len(finished.images) == 3
    assert (tmp_path / "run" / "candidates" / "tv" / "retina" / "image.png").exists()


def _interrupted_at(step: int, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]) -> None:
    """Interrupt what `make` does in the n-th step of all its solves."""
    taken = 0

    def breaking(self: Watcher, iterate: Iterate) -> None:
        nonlocal taken
        taken += 1
        if taken == step:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Watcher, "on_step", breaking)
        with pytest.raises(KeyboardInterrupt):
            make()


@pytest.mark.parametrize(
    ("step", "tried"),
    [(1, 2), (3, 2), (9, 1), (12, 1), (17, 0), (20, 0)],
)
def test_a_resumed_run_ends_as_an_uninterrupted_one(
    prior: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, tried: int
) -> None:
    """Eight steps each of w-plus, of tv, and of tv from all; `tried` are left when it goes on."""
    monkeypatch.setattr(Recorder, "SHORTEST", 0.0)
    monkeypatch.setattr(Recorder, "LONGEST", 0.0)
    start(config(prior), out=tmp_path / "whole")
    _interrupted_at(step, monkeypatch, lambda: start(config(prior), out=tmp_path / "run"))
    messages = Messages()
    finished = resume(tmp_path / "run", display=messages)
    assert sum(": held-out misfit" in text for text in messages.texts) == tried
    _same(tmp_path / "whole", tmp_path / "run")
    assert finished.scores["steps"] == 8 and resume(tmp_path / "run").again


@pytest.mark.parametrize("step", [2, 8, 14, 20])
def test_a_resumed_mean_ends_as_an_uninterrupted_one(
    prior: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    start(config(prior, **MEAN), out=tmp_path / "whole")
    _interrupted_at(step, monkeypatch, lambda: start(config(prior, **MEAN), out=tmp_path / "run"))
    resume(tmp_path / "run")
    _same(tmp_path / "whole", tmp_path / "run")


def _same(whole: Path, resumed: Path) -> None:
    one, other = (Solution.load(folder / "solution.safetensors") for folder in (whole, resumed))
    assert torch.equal(one.image, other.image) and str(one.outcome) == str(other.outcome)
    for name in ("trace.jsonl", "candidates/w-plus/trace.jsonl", "members/darker/trace.jsonl"):
        texts = [
            (folder / name).read_text() if (folder / name).exists() else ""
            for folder in (whole, resumed)
        ]
        assert texts[0] == texts[1]
    told = [candidates(folder) for folder in (whole, resumed)]
    for record in told:
        for entry in record["candidates"]:
            entry.pop("seconds")
    assert told[0] == told[1]


def test_a_candidate_that_fails_is_recorded_and_not_tried_again(
    prior: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(prior, auto={"candidates": "fragile tv w-plus"})
    _interrupted_at(10, monkeypatch, lambda: start(settings, out=tmp_path / "run"))
    messages = Messages()
    resume(tmp_path / "run", display=messages)
    assert not any("fragile failed" in text for text in messages.texts)
    told = candidates(tmp_path / "run")
    failed = told["candidates"][0]
    assert failed["method"] == "fragile" and "misfit" not in failed
    assert failed["failure"].startswith("MemoryShortage: one image does not fit into memory")
    assert told["chosen"] == ["tv"]


def test_a_run_of_which_every_candidate_fails_says_so(prior: str, tmp_path: Path) -> None:
    settings = config(prior, auto={"candidates": "fragile"})
    with pytest.raises(RunError, match="every candidate of auto failed: fragile: MemoryShortage"):
        start(settings, out=tmp_path / "run")
    assert candidates(tmp_path / "run")["candidates"][0]["failure"]
    with pytest.raises(RunError, match="every candidate of auto failed"):
        resume(tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"auto": {"held_out": 0.9999}}, "leaves nothing of the 512 parts"),
        ({"auto": {"candidates": "tv-decent"}}, "Did you mean 'tv-descent'"),
        ({"coarse": 7, "auto": {"candidates": "sphinx"}}, "power of two"),
        ({"init": "encoder"}, "encoder"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(
    prior: str, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvprobError, match=message):
        start(config(prior, **changes), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_operator_that_offers_nothing_is_refused(
    prior: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register.operator, "_entries", dict(register.operator._entries))

    @register.operator("bare")
    class Bare(LinearOperator):
        """Says nothing of what can be left out."""

        def __init__(self, image_shape: tuple[int, ...]) -> None:
            super().__init__(image_shape, image_shape)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image

    with pytest.raises(ArgumentError, match=r"bare does not say what can be; name a method"):
        start(config(prior, operators=(Named("bare"),)), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_settings_hold_for_every_solve(prior: str, tmp_path: Path) -> None:
    """Steps, restarts, a rule and a coarse start, the last for what searches a generator."""
    settings = config(
        prior,
        auto={"candidates": "w-plus-s-b tv"},
        restarts=2,
        coarse=16,
        steps=6,
        stop=Named("held-out", {"hidden": 0.1, "patience": 3}),
    )
    start(settings, out=tmp_path / "run")
    for name, most in (("w-plus-s-b", 12), ("tv", 12)):
        scores = json.loads((tmp_path / "run/candidates" / name / "scores.json").read_text())
        assert 6 < scores["steps"] <= most and "2 restarts" in scores["outcome"]
