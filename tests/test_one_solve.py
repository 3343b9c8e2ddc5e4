"""The page that follows a solve through the code names the functions that are really passed."""

import inspect
import re
from pathlib import Path

import pytest

from invprob.cli.app import run
from invprob.solver import loop

PAGE = Path(__file__).resolve().parent.parent / "docs" / "one-solve.md"


def test_the_page_names_every_function_from_the_command_to_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []
    step = loop.step

    def spy(state: object) -> object:
        for frame in inspect.stack()[1:]:
            place = Path(frame.filename)
            if place.parent.parent.name == "invprob" and place.parent.name in ("run", "solver"):
                seen.insert(0, (frame.function, f"invprob/{place.parent.name}/{place.name}"))
        monkeypatch.setattr(loop, "step", step)
        return step(state)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "step", spy)
    monkeypatch.chdir(tmp_path)
    command = "solve --operator circulant --ratio 0.01 --steps 3 --out run --quiet"
    assert run(command.split()) == 0
    told = re.findall(
        r"^\| \d \| \[(\w+)\]\(.*?\) \| `(.*?)`", PAGE.read_text("utf-8"), re.MULTILINE
    )
    assert [*seen, ("step", "invprob/solver/loop.py")] == told
    assert len(told) <= 6
