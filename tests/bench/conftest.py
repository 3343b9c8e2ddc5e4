"""A small generator, a sweep file to change, and runs made in this process."""

from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import pytest
from networks import random_generator

from invprob.bench.pool import Event
from invprob.bench.worker import Assignment, perform
from invprob.priors.generator_files import save_generator

SWEEP = """\
format = "invprob-sweep"
version = 1
prior = "tiny.safetensors"
perceptual = "none"
steps = 2
threads = 1

[[images]]
samples = ["face"]

[[operators]]
label = "one half"
name = "circulant"
ratio = 0.5
x = 50

[[operators]]
label = "all"
name = "identity"
x = 100

[[methods]]
name = "sphinx"

[[methods]]
name = "w-plus"
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the sweep, with replacements (old, new) and more text at its end."""
    save_generator(random_generator(), tmp_path / "tiny.safetensors")

    def written(*replacements: tuple[str, str], more: str = "") -> Path:
        text = SWEEP
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / "sweep.toml"
        path.write_text(text + more, "utf-8")
        return path

    return written


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make runs one after another in this process; lists the runs that were made."""
    made: list[str] = []

    def one_by_one(assignments: Sequence[Assignment], jobs: int) -> Generator[Event, None, None]:
        del jobs
        for assignment in assignments:
            made.append(assignment.id)
            yield Event(assignment, 0.0)
            yield Event(assignment, 1.0, perform(assignment, lambda share: None))

    monkeypatch.setattr("invprob.bench.runner.work_through", one_by_one)
    monkeypatch.setattr("invprob.bench.plots.can_draw", lambda: False)  # drawing takes its time
    return made
