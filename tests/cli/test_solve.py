"""`solve`, `resume`, `measure` from end to end, on a 32 px generator."""

import filecmp
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import invprob
from invprob.errors import MeasurementWarning, RunError
from invprob.measurements import Measurements
from invprob.operators import PartialCirculant
from invprob.run.config import RunConfig
from invprob.run.opening import open_folder
from invprob.run.samples import load_sample

CIRCULANT = ("--operator", "circulant", "--ratio", "0.1", "--steps", "6")
FILES = {
    "config.toml",
    "choices.json",
    "environment.json",
    "operator.json",
    "measurements.safetensors",
    "trace.jsonl",
    "solution.safetensors",
    "image.png",
    "comparison.png",
    "report.html",
    "scores.json",
    "lock",
}
SCORES = {
    "psnr",
    "ssim",
    "lpips",
    "psnr_pinv",
    "psnr_mean",
    "data_misfit",
    "steps",
    "seconds",
    "outcome",
}


def pixels(path: Path | str) -> np.ndarray:
    """A picture's levels, (height, width, 3)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def equal_runs(one: Path, other: Path) -> None:
    """Everything that a result consists of is the same, byte for byte."""
    for name in ("solution.safetensors", "image.png", "trace.jsonl", "measurements.safetensors"):
        assert filecmp.cmp(one / name, other / name, shallow=False), name


def test_a_run_leaves_a_folder_that_explains_itself(call, place: Path) -> None:
    done = call("solve", *CIRCULANT)
    assert done.status == 0
    assert done.last == Path("runs/face-circulant-sphinx-adapted-001")
    assert {path.name for path in done.last.iterdir()} == FILES
    scores = json.loads((done.last / "scores.json").read_text())
    assert scores.keys() >= SCORES
    assert scores["lpips"] is None and "no perceptual network" in scores["lpips_reason"]
    assert scores["steps"] == 6 and scores["outcome"] == "all 6 steps were taken"
    environment = json.loads((done.last / "environment.json").read_text())
    assert environment["device"] == str(torch.device(environment["device"]))
    assert len(environment["generator"]["sha256"]) == 64
    assert "no perceptual network" in environment["perceptual"]["absent"]
    lines = [json.loads(line) for line in (done.last / "trace.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    config = RunConfig.load(done.last / "config.toml")
    assert config.steps == 6 and config.operators[0].settings["ratio"] == 0.1
    assert done.err.count("LPIPS is left out") == 1
    assert call("solve", *CIRCULANT).last == Path("runs/face-circulant-sphinx-adapted-002")


def test_scores_are_those_of_the_files(call, place: Path) -> None:
    done = call("solve", "../picture.png", *CIRCULANT, "--json")
    told = json.loads(done.out)
    result = pixels(Path(told["folder"]) / "image.png").astype(np.float64)
    truth = invprob.load_image("../picture.png", size=32)[0].permute(1, 2, 0).double()
    error = ((result / 127.5 - 1) - truth.numpy()) ** 2
    assert told["psnr"] == pytest.approx(10 * np.log10(4 / error.mean()), abs=0.02)


def test_a_picture_its_mask_and_its_white_are_spoken_of(call, place: Path) -> None:
    hole = np.full((40, 48), 255, np.uint8)
    hole[10:20, 14:24] = 0
    Image.fromarray(hole).save("hole.png")
    Image.fromarray((pixels("../grey.png")[..., 0].astype(np.uint16)) * 16).save("deep.png")
    masked = ("--operator", "mask", "--mask", "hole.png", "--size", 32)
    for command in (
        ("measure", "deep.png", *masked, "--out", "y.st"),
        ("solve", "deep.png", *masked[:-2], "--steps", 2, "--out", "run"),
    ):
        done = call(*command)
        assert done.status == 0
        assert (
            "measurement of deep.png, cropped from 48 x 40 to its central 40 x 40 pixels"
            in done.err
        )
        assert "deep.png uses 4080 of 65535 and is nearly black (12 bits?)" in done.err
        assert "hole.png is fitted like the picture; it hides 6.25 % of the pixels" in done.err
    notes = json.loads(Path("run/environment.json").read_text())["notes"]
    assert any("4080 of 65535" in note for note in notes)  # also after --quiet, and in a sweep
    call("measure", "deep.png", *masked, "--white", 4080, "--out", "told.st")
    call("measure", "../grey.png", *masked, "--out", "grey.st")
    one, other = (Measurements.load(name).values for name in ("told.st", "grey.st"))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert call("measure", "deep.png", *masked, "--out", "z.st", "--quiet").err == ""


def test_measuring_first_gives_the_same_bits(call, place: Path) -> None:
    noisy = ("--operator", "circulant", "--ratio", "0.2", "--noise", "gaussian", "--sigma", "0.1")
    direct = call("solve", *noisy, "--steps", "5", "--seed", "7", "--out", "direct")
    said = call("measure", "--sample", "face", *noisy, "--size", 32, "--seed", 7, "--out", "y.st")
    assert said.last == Path("y.st")
    assert "614 measurements" in said.out and "SNR" in said.out
    assert call("solve", "--measurements", "y.st", "--steps", 5, "--seed", 7, "--out", "later")
    equal_runs(direct.last, Path("later"))
    scores = json.loads(Path("later/scores.json").read_text())
    assert scores["psnr"] is None and scores["lpips_reason"] == "the truth is not known"
    assert pixels("later/comparison.png").shape[1] < pixels("direct/comparison.png").shape[1]


def test_a_saved_operator_measures_and_solves(call, refuse, place: Path) -> None:
    from invprob.operators import Luminance, Operator, PartialCirculant, Rotate, stack

    shape = (3, 32, 32)
    both = stack([PartialCirculant(shape, 0.1, seed=8), Luminance(shape) @ Rotate(shape, 10)])
    Path("op.json").write_text(json.dumps(both.spec()))
    done = call("solve", "--spec", "op.json", "--steps", 4, "--out", "direct")
    assert done.status == 0, done
    saved = Measurements.load("direct/measurements.safetensors")
    assert saved.fingerprint == both.fingerprint()
    written = json.loads(Path("direct/operator.json").read_text())
    assert Operator.from_spec(written).fingerprint() == both.fingerprint()
    Path("op.json").rename("moved.json")  # the run needs it no longer
    again = call("solve", "--config", "direct/config.toml", "--out", "again")
    equal_runs(done.last, again.last)
    measured = call("measure", "--sample", "face", "--spec", "moved.json", "--out", "y.st")
    assert measured.status == 0, measured
    assert torch.equal(Measurements.load("y.st").values, saved.values)
    np.save("y.npy", saved.values[0].numpy())
    call("import-measurements", "y.npy", "--spec", "moved.json", "--out", "z.st")
    assert Measurements.load("z.st").fingerprint == both.fingerprint()
    other = call(
        "solve", "--config", "direct/config.toml", "--operator", "rotate", "--degrees", 3, "-q"
    )
    assert "face-rotate-sphinx" in other.out
    saved_too = ("solve", "--spec", "moved.json")
    assert "beside a saved operator" in refuse(*saved_too, "--operator", "identity")
    assert "operator-seed" in refuse(*saved_too, "--operator-seed", 1)
    assert "per-image" in refuse(*saved_too, "--per-image")
    assert "--size" in refuse(
        "measure", "--sample", "face", "--spec", "moved.json", "--size", 64, "--out", "w.st"
    )
    assert "nowhere.json" in refuse("solve", "--spec", "nowhere.json")
    assert "--spec" in refuse("solve", "--measurements", "y.st", "--spec", "moved.json")
    grey = PartialCirculant((1, 32, 32), 0.5)
    Path("grey.json").write_text(json.dumps(grey.spec()))
    assert call("solve", "--spec", "grey.json", "--grey", "--steps", 3).status == 0
    assert "(1, 32, 32)" in refuse("solve", "--spec", "grey.json")


@pytest.mark.parametrize(
    ("noise", "term"),
    [
        (("gaussian", "--sigma", "0.3"), "stochastic"),
        (("poisson", "--photons", "30"), "likelihood"),
        (("poisson", "--photons", "30"), "stochastic"),
        (("speckle", "--sigma", "0.2"), "likelihood"),
        (("salt-and-pepper", "--share", "0.1"), "stochastic"),
        (("uniform", "--width", "0.1"), "misfit"),
    ],
    ids=str,
)
def test_data_terms_from_the_command_line(call, place: Path, noise, term: str) -> None:
    run = ("solve", "--operator", "identity", "--noise", *noise, "--data-term", term)
    done = call(*run, "--steps", 5, "--out", "run")
    assert done.status == 0, done
    lines = [json.loads(line) for line in Path("run/trace.jsonl").read_text().splitlines()]
    assert ("likelihood" in lines[-1]) is (term == "likelihood")
    assert RunConfig.load(Path("run/config.toml")).data_term == term
    for name in ("scores.json", "solution.safetensors"):
        Path("run", name).unlink()
    again = call("resume", "run")
    assert again.status == 0, again


def test_data_terms_that_cannot_be(refuse, place: Path) -> None:
    run = ("solve", "--operator", "identity", "--steps", 2)
    assert "Did you mean 'likelihood'" in refuse(*run, "--data-term", "likelihod")
    assert "--noise" in refuse(*run, "--data-term", "likelihood")
    uniform = (*run, "--noise", "uniform", "--width", 0.1)
    assert "flat" in refuse(*uniform, "--data-term", "likelihood")
    counted = ("solve", "--operator", "circulant", "--ratio", 0.1, "--noise", "poisson")
    assert "amounts of light" in refuse(*counted, "--photons", 9)
    assert "needs measurements that are images" in refuse(
        *counted[:6], "gaussian", "--sigma", 1, "--data-term", "stochastic"
    )


def test_a_configuration_runs_again(call, place: Path) -> None:
    first = call("solve", "../picture.png", *CIRCULANT, "--seed", 3, "--out", "first")
    again = call("solve", "--config", "first/config.toml", "--out", "again")
    equal_runs(first.last, again.last)
    other = call("solve", "--config", "first/config.toml", "--steps", 3, "--reference", 0.3, "-q")
    assert other.out == "runs/picture-circulant-sphinx-adapted-001\n" and other.err == ""
    assert RunConfig.load(other.last / "config.toml").method.settings["reference"] == 0.3


def test_images_are_solved_at_once_each_in_its_folder(call, place: Path) -> None:
    done = call("solve", "../picture.png", "../grey.png", *CIRCULANT, "--out", "both")
    assert {p.name for p in Path("both/grey").iterdir()} == {
        "image.png", "comparison.png", "scores.json"
    }  # fmt: skip
    grey = pixels("both/grey/image.png")
    assert (grey[..., 0] == grey[..., 1]).all() and (grey[..., 0] == grey[..., 2]).all()
    scores = json.loads(Path("both/scores.json").read_text())
    each = [scores["images"][name]["psnr"] for name in ("picture", "grey")]
    assert scores["psnr"] == pytest.approx(sum(each) / 2)
    alone = call("solve", "../grey.png", *CIRCULANT, "--json", "--out", "alone")
    assert json.loads(alone.out)["psnr"] == pytest.approx(each[1], abs=1e-3)
    assert done.out.splitlines()[-1] == "both"


def test_grey_measures_one_channel(call, place: Path) -> None:
    call("solve", "--operator", "rotate", "--degrees", 10, "--grey", "--steps", 3, "--out", "g")
    measured = Measurements.load("g/measurements.safetensors")
    assert tuple(measured.values.shape) == (1, 1, 32, 32)
    image = pixels("g/image.png")
    assert (image[..., 0] == image[..., 2]).all()


def test_chains_read_from_left_to_right(call, place: Path) -> None:
    call("measure", "--sample", "face", "--operator", "circulant", "--operator", "rotate",
         "--degrees", "-15", "--ratio=0.5", "--size", 32, "--out", "y.st")  # fmt: skip
    measured = Measurements.load("y.st")
    kinds = [leaf["type"] for leaf in measured.operator_spec["operators"]]
    assert kinds == ["circulant", "rotate"]
    assert measured.operator_spec["operators"][1]["degrees"] == -15


def test_gaussian_noise_is_an_alias(call, place: Path) -> None:
    size = ("--sample", "face", "--size", 32)
    call("measure", *size, "--operator", "gaussian-noise", "--sigma", 0.3, "--out", "a.st")
    call(
        "measure", *size, "--operator", "identity", "--noise", "gaussian:sigma=0.3", "--out", "b.st"
    )
    assert Path("a.st").read_bytes() == Path("b.st").read_bytes()


def test_imported_measurements_solve_alike(call, place: Path) -> None:
    operator = ("--operator", "circulant", "--ratio", "0.1", "--operator-seed", "5")
    call("measure", "--sample", "face", *operator, "--size", 32, "--out", "y.st")
    np.save("y.npy", Measurements.load("y.st").values.numpy()[0])
    done = call("import-measurements", "y.npy", *operator, "--size", 32, "--out", "z.st")
    assert done.status == 0, done
    for name in ("y", "z"):
        call("solve", "--measurements", f"{name}.st", "--steps", 3, "--out", name)
    assert torch.equal(
        load_file("y/solution.safetensors")["image"], load_file("z/solution.safetensors")["image"]
    )


def test_measurements_in_other_units_are_warned_of(call, place: Path) -> None:
    operator = PartialCirculant((3, 32, 32), ratio=0.1, seed=5)
    image = load_sample("face", size=32)
    np.save("y.npy", operator((image + 1) * 127.5).numpy())
    line = (
        *("--operator", "circulant", "--ratio", "0.1", "--operator-seed", "5", "--size", 32),
        *("--out", "z.st"),
    )
    with pytest.warns(MeasurementWarning, match="times as large as those of any image"):
        assert call("import-measurements", "y.npy", *line).status == 0
    with pytest.warns(MeasurementWarning, match="z.st.*times as large as those of any image"):
        call("solve", "--measurements", "z.st", "--method", "pinv", "--out", "z")


def test_each_image_can_have_an_operator_of_its_own(call, refuse, place: Path) -> None:
    both = ("--sample", "face", "--sample", "cat", "--per-image")
    assert call("measure", *both, *CIRCULANT[:4], "--size", 32, "--out", "y.st").status == 0
    measured = call("solve", "--measurements", "y.st", "--steps", 3, "--out", "y")
    direct = call("solve", *both, *CIRCULANT[:4], "--steps", 3, "--out", "direct")
    assert measured.status == direct.status == 0, (measured, direct)
    one, other = (load_file(f"{name}/solution.safetensors")["image"] for name in ("y", "direct"))
    assert torch.equal(one, other)
    assert "per_image = true" in Path("direct/config.toml").read_text()
    again = call("solve", "--config", "direct/config.toml", "--out", "again")
    assert again.status == 0, again
    for name in ("solution.safetensors", "measurements.safetensors", "face/image.png"):
        assert filecmp.cmp(f"direct/{name}", f"again/{name}", shallow=False), name
    said = refuse("solve", "--measurements", "y.st", "--per-image")
    assert "--per-image was given beside" in said


def test_overwrite_replaces_runs_only(call, refuse, place: Path) -> None:
    call("solve", *CIRCULANT, "--out", "run")
    assert "--overwrite" in refuse("solve", *CIRCULANT, "--out", "run")
    Path("run/note.txt").write_text("old")
    assert call("solve", *CIRCULANT, "--out", "run", "--overwrite", "--seed", 1).status == 0
    assert {path.name for path in Path("run").iterdir()} == FILES
    assert [path.name for path in place.iterdir()] == ["run"]
    # A run that fails before its first step leaves the old one where it was.
    assert "degrees" in refuse("solve", "--operator", "rotate", "--out", "run", "--overwrite")
    Path("mine").mkdir()
    Path("mine/letter.txt").write_text("dear")
    assert "none" in refuse("solve", *CIRCULANT, "--out", "mine", "--overwrite")
    assert Path("mine/letter.txt").read_text() == "dear"


def test_a_finished_run_is_left_as_it_is(call, place: Path) -> None:
    call("solve", *CIRCULANT, "--out", "run")
    before = {path.name: path.read_bytes() for path in Path("run").iterdir()}
    done = call("resume", "run")
    assert done.status == 0 and done.out.startswith("this run is finished")
    assert {path.name: path.read_bytes() for path in Path("run").iterdir()} == before


def _killed_run(folder: Path, prior: Path, steps: int, threads: int) -> None:
    """Start a run in its own process, and kill it, unable to resist, half-way."""
    command = [sys.executable, "-m", "invprob", "solve", *CIRCULANT[:4], "--out", str(folder)]
    command += ["--prior", str(prior), "--steps", str(steps), "--threads", str(threads)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        trace = folder / "trace.jsonl"
        while not (trace.exists() and trace.stat().st_size):
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.05)
        # The lock is the process's: a second one is turned away at once.
        with pytest.raises(RunError, match="another process"), open_folder(folder):
            pass
    finally:
        process.kill()
        process.wait()


def test_a_killed_run_ends_bit_for_bit_as_if_it_had_lived(call, place: Path) -> None:
    prior, steps, threads = place.parent / "tiny.safetensors", 200, torch.get_num_threads()
    call("solve", *CIRCULANT[:4], "--steps", steps, "--threads", threads, "--out", "whole")
    _killed_run(place / "killed", prior, steps, threads)
    assert not (place / "killed/scores.json").exists()
    resumed = call("resume", "killed")
    assert resumed.status == 0 and "going on after step" in resumed.err
    equal_runs(place / "whole", place / "killed")


def test_a_run_killed_before_its_first_checkpoint_starts_anew(call, place: Path) -> None:
    call("solve", *CIRCULANT, "--out", "whole")
    call("solve", *CIRCULANT, "--out", "killed")
    for name in FILES - {
        "config.toml",
        "environment.json",
        "operator.json",
        "measurements.safetensors",
    }:
        Path("killed", name).unlink()
    done = call("resume", "killed")
    assert done.status == 0 and "starts anew" in done.err
    equal_runs(Path("whole"), Path("killed"))
    Path("killed/scores.json").unlink()
    Path("killed/measurements.safetensors").unlink()
    Path("killed/environment.json").unlink()
    assert call("resume", "killed").status == 0
    equal_runs(Path("whole"), Path("killed"))


def test_ctrl_c_says_how_to_go_on(place: Path) -> None:
    command = [sys.executable, "-m", "invprob", "solve", *CIRCULANT[:4], "--steps", "100000"]
    command += ["--prior", "../tiny.safetensors", "--out", "run"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # The background jobs of a shell ignore SIGINT, and what they start would as well.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        while not Path("run/checkpoint.safetensors").exists():
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and out == ""
    assert err.splitlines()[-1].endswith("to continue: invprob resume run")
    assert "Traceback" not in err


def test_after_two_hyphens_come_files(call, place: Path) -> None:
    """As with other programs, also where their names begin with a hyphen."""
    (place.parent / "picture.png").rename("-x.png")
    done = call("solve", "--prior", "../tiny.safetensors", *CIRCULANT, "--", "-x.png")
    assert done.status == 0, done.err
    assert "-x.png" in (done.last / "config.toml").read_text("utf-8")
