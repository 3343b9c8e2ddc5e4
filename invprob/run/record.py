"""What a run's folder says about the run, read without its lock: a run at work may be looked at."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invprob.errors import RunError
from invprob.files import file_error
from invprob.run import folder as files
from invprob.run.config import RunConfig
from invprob.run.folder import RunFolder, is_run_folder

Row = Mapping[str, Any]  # a line of the trace: the step, and each term of the loss of each image


@dataclass(frozen=True)
class RunRecord:
    """What is written in a run's folder, without its tensors.

    Args:
        path: the folder.
        config: the settings.
        toml: the text of their file.
        choices: what was chosen for the user, and why.
        environment: versions, machine and generator; empty where it was not written down yet.
        candidates: with `--method auto`, what was tried; empty otherwise.
        scores: all scores; empty where the run is not finished.
        traces: of each solve that the result comes from, by the method's name: a line for each
            step, or where images are solved in groups for each of those.
    """

    path: Path
    config: RunConfig
    toml: str
    choices: Mapping[str, Any]
    environment: Mapping[str, Any]
    candidates: Mapping[str, Any]
    scores: Mapping[str, Any]
    traces: Mapping[str, Sequence[Row]]

    @classmethod
    def read(cls, path: Path) -> "RunRecord":
        """Read a folder.

        Args:
            path: of the run; it may be unfinished.

        Raises:
            RunError: there is no run in it, or it holds nothing yet but settings.
            FileError: a file cannot be read, or is damaged.
        """
        if path.is_file():
            raise RunError(f"{str(path)!r} is a file; name the folder of a run or a sweep")
        if not path.exists():
            raise RunError(
                f"there is no folder {str(path)!r}; runs lie in runs/ unless --out was given"
            )
        if not is_run_folder(path):
            raise RunError(
                f"{str(path)!r} is not the folder of a run or a sweep: it has no {files.CONFIG} of "
                "a run"
            )
        folder = RunFolder(path)
        if not folder.recorded:
            raise RunError(
                f"the run in {str(path)!r} has not begun, and there is nothing to report; begin "
                f"it: invprob resume {path}"
            )
        config = folder.config()
        return cls(
            path=path,
            config=config,
            toml=(path / files.CONFIG).read_text("utf-8"),
            choices=folder.choices(),
            environment=folder.environment() or {},
            candidates=_json(folder, files.CANDIDATES),
            scores=_json(folder, files.SCORES),
            traces=_traces(path, config.method.name),
        )

    @property
    def steps(self) -> int:
        """How many steps are in the traces."""
        return sum(max((row["step"] for row in rows), default=0) for rows in self.traces.values())

    @property
    def finished(self) -> bool:
        """Whether the run reached its end."""
        return bool(self.scores)

    def of_image(self, name: str) -> Mapping[str, Any]:
        """The scores of one image; empty where the run is not finished."""
        scores: Mapping[str, Any] = self.scores.get("images", {}).get(name, self.scores)
        return scores


@dataclass(frozen=True)
class Phase:
    """Steps of a solve with one objective.

    Args:
        terms: (step, value) by the name of the term; the value is None where the term was not a
            number, or was not there.
    """

    terms: Mapping[str, Sequence[tuple[int, float | None]]]


def phases(trace: Sequence[Row], index: int, most: int = 300) -> list[Phase]:
    """The terms of the loss of one image over the steps.

    A phase ends where all terms change, because the totals before and after measure other things.

    Args:
        trace: of a solve.
        index: which image.
        most: the number of steps that are kept, evenly spaced, the last among them.
    """
    rows = [row for row in trace if 0 <= index - row.get("first", 0) < _count(row)]
    every = max(1, -(-len(rows) // most))
    groups: list[list[Row]] = []
    seen: set[str] = set()
    for row in rows[::-1][::every][::-1]:
        terms = {name for name in row if name not in ("step", "first", "total")}
        if not groups or (terms and seen.isdisjoint(terms)):
            groups.append([])
            seen = set()
        groups[-1].append(row)
        seen |= terms
    return [_phase(group, index) for group in groups]


def _phase(rows: Sequence[Row], index: int) -> Phase:
    names = dict.fromkeys(name for row in rows for name in row if name not in ("step", "first"))
    return Phase(
        {name: [(row["step"], _value(row, name, index)) for row in rows] for name in names}
    )


def _value(row: Row, name: str, index: int) -> float | None:
    value: float | None = row[name][index - row.get("first", 0)] if name in row else None
    return value


def _count(row: Row) -> int:
    """How many images a line of the trace is about."""
    return len(row.get("total", ()))


def _json(folder: RunFolder, name: str) -> dict[str, Any]:
    return folder.read_json(name) if (folder.path / name).exists() else {}


def _traces(path: Path, method: str) -> dict[str, list[Row]]:
    """The trace of the run, or of the methods that had a part in its result."""
    if rows := _trace(path / files.TRACE):
        return {method: rows}
    members = sorted((path / "members").glob(f"*/{files.TRACE}"))
    return {file.parent.name: _trace(file) for file in members}


def _trace(path: Path) -> list[Row]:
    """The whole lines of a trace; the last one may be half written where a run is at work."""
    if not path.exists():
        return []
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise file_error(path, error, "read") from None
    rows: list[Row] = []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows
