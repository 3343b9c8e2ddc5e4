"""Sweeps that run: what is kept, resumed, refused, recorded."""

import contextlib
import csv
import dataclasses
import filecmp
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from invprob import methods
from invprob.bench.read import read_sweep
from invprob.bench.records import load_record
from invprob.bench.runner import SweepResult, run_sweep
from invprob.errors import RunError
from invprob.measurements import Measurements
from invprob.registry import register
from invprob.run.config import Named, RunConfig
from invprob.run.launch import start
from invprob.run.samples import load_sample

IDS = [
    "face_one-half_sphinx_s0",
    "face_one-half_w-plus_s0",
    "face_all_sphinx_s0",
    "face_all_w-plus_s0",
]


def run(path: Path, out: Path, *, retry_failed: bool = False) -> SweepResult:
    return run_sweep(read_sweep(path), out, retry_failed=retry_failed)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_tables_hold_what_the_run_folders_say(write, in_process: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = run(write(), out)
    assert (summary.total, summary.finished, summary.failed) == (4, 4, 0)
    assert in_process == IDS
    runs = rows(out / "runs.csv")
    assert [row["id"] for row in runs] == IDS
    for row in runs:
        scores = json.loads((out / "runs" / row["id"] / "scores.json").read_text())
        for name in ("psnr", "ssim", "data_misfit"):
            assert float(row[name]) == pytest.approx(scores[name], rel=1e-8)
        assert row["lpips"] == "" and row["steps"] == "2" and row["status"] == "finished"
        assert float(row["seconds_in_loop"]) == pytest.approx(scores["seconds"], rel=1e-8)
        assert float(row["seconds"]) > float(row["seconds_in_loop"])
        config = RunConfig.load(out / "runs" / row["id"] / "config.toml")
        assert config.steps == 2 and config.method.name == row["method"] and config.threads == 1
    table = rows(out / "table.csv")
    assert [row["runs"] for row in table] == ["1"] * 4
    assert [row["psnr_mean"] for row in table] == [row["psnr"] for row in runs]
    text, _, standing = (out / "table.md").read_text().partition("## Behind the best")
    assert text.count("\n| sphinx |") == text.count("\n| w-plus |") == 2
    assert standing.count("\n| sphinx |") == standing.count("\n| w-plus |") == 1
    assert "- steps: 2\n" in text and "perceptual network: none (" in text


def test_only_what_is_missing_is_done(write, in_process: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(write(), out)
    in_process.clear()
    run(write(), out)
    assert in_process == []
    new = "[[methods]]\nname = 'w-plus-s-b'\n"
    summary = run(write(more=new), out)
    assert in_process == ["face_one-half_w-plus-s-b_s0", "face_all_w-plus-s-b_s0"]
    assert summary.finished == 6 and len(rows(out / "table.csv")) == 6
    in_process.clear()
    assert run(write(), out).total == 4  # the earlier file, whose runs are all there
    assert in_process == [] and len(rows(out / "runs.csv")) == 4


def test_another_definition_is_refused(write, in_process: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(write(), out)
    before = (out / "table.md").read_text()
    with pytest.raises(
        RunError, match=r"face_one-half_sphinx_s0 \(steps was 2, is now 3\) and 3 m"
    ):
        run(write(("steps = 2", "steps = 3")), out)
    with pytest.raises(RunError, match=r"face_one-half_sphinx_s0 \(operators was .*0.4"):
        run(write(("ratio = 0.5", "ratio = 0.4")), out)
    assert (out / "table.md").read_text() == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(RunError, match=r"not the folder of a sweep: it holds 'letter.txt'"):
        run(write(), tmp_path / "mine")


def test_a_sweep_may_leave_the_method_to_the_data(
    write, in_process: list[str], tmp_path: Path
) -> None:
    auto = ('name = "sphinx"', 'label = "auto"\nname = "auto"\ncandidates = "w-plus tv"')
    assert run(write(auto), tmp_path / "out").finished == 4
    chosen = json.loads((tmp_path / "out/runs/face_one-half_auto_s0/candidates.json").read_text())
    assert [one["method"] for one in chosen["candidates"]] == ["w-plus", "tv"]
    assert set(chosen["chosen"]) <= {"w-plus", "tv"}
    row = next(row for row in rows(tmp_path / "out" / "runs.csv") if row["method"] == "auto")
    assert float(row["psnr"]) > 0 and row["steps"] == "2"


def test_a_failing_run_is_recorded_and_stops_nothing(
    write, in_process: list[str], tmp_path: Path
) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("no picture")
    broken = True

    def fragile(setting: methods.Setting) -> methods.Recipe:
        recipe: methods.Recipe = register.method["w-plus"](setting)
        (stage,) = recipe.stages
        stage = dataclasses.replace(stage, schedule=lambda progress: 1 / (not broken))
        return dataclasses.replace(recipe, stages=(stage,))

    register.method("fragile")(fragile)
    path = write(
        ('samples = ["face"]', 'paths = ["bad.png", "good.png"]'),
        ('name = "sphinx"', 'name = "fragile"'),
        ('label = "all"\nname = "identity"\nx = 100\n', 'name = "flip"\n'),
    )
    out = tmp_path / "out"
    summary = run(path, out)
    assert (summary.finished, summary.failed, len(in_process)) == (2, 6, 8)
    record = load_record(out, "good_flip_fragile_s0")
    assert record is not None and record.status == "failed" and record.scores is None
    assert record.error is not None and record.error.startswith("ZeroDivisionError: ")
    assert record.traceback is not None and "solver/loop.py" in record.traceback
    unread = load_record(out, "bad_flip_w-plus_s0")
    assert unread is not None and "no image that can be read" in (unread.error or "")
    assert unread.traceback is None  # a mistake that was foreseen needs none
    text = (out / "table.md").read_text()
    assert "6 of 8 runs failed" in text and "- `good_flip_fragile_s0`: ZeroDivisionError" in text
    in_process.clear()
    run(path, out)
    assert in_process == []
    broken = False
    assert run(path, out, retry_failed=True).finished == 4
    assert len(in_process) == 6
    Image.new("RGB", (40, 40), "red").save(tmp_path / "bad.png")
    in_process.clear()
    assert run(path, out).finished == 8  # a picture that was damaged is another picture now
    assert all(name.startswith("bad") for name in in_process) and len(in_process) == 4


def test_the_target_is_the_transformed_image(write, in_process: list[str], tmp_path: Path) -> None:
    more = "[[transforms]]\nname = 'translate'\ndx = 5\n"
    out = tmp_path / "out"
    run(write(more=more), out)
    face = load_sample("face", size=32).numpy()
    expected = np.zeros_like(face)
    expected[..., 5:] = face[..., :-5]
    name = "face_translate-dx-5_all_w-plus_s0"
    measured = Measurements.load(out / "runs" / name / "measurements.safetensors")
    assert measured.operator_spec["type"] == "identity"
    assert np.allclose(measured.values.numpy(), expected, atol=1e-6)
    with Image.open(out / "runs" / name / "image.png") as picture:
        result = np.asarray(picture, dtype=np.float64).transpose(2, 0, 1) / 127.5 - 1
    psnr = 10 * np.log10(4 / ((result - expected[0]) ** 2).mean())
    scores = json.loads((out / "runs" / name / "scores.json").read_text())
    assert scores["psnr"] == pytest.approx(psnr, abs=0.02)


def test_a_budget_of_seconds_stops_a_run(write, tmp_path: Path) -> None:
    write()
    config = RunConfig(
        samples=("face",),
        operators=(Named("identity"),),
        prior=str(tmp_path / "tiny.safetensors"),
        method=Named("w-plus"),
        perceptual="none",
        steps=10**6,
        seconds=0.2,
        threads=1,
    )
    finished = start(config, out=tmp_path / "run")
    assert 0 < finished.scores["steps"] < 10**6
    assert finished.scores["seconds"] >= 0.2
    assert finished.scores["outcome"] == (
        f"stopped after {finished.scores['steps']} of 1000000 steps: "
        "the time budget of 0.2 s was used up"
    )
    assert RunConfig.load(tmp_path / "run" / "config.toml").seconds == 0.2


def test_equal_time_means_steps_by_pace(write, in_process: list[str], tmp_path: Path) -> None:
    path = write(("steps = 2", "seconds = 0.3"))
    out = tmp_path / "out"
    run(path, out)
    for name in in_process:
        record = load_record(out, name)
        assert record is not None and record.pace is not None and record.scores is not None
        config = RunConfig.load(out / "runs" / name / "config.toml")
        assert config.seconds == 0.3 and config.steps == max(1, int(0.3 / record.pace))
        assert record.scores["steps"] <= config.steps
    assert "as many as fit in 0.3 s a run" in (out / "table.md").read_text()
    assert {row["budget_seconds"] for row in rows(out / "runs.csv")} == {"0.3"}
    in_process.clear()
    run(path, out)
    assert in_process == []


PLUGIN = """
import os, torch, invprob

@invprob.register.operator("deadly")
class Deadly(invprob.LinearOperator):
    def __init__(self, image_shape: tuple[int, ...]) -> None:
        super().__init__(image_shape, image_shape)

    def forward(self, image):
        os._exit(7)

    @classmethod
    def example(cls):
        return cls((3, 8, 8))
"""


def test_processes_are_their_runs_own(write, tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text(PLUGIN)
    path = write(
        ('label = "one half"\nname = "circulant"\nratio = 0.5', 'name = "deadly"'),
        more="[[exclude]]\nmethod = 'sphinx'\n",
    )
    path.write_text("plugins = ['deadly.py']\nprocesses = 2\n" + path.read_text())
    out = tmp_path / "out"
    summary = run(path, out)
    assert (summary.finished, summary.failed) == (1, 1)
    died = load_record(out, "face_deadly_w-plus_s0")
    assert (
        died is not None and died.error == "its process ended with status 7 before it had a result"
    )
    made = load_record(out, "face_all_w-plus_s0")
    assert made is not None and made.threads == 1 and made.seconds is not None
    # An interpreter with PyTorch takes more than 100 MiB, and this one did little besides.
    assert made.peak_memory is not None and 100 < made.peak_memory < 4000


def at_work(group: int) -> list[str]:
    """The processes of a group that are not dead, where the system says so."""
    states = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of = stat.read_text().rpartition(")")[2].split()[:3]
            if int(of) == group and state != "Z":
                states.append(stat.read_text())
    return states


def test_ctrl_c_ends_cleanly_and_the_same_command_goes_on(write, tmp_path: Path) -> None:
    path = write(
        ("steps = 2", "steps = 200"),
        ('label = "all"\nname = "identity"\nx = 100\n', 'name = "flip"\n'),
        more="[[exclude]]\noperator = 'one half'\n[[exclude]]\nmethod = 'sphinx'\n",
    )
    command = [sys.executable, "-m", "invprob", "bench", str(path), "--out", "out"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        start_new_session=True,
    )
    folder = tmp_path / "out" / "runs" / "face_flip_w-plus_s0"
    try:
        while not (folder / "checkpoint.safetensors").exists() and process.poll() is None:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert out.startswith("0 of 1 runs finished")
    assert err.splitlines()[-1] == "invprob: interrupted; to continue: the same command"
    assert "Traceback" not in err, err
    patience = time.monotonic() + 20
    while at_work(process.pid) and time.monotonic() < patience:
        time.sleep(0.05)
    assert at_work(process.pid) == []
    record = load_record(tmp_path / "out", folder.name)
    assert record is not None and record.status == "interrupted" and record.seconds is not None
    assert "1 of 1 runs are still to be made." in (tmp_path / "out" / "table.md").read_text()

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["1 of 1 runs finished", "out/table.md"]
    again = load_record(tmp_path / "out", folder.name)
    assert again is not None and again.status == "finished" and again.sessions == 2
    assert again.seconds is not None and again.seconds > record.seconds
    straight = start(RunConfig.load(folder / "config.toml"), out=tmp_path / "straight")
    for name in ("solution.safetensors", "image.png", "trace.jsonl"):
        assert filecmp.cmp(folder / name, straight.path / name, shallow=False), name
