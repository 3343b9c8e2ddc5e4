"""A small generator, pictures, and the program called in this process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from networks import random_generator
from PIL import Image

from invprob.cli.app import run
from invprob.priors.generator_files import save_generator


@dataclass(frozen=True)
class Done:
    """What the program printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def last(self) -> Path:
        """The path in the last line printed."""
        return Path(self.out.splitlines()[-1])


Call = Callable[..., Done]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with `tiny.safetensors`, a 32 px generator, beside it."""
    work = tmp_path / "work"
    work.mkdir()
    save_generator(random_generator(), tmp_path / "tiny.safetensors")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def call(place: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run the program; `solve` gets the small generator unless one is named."""

    def called(*arguments: object) -> Done:
        words = [str(argument) for argument in arguments]
        if words[0] == "solve" and not {"--prior", "--config"} & set(words):
            words += ["--prior", "../tiny.safetensors"]
        capfd.readouterr()
        status = run(words)
        out, err = capfd.readouterr()
        return Done(status, out, err)

    del place
    return called


@pytest.fixture
def refuse(call: Call, place: Path) -> Callable[..., str]:
    """Run the program, which must complain in one line, exit with 2 and leave nothing behind."""

    def refused(*arguments: object) -> str:
        before = sorted(place.rglob("*"))
        done = call(*arguments)
        assert done.status == 2, done
        assert done.out == ""
        assert done.err.startswith("invprob: ") and done.err.count("\n") == 1, done.err
        assert sorted(place.rglob("*")) == before
        return done.err

    return refused
