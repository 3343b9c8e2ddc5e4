"""Many images some at a time: the same results, resumed bit for bit, halved where need be."""

import dataclasses
import filecmp
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from invprob.callbacks import Callback, Iterate, Snapshot
from invprob.errors import MemoryShortage
from invprob.measurements import Measurements
from invprob.operators import LinearEach
from invprob.run import chunks
from invprob.run.chunks import join_solutions
from invprob.run.config import Named, RunConfig
from invprob.run.folder import RunFolder
from invprob.run.launch import resume, start
from invprob.run.results import Comparison
from invprob.run.watch import Display, Recorder, Status, Watcher
from invprob.solver.lbfgs import LBFGS
from invprob.solver.optimisers import Optimiser
from invprob.solver.solution import Outcome, Solution
from invprob.solver.task import Task


class Messages(Display):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def folder(self, path: Path) -> None:
        del path

    def message(self, text: str) -> None:
        self.texts.append(text)

    def status(self, status: Status) -> None:
        del status


def settings(prior: str, batch: int | None) -> RunConfig:
    return RunConfig(
        samples=("face", "cat", "retina"),
        operators=(Named("circulant", {"ratio": 0.2}),),
        prior=prior,
        steps=4,
        batch=batch,
        perceptual="none",
        device="cpu",
    )


@pytest.fixture
def prior(tmp_path: Path) -> str:
    import networks

    from invprob.priors.generator_files import save_generator

    path = tmp_path / "small.safetensors"
    save_generator(networks.random_generator(), path)
    return str(path)


def test_chunks_find_what_all_at_once_find(prior: str, tmp_path: Path) -> None:
    whole = start(settings(prior, 3), out=tmp_path / "whole")
    parts = start(settings(prior, 2), out=tmp_path / "parts")
    one, other = (Solution.load(run.path / "solution.safetensors") for run in (whole, parts))
    assert one.image.shape == other.image.shape == (3, 3, 32, 32)
    torch.testing.assert_close(one.image, other.image, rtol=0, atol=1e-3)
    torch.testing.assert_close(other.render(), other.image, rtol=0, atol=1e-5)
    assert {name: value.shape for name, value in one.trace.items()} == {
        name: value.shape for name, value in other.trace.items()
    }
    assert list(whole.images) == list(parts.images) == ["face", "cat", "retina"]
    lines = [json.loads(line) for line in (parts.path / "trace.jsonl").read_text().splitlines()]
    assert [(line["first"], line["step"]) for line in lines] == [
        *((0, step) for step in range(1, 5)),
        *((2, step) for step in range(1, 5)),
    ]
    assert not list(parts.path.glob("part-*"))


def test_operators_drawn_for_each_image_go_with_it(prior: str, tmp_path: Path) -> None:
    """All at once, two at a time, and each image alone with the operator that it had."""
    own = dataclasses.replace(settings(prior, 3), per_image=True)
    whole = start(own, out=tmp_path / "whole")
    parts = start(dataclasses.replace(own, batch=2), out=tmp_path / "parts")
    images = [Solution.load(run.path / "solution.safetensors").image for run in (whole, parts)]
    torch.testing.assert_close(images[0], images[1], rtol=0, atol=1e-3)
    together = Measurements.load(whole.path / "measurements.safetensors").operator()
    assert isinstance(together, LinearEach) and len(together.parts()) == 3
    drawn = {part.fingerprint() for part in together.parts()}
    assert len(drawn) == 3
    shared = start(settings(prior, 3), out=tmp_path / "shared")
    for index, name in enumerate(("face", "cat", "retina")):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(together.parts()[index].spec()))
        alone = dataclasses.replace(
            settings(prior, 1), samples=(name,), operators=(), spec=path.read_text()
        )
        found = start(alone, out=tmp_path / name)
        image = Solution.load(found.path / "solution.safetensors").image
        torch.testing.assert_close(image[0], images[0][index], rtol=0, atol=1e-3)
    one = Measurements.load(shared.path / "measurements.safetensors").operator()
    assert one.fingerprint() == together.parts()[0].fingerprint()


@pytest.mark.parametrize("step", [2, 4, 6])
def test_a_broken_run_in_chunks_ends_as_if_it_never_broke(
    prior: str, tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = start(settings(prior, 2), out=tmp_path / "whole")
    monkeypatch.setattr(Recorder, "SHORTEST", 0.0)
    monkeypatch.setattr(Recorder, "LONGEST", 0.0)
    original, taken = Watcher.on_step, 0

    def breaking(self: Watcher, iterate: Iterate) -> None:
        nonlocal taken
        taken += 1
        if taken == step:
            raise KeyboardInterrupt
        original(self, iterate)

    with monkeypatch.context() as patch:
        patch.setattr(Watcher, "on_step", breaking)
        with pytest.raises(KeyboardInterrupt):
            start(settings(prior, 2), out=tmp_path / "broken")
    resume(tmp_path / "broken")
    for name in ("solution.safetensors", "trace.jsonl", "cat/image.png"):
        assert filecmp.cmp(whole.path / name, tmp_path / "broken" / name, shallow=False), name


def test_a_run_broken_between_portions_repeats_nothing(
    prior: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = start(settings(prior, 1), out=tmp_path / "whole")
    original = RunFolder.save_part

    def breaking(self: RunFolder, images: range, part: Solution) -> None:
        original(self, images, part)
        if images.start == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save_part", breaking)
        with pytest.raises(KeyboardInterrupt):
            start(settings(prior, 1), out=tmp_path / "broken")
    steps = []
    step_of = Watcher.on_step

    def counting(self: Watcher, iterate: Iterate) -> None:
        steps.append(iterate.taken)
        step_of(self, iterate)

    monkeypatch.setattr(Watcher, "on_step", counting)
    resume(tmp_path / "broken")
    assert steps == [1, 2, 3, 4]  # the last image's
    for name in ("solution.safetensors", "trace.jsonl", "retina/image.png"):
        assert filecmp.cmp(whole.path / name, tmp_path / "broken" / name, shallow=False), name


class Shortage(Callback):
    """Lets memory run out at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, iterate: Iterate) -> None:
        if iterate.taken == self.step:
            raise torch.OutOfMemoryError("out of memory")


def cramped(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Only one image fits into memory, which shows at a step; until then the trace is written."""
    monkeypatch.setattr(Recorder, "SHORTEST", 0.0)
    monkeypatch.setattr(Recorder, "LONGEST", 0.0)
    honest = chunks.solve_restarts

    def solve(task: Task, *, callbacks: Sequence[Callback], snapshot: Snapshot | None) -> Solution:
        watched = [*callbacks, Shortage(step)] if task.batch > 1 else callbacks
        return honest(task, callbacks=watched, snapshot=snapshot)

    monkeypatch.setattr(chunks, "solve_restarts", solve)


def test_too_little_memory_halves_and_goes_on(
    prior: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    single = start(settings(prior, 1), out=tmp_path / "single")
    cramped(monkeypatch, step=2)
    messages = Messages()
    halved = start(settings(prior, 3), out=tmp_path / "halved", display=messages)
    assert filecmp.cmp(single.path / "cat/image.png", halved.path / "cat/image.png", shallow=False)
    assert (single.path / "trace.jsonl").read_text() == (halved.path / "trace.jsonl").read_text()
    assert any("2 images at once" in text for text in messages.texts)
    assert any("1 images at once" in text for text in messages.texts)


def test_a_resumed_run_halves_as_well(
    prior: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken in step 3 of two images, it is resumed where one alone fits into memory."""
    config = dataclasses.replace(settings(prior, 1), samples=("face", "cat"))
    single = start(config, out=tmp_path / "single")
    monkeypatch.setattr(Recorder, "SHORTEST", 0.0)
    monkeypatch.setattr(Recorder, "LONGEST", 0.0)
    broken = tmp_path / "broken"

    def breaking(self: Watcher, iterate: Iterate) -> None:
        if iterate.taken == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Watcher, "on_step", breaking)
        with pytest.raises(KeyboardInterrupt):
            start(dataclasses.replace(config, batch=2), out=broken)
    cramped(monkeypatch, step=4)
    resume(broken)
    for name in ("trace.jsonl", "face/image.png", "cat/image.png"):
        assert filecmp.cmp(single.path / name, broken / name, shallow=False), name


def test_one_image_that_does_not_fit_is_said(
    prior: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*rest: object, **options: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 10 bytes")

    monkeypatch.setattr(chunks, "solve_restarts", never)
    with pytest.raises(MemoryShortage, match="--memory low"):
        start(settings(prior, 3), out=tmp_path / "never")


def test_what_fails_after_the_last_step_repeats_no_step(prior: str, tmp_path: Path) -> None:
    """The solutions of the first images are kept until everything is written."""

    def no_pen(comparison: Comparison, path: Path) -> None:
        raise RuntimeError(f"no pen for {path.name}")

    start(settings(prior, 2), out=tmp_path / "whole")
    with pytest.raises(RuntimeError, match="no pen"):
        start(settings(prior, 2), out=tmp_path / "failed", draw=no_pen)
    assert list((tmp_path / "failed").glob("part-*"))
    trace = (tmp_path / "failed/trace.jsonl").read_bytes()
    assert not resume(tmp_path / "failed").again
    assert (tmp_path / "failed/trace.jsonl").read_bytes() == trace
    whole, failed = tmp_path / "whole/solution.safetensors", tmp_path / "failed"
    assert filecmp.cmp(whole, failed / "solution.safetensors", shallow=False)
    assert not [*failed.glob("part-*"), *failed.glob("checkpoint*")]


def test_auto_says_what_it_found_before_the_start(prior: str, tmp_path: Path) -> None:
    messages = Messages()
    start(settings(prior, None), out=tmp_path / "auto", display=messages)
    assert any("an image takes about" in text for text in messages.texts)
    lines = (tmp_path / "auto/trace.jsonl").read_text().splitlines()
    assert len(lines) == 4 and "first" not in json.loads(lines[0])  # all three at once


def test_an_estimate_counts_what_the_optimiser_keeps(
    prior: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L-BFGS keeps twenty times its variables."""
    tried: list[Optimiser] = []
    original = chunks.solve_stages

    def noting(task: Task, **more: Any) -> Solution:
        tried.append(task.stages[0].optimiser)
        return original(task, **more)

    monkeypatch.setattr(chunks, "solve_stages", noting)
    method = Named("sphinx", {"optimiser": "l-bfgs", "content": "head"})
    start(dataclasses.replace(settings(prior, None), method=method), out=tmp_path / "run")
    assert len(tried) == 2 and all(isinstance(one, LBFGS) for one in tried)


def test_an_estimate_counts_the_checkpoints_of_every_stage(
    prior: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where weights move, a checkpoint is three times as large as they are, and is held twice."""
    packed: list[set[str]] = []

    def packing(snapshot: dict[str, torch.Tensor]) -> None:
        packed.append({name for name in snapshot if name.startswith("code.")})

    monkeypatch.setattr(chunks, "save", packing)
    method = Named("pti", {})
    start(dataclasses.replace(settings(prior, None), method=method), out=tmp_path / "run")
    assert len(packed) == 4 and packed[:2] == packed[2:]  # two stages with one image, then with two
    assert "code.weights.tensors.0" in packed[1] - packed[0]


def test_joined_solutions_keep_what_is_shared() -> None:
    def part(count: int, steps: int, status: str) -> Solution:
        return Solution(
            image=torch.zeros(count, 3, 8, 8),
            realised={"styles": torch.rand(count, 4, 5), "noise.0": torch.ones(1, 1, 4, 4)},
            code={"style": torch.rand(count, 4, 5)},
            outcome=Outcome(status, status),  # type: ignore[arg-type]
            trace={"total": torch.ones(steps, count)},
            steps=steps,
            seed=0,
            prior_spec={},
        )

    joined = join_solutions([part(2, 5, "finished"), part(1, 3, "stopped")])
    assert joined.image.shape[0] == joined.realised["styles"].shape[0] == 3
    assert joined.realised["noise.0"].shape[0] == 1
    assert joined.trace["total"].shape == (5, 3)
    assert joined.trace["total"][3:, 2].isnan().all()
    assert joined.outcome.status == "stopped"
    ones = join_solutions([part(1, 5, "finished"), part(1, 5, "finished")])
    assert ones.realised["styles"].shape[0] == 2
    assert ones.realised["noise.0"].shape[0] == 1
