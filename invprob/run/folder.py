"""What lies in a run's folder: settings, measurements, trace, checkpoint and results.

`opening.py` makes and opens such folders.
"""

import itertools
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from invprob.callbacks import Snapshot
from invprob.errors import FileError
from invprob.files import atomic_write, file_error
from invprob.measurements import Measurements
from invprob.run.config import FORMAT, RunConfig
from invprob.solver.solution import Solution

CONFIG = "config.toml"
CANDIDATES = "candidates.json"  # what a method that chooses among others tried, and its choice
CHOICES = "choices.json"  # what was chosen for the user, and why
ENVIRONMENT = "environment.json"
OPERATOR = "operator.json"  # for people, and for `--spec`; measurements carry their own
MEASUREMENTS = "measurements.safetensors"
TRACE = "trace.jsonl"
CHECKPOINT = "checkpoint.safetensors"
SOLUTION = "solution.safetensors"
IMAGE = "image.png"
PASTED = "pasted.png"  # with --paste
COMPARISON = "comparison.png"
SCORES = "scores.json"  # written last: a run that has it is finished
LOCK = "lock"

_KEY = "invprob-checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """Where a run goes on.

    Args:
        snapshot: the state of the solve.
        seconds: how long the run had taken.
        images: the first image at hand, and the one behind the last.
        lines: how many lines the trace had.
    """

    snapshot: Snapshot
    seconds: float
    images: tuple[int, int]
    lines: int

    @property
    def taken(self) -> int:
        """How many steps the solve of the images at hand had taken."""
        return int(self.snapshot["taken"])


class RunFolder:
    """A run folder that this process holds the lock of; see `opening.py`."""

    def __init__(self, path: Path, replaced: Path | None = None) -> None:
        self.path = path
        self.kept = False
        self._replaced = replaced

    def inside(self, name: str) -> "RunFolder":
        """A folder within this one, for a solve that is a part of the run; it is made.

        It has trace, checkpoint and results of its own, and lies under the lock of this one.
        """
        path = self.path / name
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise file_error(path, error, "made") from None
        return RunFolder(path)

    def keep(self) -> None:
        """Let the folder stay from now on, whatever happens, because it can be resumed."""
        self.kept = True
        if self._replaced is not None:
            shutil.rmtree(self._replaced, ignore_errors=True)
            self._replaced = None

    @property
    def finished(self) -> bool:
        """Whether the run reached its end."""
        return (self.path / SCORES).exists()

    def config(self) -> RunConfig:
        """The settings that the run was started with."""
        return RunConfig.load(self.path / CONFIG)

    @property
    def recorded(self) -> bool:
        """Whether the run wrote down all that it began with, which comes before the first step."""
        return all((self.path / name).exists() for name in (ENVIRONMENT, MEASUREMENTS))

    def environment(self) -> dict[str, Any] | None:
        """What the run was started on; None where it was not written down yet."""
        return self.read_json(ENVIRONMENT) if (self.path / ENVIRONMENT).exists() else None

    def choices(self) -> dict[str, Any]:
        """What was chosen for the user when the run was started, and why; empty if not recorded."""
        return self.read_json(CHOICES) if (self.path / CHOICES).exists() else {}

    def measurements(self) -> Measurements | None:
        """What the run restores; None where it was not written down yet."""
        path = self.path / MEASUREMENTS
        return Measurements.load(path) if path.exists() else None

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write JSON, whole or not at all, and make the subfolder that `name` may lie in."""
        with atomic_write(self.place(name)) as temporary:
            temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", "utf-8")

    def read_json(self, name: str) -> dict[str, Any]:
        """Read what `write_json` wrote; raises `FileError`."""
        path = self.path / name
        try:
            return dict(json.loads(path.read_text("utf-8")))
        except OSError as error:
            raise file_error(path, error, "read") from None
        except (ValueError, TypeError):
            raise FileError(f"{str(path)!r} is damaged: it is not JSON") from None

    def place(self, name: str) -> Path:
        """The path of a file of the run; its subfolder is made."""
        path = self.path / name
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise file_error(path.parent, error, "made") from None
        return path

    def append_trace(self, lines: list[str]) -> None:
        """Add lines to the trace."""
        path = self.path / TRACE
        try:
            with path.open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)
        except OSError as error:
            raise file_error(path, error) from None

    def truncate_trace(self, length: int) -> None:
        """Cut the trace to its first `length` lines."""
        path = self.path / TRACE
        try:
            lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
        except OSError as error:
            raise file_error(path, error, "read") from None
        with atomic_write(path) as temporary:
            temporary.write_text("".join(itertools.islice(lines, length)), "utf-8")

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint, so that at every moment there is a whole one."""
        about = {
            "version": 2,
            "seconds": checkpoint.seconds,
            "images": checkpoint.images,
            "lines": checkpoint.lines,
        }
        metadata = {_KEY: json.dumps(about)}
        content = save(checkpoint.snapshot, metadata)
        with atomic_write(self.path / CHECKPOINT) as temporary:
            temporary.write_bytes(content)

    def load_checkpoint(self) -> Checkpoint | None:
        """The checkpoint, or None where none was reached; raises `FileError` if it is damaged."""
        path = self.path / CHECKPOINT
        if not path.exists():
            return None
        try:
            with safe_open(path, "pt") as file:
                about = json.loads((file.metadata() or {})[_KEY])
                first, stop = about["images"]
                seconds, lines = float(about["seconds"]), int(about["lines"])
                snapshot = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            raise FileError(
                f"{str(path)!r} is damaged ({error}); remove it to start the run anew"
            ) from None
        return Checkpoint(snapshot, seconds, (first, stop), lines)

    def trace_length(self) -> int:
        """How many lines the trace has."""
        path = self.path / TRACE
        return len(path.read_text("utf-8").splitlines()) if path.exists() else 0

    def save_part(self, images: range, part: Solution) -> None:
        """Write the solution of some images, which is kept until all are done."""
        part.save(self.path / f"part-{images.start:06d}.safetensors")

    def load_parts(self, first: int) -> list[Solution]:
        """The solutions kept of the images before `first`; raises `FileError`."""
        return [
            Solution.load(path) for path in self._parts() if int(path.stem.split("-")[1]) < first
        ]

    def drop_progress(self) -> None:
        """Remove the checkpoint and the solutions of some images: the run is finished."""
        for path in (self.path / CHECKPOINT, *self._parts()):
            path.unlink(missing_ok=True)

    def _parts(self) -> list[Path]:
        return sorted(self.path.glob("part-*.safetensors"))


def is_run_folder(path: Path) -> bool:
    """Whether this program made the folder, which then holds the settings of a run."""
    try:
        text = (path / CONFIG).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return text.startswith(f'format = "{FORMAT}"')
