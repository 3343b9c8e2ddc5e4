"""A run that is resumed goes on with what it began with, or says what is missing."""

import json
from pathlib import Path

import networks
import pytest

from invprob.callbacks import Iterate
from invprob.errors import FileError, RunError
from invprob.priors.generator_files import save_generator
from invprob.run import launch
from invprob.run.config import Named, RunConfig
from invprob.run.launch import resume, start
from invprob.run.watch import Display, Recorder, Status, Watcher


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


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that was interrupted in its third step; its generator lies beside it."""
    save_generator(networks.random_generator(), tmp_path / "small.safetensors")
    monkeypatch.setattr(Recorder, "SHORTEST", 0.0)
    monkeypatch.setattr(Recorder, "LONGEST", 0.0)
    config = RunConfig(
        samples=("face",),
        operators=(Named("circulant", {"ratio": 0.2}),),
        prior=str(tmp_path / "small.safetensors"),
        steps=5,
        restarts=2,
        perceptual="none",
        device="cpu",
    )

    def breaking(self: Watcher, iterate: Iterate) -> None:
        if iterate.taken == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Watcher, "on_step", breaking)
        with pytest.raises(KeyboardInterrupt):
            start(config, out=tmp_path / "run")
    return tmp_path / "run"


def test_it_goes_on_after_the_checkpoint(broken: Path) -> None:
    """The trace may be ahead of it, where the process died between writing one and the other."""
    with (broken / "trace.jsonl").open("a") as trace:
        trace.write('{"step": 4, "misfit": [0.5], "total": [0.5]}\n{"step": 5, "mis')
    messages = Messages()
    finished = resume(broken, display=messages)
    assert messages.texts == ["going on after step 3 of 10"]
    assert finished.scores["steps"] == 10 and not finished.again
    lines = (broken / "trace.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 11))
    assert resume(broken).again


def test_another_generator_is_refused(broken: Path) -> None:
    save_generator(networks.random_generator(seed=5), broken.parent / "small.safetensors")
    with pytest.raises(RunError, match="is not the one this run began with"):
        resume(broken)


def test_other_versions_are_said(broken: Path) -> None:
    path = broken / "environment.json"
    environment = json.loads(path.read_text())
    environment["versions"]["numpy"] = "0.1"
    path.write_text(json.dumps(environment))
    messages = Messages()
    resume(broken, display=messages)
    assert any("numpy 0.1 →" in text for text in messages.texts)


def test_without_a_checkpoint_it_starts_anew(broken: Path) -> None:
    (broken / "checkpoint.safetensors").unlink()
    messages = Messages()
    finished = resume(broken, display=messages)
    assert "no checkpoint was reached: the run starts anew" in messages.texts
    lines = (broken / "trace.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 11))
    assert finished.scores["steps"] == 10


def test_an_error_of_a_file_says_how_to_go_on(
    broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object) -> None:
        raise FileError("no space is left")

    monkeypatch.setattr(launch, "write_results", full)
    with pytest.raises(FileError, match=f"no space is left; then go on with: .* {broken}"):
        resume(broken)
