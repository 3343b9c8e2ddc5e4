"""`invprob pull`, as a user meets it."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from file_server import Site
from networks import random_generator
from pulled_files import on_disk, write_list

from invprob.cli import pull as command
from invprob.cli.app import run
from invprob.files import cache_folder
from invprob.priors import load_generator
from invprob.priors.generator_files import save_generator
from invprob.weights.catalogue import (
    published,
    pulled,
)
from invprob.weights.pull import accepted


@pytest.fixture
def called(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        status = run([str(word) for word in words])
        out, err = capfd.readouterr()
        return status, out, err

    return call


Call = Callable[..., tuple[int, str, str]]


def test_from_list_to_picture(site: Site, called: Call, tmp_path: Path) -> None:
    """A user's own list, pulled, listed, inspected and drawn from by name."""
    save_generator(random_generator(), tmp_path / "g.safetensors")
    site.body = (tmp_path / "g.safetensors").read_bytes()
    address = site.address.replace("weights.bin", "g.safetensors")
    listed = write_list(tmp_path / "list.toml", address)
    assert called("pull", "--registry", listed)[1].split("\t")[:3] == [
        "mine",
        "Of a test",
        "not pulled",
    ]
    status, out, err = called("pull", "mine", "--registry", listed)
    assert status == 2 and out == "" and err.count("\n") == 1 and "Public domain" in err
    assert site.log == [] and on_disk() == {}
    status, out, err = called("pull", "mine", "--registry", listed, "--accept-licence")
    path = cache_folder() / "generators" / "mine.safetensors"
    assert (status, out) == (0, f"{path}\n")
    assert "Public domain" in err and hashlib.sha256(site.body).hexdigest() in err
    assert path.read_bytes() == site.body
    assert called("pull", "mine", "--registry", listed, "-q") == (0, f"{path}\n", "")

    rows = dict(line.split("\t") for line in called("priors")[1].splitlines())
    assert re.fullmatch(r"Of a test \([\d.]+ kB, pulled\)", rows["mine"])
    assert rows["ffhq-1024"].endswith("(381.6 MB, not pulled: invprob pull ffhq-1024)")
    assert list(pulled("generator")) == ["mine"]
    assert load_generator("mine").resolution == 32
    told = json.loads(called("inspect", "mine", "--json")[1])
    assert told["file"] == str(path) and told["licence"].startswith("Public domain")
    assert called("sample", "--prior", "mine", "--count", 2)[0] == 0
    assert (tmp_path / "samples.png").exists()

    path.write_bytes(site.body[:-8])
    status, _, err = called("sample", "--prior", "mine", "--out", "other.png")
    assert status == 2 and "invprob pull mine" in err and err.count("\n") == 1
    assert called("pull", "mine")[0] == 0  # the record knows where it came from
    assert path.read_bytes() == site.body


def test_what_the_program_says(
    called: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = called("pull")[1].splitlines()
    assert {line.split("\t")[0] for line in lines} == set(published())
    assert all(line.count("\t") == 4 for line in lines)
    rows = json.loads(called("pull", "--json")[1])
    assert [row["name"] for row in rows] == list(published())
    assert all(row["path"] is None for row in rows)
    taken = write_list(tmp_path / "list.toml", "https://example.org/g.pt", name="faces-128")
    monkeypatch.setenv("INVPROB_OFFLINE", "1")
    for words, message in (
        (("ffhq-1025",), "Did you mean 'ffhq-1024'"),
        (("lpips-vgg",), "while offline"),
        (("--from", "x"), "needs the NAME"),
        (("lpips-vgg", "lpips-alex", "--from", "x"), "2 names"),
        (("faces-128", "--registry", taken), "rename it"),
        (("mine", "--registry", "nowhere.toml"), "nowhere.toml"),
    ):
        status, out, err = called("pull", *words)
        assert (status, out) == (2, "") and message in err and err.count("\n") == 1, err


@pytest.mark.parametrize("agreed", [True, False])
def test_a_person_is_asked(
    agreed: bool, site: Site, called: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(command.typer, "confirm", lambda text, err: agreed)
    listed = write_list(tmp_path / "list.toml", site.address)
    status, _, err = called("pull", "mine", "--registry", listed)
    assert status == (0 if agreed else 2)
    assert "https://example.org/free" in err
    assert bool(accepted()) is agreed and len(site.log) == agreed


def test_listing_needs_no_torch() -> None:
    code = (
        "import sys; from invprob.cli.app import run; status = run(['pull']); "
        "sys.exit(status or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
