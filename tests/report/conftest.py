"""Runs to report on, made once, and a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import browser
from PIL import Image

from invprob.cli.app import run
from invprob.run.samples import sample_path

ODD = "<b>&\"x\" 'y'.png"


def solve(out: Path, *arguments: object) -> Path:
    """Solve by total variation at 128 px, whose folder is `out`."""
    words = ["solve", *map(str, arguments), "--method", "tv", "--perceptual", "none"]
    assert run([*words, "--out", str(out), "--quiet"]) == 0
    return out


@pytest.fixture(scope="session")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one picture, blurred and noisy."""
    blur = ["--operator", "gaussian-blur:sigma=1.5", "--noise", "gaussian:sigma=0.05"]
    return solve(tmp_path_factory.mktemp("one") / "run", "--sample", "face", *blur, "--steps", 30)


@pytest.fixture(scope="session")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three pictures that are measured by fewer pixels; one has an odd name."""
    folder = tmp_path_factory.mktemp("several")
    odd = folder / ODD
    with Image.open(sample_path("cat")) as picture:
        picture.convert("L").save(odd)
    samples = ["--sample", "face", "--sample", "retina"]
    shrink = ["--operator", "area-downsample:factor=4"]
    return solve(folder / "run", odd, *samples, *shrink, "--steps", 6)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser, or the test is skipped."""
    with browser() as started:
        yield started
