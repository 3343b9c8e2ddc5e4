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
        trace: a line for each step, or where images are solved in groups for each of those.
    """

    path: Path
    config: RunConfig
    toml: str
    choices: Mapping[str, Any]
    environment: Mapping[str, Any]
    candidates: Mapping[str, Any]
    scores: Mapping[str, Any]
    trace: Sequence[Row]

    @classmethod
    def read(cls, path: Path) -> "RunRecord":
        """Read a folder.

        Args:
            path: of the run; it may be unfinished.

        Raises:
            RunError: there is no run in it, or it holds nothing yet but settings.
            FileError: a file cannot be read, or is damaged.
        """
        if not path.is_dir():
            raise RunError(
                f"there is no folder {str(path)!r}; runs lie in runs/ unless --out was given"
            )
        if not is_run_folder(path):
            raise RunError(
                f"{str(path)!r} is not the folder of a run: it has no {files.CONFIG} of one"
            )
        folder = RunFolder(path)
        if not folder.recorded:
            raise RunError(
                f"the run in {str(path)!r} has not begun, and there is nothing to report; begin "
                f"it: invprob resume {path}"
            )
        return cls(
            path=path,
            config=folder.config(),
            toml=(path / files.CONFIG).read_text("utf-8"),
            choices=folder.choices(),
            environment=folder.environment() or {},
            candidates=_json(folder, files.CANDIDATES),
            scores=_json(folder, files.SCORES),
            trace=_trace(path / files.TRACE),
        )

    @property
    def finished(self) -> bool:
        """Whether the run reached its end."""
        return bool(self.scores)

    def of_image(self, name: str) -> Mapping[str, Any]:
        """The scores of one image; empty where the run is not finished."""
        scores: Mapping[str, Any] = self.scores.get("images", {}).get(name, self.scores)
        return scores


def curves(trace: Sequence[Row], index: int, most: int = 300) -> dict[str, list[Any]]:
    """The terms of the loss of one image over the steps.

    Args:
        trace: of a run.
        index: which image.
        most: the number of steps that are kept, evenly spaced, the last among them.

    Returns:
        (step, value) by the name of the term; the value is None where the term was not a number,
        or was not there.
    """
    rows = [row for row in trace if 0 <= index - row.get("first", 0) < _count(row)]
    every = max(1, -(-len(rows) // most))
    rows = rows[::-1][::every][::-1]
    names = dict.fromkeys(name for row in rows for name in row if name not in ("step", "first"))
    return {
        name: [
            (row["step"], row[name][index - row.get("first", 0)] if name in row else None)
            for row in rows
        ]
        for name in names
    }


def _count(row: Row) -> int:
    """How many images a line of the trace is about."""
    return len(row.get("total", ()))


def _json(folder: RunFolder, name: str) -> dict[str, Any]:
    return folder.read_json(name) if (folder.path / name).exists() else {}


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
