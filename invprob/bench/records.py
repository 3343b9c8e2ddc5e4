"""The record of each run of a sweep: a small JSON file beside the run folders."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from invprob.bench.plan import Planned
from invprob.errors import FileError, RunError
from invprob.files import atomic_write, file_error

Status = Literal["started", "interrupted", "finished", "diverged", "failed"]
FORMAT = "invprob-bench-record"


@dataclass(frozen=True)
class Record:
    """How a run went; what is not known is None.

    Attributes:
        id: The run's name.
        at: Its label on each axis of the sweep.
        definition: The settings by which it is known.
        status: How far it came.
        error: Why it failed, in one line.
        traceback: Where an unforeseen exception came from.
        scores: The content of its `scores.json`.
        seconds: Wall time from the start to the end, with loading and scoring, over all sessions.
        peak_memory: The most memory (MiB) that its process had resident at once in the last
            session, Python and libraries included.
        gpu_memory: The most memory (MiB) that PyTorch had allocated on the GPU.
        threads: CPU threads.
        pace: Seconds a step, measured beforehand where a time budget set the number of steps.
        sessions: How often it was begun or continued.
        studies: What each study found, by its label: numbers by the titles of columns. Where it
            could not be made there is the reason, a sentence.
    """

    id: str
    at: Mapping[str, str]
    definition: Mapping[str, Any]
    status: Status = "started"
    error: str | None = None
    traceback: str | None = None
    scores: Mapping[str, Any] | None = None
    seconds: float | None = None
    peak_memory: float | None = None
    gpu_memory: float | None = None
    threads: int | None = None
    pace: float | None = None
    sessions: int = 1
    studies: Mapping[str, Mapping[str, float | None] | str] = dataclasses.field(
        default_factory=dict
    )

    @property
    def good(self) -> bool:
        """Whether the run counts in the statistics."""
        return self.status == "finished" and self.scores is not None

    def score(self, name: str) -> float | None:
        """The score of that name, if there is one."""
        value = None if self.scores is None else self.scores.get(name)
        return None if value is None else float(value)


def record_path(out: Path, run_id: str) -> Path:
    """The path of a run's record."""
    return out / "records" / f"{run_id}.json"


def save_record(out: Path, record: Record) -> None:
    """Write a record, whole or not at all."""
    path = record_path(out, record.id)
    content = {"format": FORMAT, "version": 1, **dataclasses.asdict(record)}
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", "utf-8")


def load_record(out: Path, run_id: str) -> Record | None:
    """Read a record, if there is one; raises `FileError` where it is damaged."""
    path = record_path(out, run_id)
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text("utf-8"))
        if content.pop("format") != FORMAT or content.pop("version") != 1:
            raise ValueError("it is of another format")
        return Record(**content)
    except OSError as error:
        raise file_error(path, error, "read") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FileError(
            f"{str(path)!r} is not the record of a run ({error}); remove it and the folder of that "
            "run to make the run anew"
        ) from None


def load_records(out: Path, runs: Sequence[Planned]) -> dict[str, Record]:
    """The records of these runs, by id, as far as there are any.

    Raises:
        RunError: if a run was made with other settings than the sweep has now. Results of different
            settings must not stand in one table.
    """
    found: dict[str, Record] = {}
    changed: list[str] = []
    for run in runs:
        record = load_record(out, run.id)
        if record is None:
            continue
        same = dict(record.definition) == json.loads(json.dumps(run.definition))
        if not same and record.status == "failed":
            continue  # it has no results, so it is made anew
        found[run.id] = record
        if not same:
            changed.append(f"{run.id} ({_difference(record.definition, run.definition)})")
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise RunError(
            f"{str(out)!r} holds runs of another definition of this sweep: {changed[0]}{more}; "
            "choose another --out, or remove those runs"
        )
    return found


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The first difference between two definitions, in words."""
    for key in sorted({*old, *new}):
        before, now = old.get(key), json.loads(json.dumps(new.get(key)))
        if before != now:
            return f"{key} was {_short(before)}, is now {_short(now)}"
    return "nothing"


def _short(value: Any) -> str:
    if value is None:
        return "not given"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."
