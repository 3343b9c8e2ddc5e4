"""Bad input: one line, exit status 2, nothing left behind (see the fixture `refuse`)."""

import os
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from invprob.cli.app import run

CIRCULANT = ("--operator", "circulant", "--ratio", "0.1", "--steps", "4")
AUTO = ("--operator", "circulant", "--ratio", "0.1", "--method", "auto")


@pytest.mark.parametrize("ratio", ["0", "-1", "2", "nan", "1e-9", "much"])
def test_a_ratio_that_cannot_be(refuse, ratio: str) -> None:
    assert "ratio" in refuse("solve", "--operator", "circulant", "--ratio", ratio)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--operator", "circulent", "--ratio", "0.1"), ("Did you mean 'circulant'?",)),
        (("--operator", "circulant", "--ratoi", "0.1"), ("--ratoi", "'--ratio'", "--spectrum")),
        (("--operator", "circulant"), ("needs --ratio",)),
        (("--operator", "circulant", "--ratio"), ("--ratio needs a value",)),
        (("--operator", "circulant", "--ratio", "0.1", "--ratio", "0.2"), ("twice",)),
        (("--operator", "circulant:ratio"), ("option=value",)),
        (("--operator", "circulant:ration=1"), ("Did you mean 'ratio'?",)),
        ((*CIRCULANT, "--stpes", "3"), ("'--steps'",)),
        ((*CIRCULANT, "--spectrum", "flat"), ("gaussian, unit",)),
        ((*CIRCULANT, "--sigma", "0.1"), ("--noise gaussian",)),
        ((*CIRCULANT, "--noise", "gaussian", "--sigma", "-1"), ("sigma", "-1")),
        ((*CIRCULANT, "--noise", "gausian"), ("Did you mean 'gaussian'?",)),
        ((*CIRCULANT, "--method", "sfinx"), ("sphinx",)),
        ((*CIRCULANT, "--method", "sphinx", "--readout", "first"), ("--readout", "mean_w")),
        ((*AUTO, "--held-out", "0.9999"), ("leaves nothing of the 307 parts", "leave less out")),
        ((*AUTO, "--held-out", "0"), ("held_out must be a share in (0, 1), got 0",)),
        ((*AUTO, "--candidates", "tv sfinx"), ("Did you mean 'sphinx'?",)),
        ((*AUTO, "--candidates", "auto"), ("methods other than auto",)),
        ((*AUTO, "--readout", "mean_w"), ("--readout", "was not given")),
        ((*CIRCULANT[:4], "--steps", "0"), ("steps must be at least 1, got 0",)),
        ((*CIRCULANT[:4], "--steps", "many"), ("--steps",)),
        ((*CIRCULANT, "--seed", "-1"), ("seed",)),
        ((*CIRCULANT, "--fit", "corp"), ("Did you mean 'crop'?",)),
        ((*CIRCULANT, "--sample", "fase"), ("Did you mean 'face'?",)),
        ((*CIRCULANT, "--perceptual", "vggg"), ("Did you mean 'vgg'?",)),
        ((*CIRCULANT, "--perceptual", "vgg"), ("no weights",)),
        ((*CIRCULANT, "--device", "gpu"), ("device must be auto",)),
        ((*CIRCULANT, "--plugin", "nowhere.py"), ("nowhere.py",)),
        ((*CIRCULANT, "--prior", "nobody"), ("generator", "nobody")),
        ((*CIRCULANT, "--prior", "nobody.safetensors"), ("nobody.safetensors",)),
        ((*CIRCULANT, "--config", "nowhere.toml"), ("nowhere.toml",)),
        ((), ("--operator NAME",)),
        (("--operator", "rotate", "--operator", "rotate", "--degrees", "3"), ("rotate:degrees=",)),
        (("--operator", "rotate", "--operator", "gaussian-noise"), ("first",)),
    ],
)
def test_words_that_make_no_sense(
    refuse, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    said = refuse("solve", *arguments)
    for word in words:
        assert word in said


def test_pictures_that_are_none(refuse, place: Path) -> None:
    assert "missing.png" in refuse("solve", "missing.png", *CIRCULANT)
    whole = (place.parent / "picture.png").read_bytes()
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    assert "truncated" in refuse("solve", "cut.png", *CIRCULANT)
    Path("empty.png").touch()
    assert "empty" in refuse("solve", "empty.png", *CIRCULANT)
    Path("folder").mkdir()
    assert "holds no image" in refuse("solve", "folder", *CIRCULANT)


def test_generator_files_that_are_wrong(refuse, place: Path) -> None:
    from safetensors import safe_open

    source = place.parent / "tiny.safetensors"
    with safe_open(source, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(source)
    name = sorted(tensors)[0]
    save_file({k: v for k, v in tensors.items() if k != name}, "less.safetensors", metadata)
    assert name in refuse("solve", *CIRCULANT, "--prior", "less.safetensors")
    save_file({**tensors, "more": torch.zeros(2)}, "more.safetensors", metadata)
    assert "more" in refuse("solve", *CIRCULANT, "--prior", "more.safetensors")
    torch.save({"weights": torch.zeros(2)}, "other.pt")
    assert "other.pt" in refuse("solve", *CIRCULANT, "--prior", "other.pt")
    assert "other.pt" in refuse("inspect", "other.pt")


def test_measurements_that_do_not_belong(call, refuse, place: Path) -> None:
    operator = ("--operator", "circulant", "--ratio", "0.1")
    call("measure", "--sample", "face", *operator, "--size", 64, "--out", "large.st")
    said = refuse("solve", "--measurements", "large.st")
    assert "(3, 64, 64)" in said and "(3, 32, 32)" in said and "--size 32" in said
    call("measure", "--sample", "face", *operator, "--size", 32, "--out", "y.st")
    content = Path("y.st").read_bytes()
    from invprob.measurements import Measurements

    measured = Measurements.load("y.st")
    wrong = "0" * 64
    Path("forged.st").write_bytes(content.replace(measured.fingerprint.encode(), wrong.encode()))
    assert "fingerprint" in refuse("solve", "--measurements", "forged.st")
    assert "--operator" in refuse("solve", "--measurements", "y.st", *operator)
    assert "IMAGE was given" in refuse("solve", "../picture.png", "--measurements", "y.st")
    assert "picture.png" in refuse("solve", "--measurements", "../picture.png")
    assert "exists" in refuse("measure", "--sample", "face", *operator, "--out", "y.st")
    np.save("short.npy", np.zeros(3))
    said = refuse("import-measurements", "short.npy", *operator, "--size", 32, "--out", "z.st")
    assert "(307,)" in said
    Path("text.npy").write_text("1 2 3")
    assert ".npy" in refuse("import-measurements", "text.npy", *operator, "--out", "z.st")
    np.save("object.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert "object.npy" in refuse("import-measurements", "object.npy", *operator, "--out", "z.st")


def test_a_configuration_with_an_unknown_key(call, refuse, place: Path) -> None:
    call("solve", *CIRCULANT, "--out", "run")
    text = Path("run/config.toml").read_text()
    Path("typo.toml").write_text(text.replace("seed =", "sede ="))
    assert "Did you mean 'seed'?" in refuse("solve", "--config", "typo.toml")
    Path("type.toml").write_text(text.replace("steps = 4", 'steps = "4"'))
    assert "steps must be a whole number" in refuse("solve", "--config", "type.toml")
    Path("other.toml").write_text("[tool]\n")
    assert "not the configuration of a run" in refuse("solve", "--config", "other.toml")


def test_folders_that_cannot_be(refuse, place: Path) -> None:
    Path("file").write_text("")
    assert "is a file" in refuse("solve", *CIRCULANT, "--out", "file")
    assert "'file" in refuse("solve", *CIRCULANT, "--out", "file/run")
    assert "no folder" in refuse("resume", "nowhere")
    Path("folder").mkdir()
    assert "not the folder of a run" in refuse("resume", "folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_that_cannot_be_written(refuse, place: Path) -> None:
    Path("closed").mkdir(mode=0o500)
    assert "permission denied" in refuse("solve", *CIRCULANT, "--out", "closed/run")
    assert "permission denied" in refuse("solve", *CIRCULANT, "--out", "closed")


def test_proc_cannot_be_written(refuse) -> None:
    assert "/proc/run" in refuse("solve", *CIRCULANT, "--out", "/proc/run")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_no_gpu(refuse, device: str) -> None:
    assert "no CUDA device" in refuse("solve", *CIRCULANT, "--device", device)


def test_no_space_before_the_first_step(refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, as the operating system would report it."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "no space" in refuse("solve", *CIRCULANT, "--out", "deep/run")


def test_no_space_at_any_moment(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A limit on file size, which every way of writing meets, in a process of its own."""
    import subprocess
    import sys

    def limit() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [sys.executable, "-m", "invprob", "solve", *CIRCULANT]
    command += ["--prior", "../tiny.safetensors", "--out", "run"]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True)
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("invprob: ")


def test_usage_errors_are_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in (["sovle"], ["--nonsense"], ["measure"], ["resume"], ["check", "rotat"]):
        assert run(arguments) == 2
        out, err = capfd.readouterr()
        assert out == "" and err.startswith("invprob: ") and err.count("\n") == 1, err


def test_auto_needs_to_know_what_can_be_left_out(refuse, place: Path) -> None:
    """An outsider's operator without `units`, and measurements of a size that does not fit."""
    Path("bare.py").write_text(
        "import invprob\n"
        "@invprob.register.operator('bare')\n"
        "class Bare(invprob.LinearOperator):\n"
        "    def __init__(self, image_shape):\n"
        "        super().__init__(image_shape, image_shape)\n"
        "    def forward(self, image):\n"
        "        return 2 * image\n"
    )
    solve = ("solve", "--method", "auto", "--operator")
    complaint = refuse(*solve, "bare", "--plugin", "bare.py")
    assert "bare does not say what can be; name a method (--method tv)" in complaint
    measure = "measure --sample face --operator identity --size 16 --out y.safetensors"
    assert run(measure.split()) == 0
    complaint = refuse("solve", "--method", "auto", "--measurements", "y.safetensors")
    assert "measure with --size 32" in complaint
