"""One run of a sweep, in a process of its own, so that its memory and its crashes are its own."""

import dataclasses
import os
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from invprob.bench.records import Status
from invprob.errors import InvprobError
from invprob.run.config import RunConfig
from invprob.run.folder import is_run_folder
from invprob.run.launch import resume, start
from invprob.run.memory import peak
from invprob.run.results import Draw
from invprob.run.watch import Display
from invprob.run.watch import Status as StepStatus

TRIAL_STEPS = 12  # enough for a method of several stages
TRIALS = 2  # the first one also warms up the machine's caches

Tell = Callable[[float], None]  # takes the share of the run that is done


@dataclass(frozen=True)
class Assignment:
    """A run to make in `folder`; `anew` replaces an earlier one instead of continuing it."""

    id: str
    config: RunConfig
    folder: Path
    anew: bool = False
    draw: Draw | None = None


@dataclass(frozen=True)
class Result:
    """How a run ended, as far as its process knows; the units are those of `Record`."""

    status: Status
    error: str | None = None
    traceback: str | None = None
    scores: dict[str, Any] | None = None
    seconds: float | None = None
    peak_memory: float | None = None
    gpu_memory: float | None = None
    threads: int | None = None
    pace: float | None = None


def perform(assignment: Assignment, tell: Tell) -> Result:
    """Make a run, or continue it; every error becomes part of the result."""
    began = time.monotonic()
    pace = None
    try:
        if assignment.folder.exists() and is_run_folder(assignment.folder) and not assignment.anew:
            finished = resume(assignment.folder, display=_Progress(tell), draw=assignment.draw)
        else:
            config, pace = _paced(assignment.config)
            finished = start(
                config,
                out=assignment.folder,
                overwrite=assignment.anew,
                display=_Progress(tell),
                draw=assignment.draw,
            )
    except KeyboardInterrupt:
        return Result("interrupted", seconds=time.monotonic() - began)
    except InvprobError as error:
        return Result("failed", error=_line(str(error)), seconds=time.monotonic() - began)
    except Exception as error:  # an author's operator or method may fail in any way
        line = _line(f"{type(error).__name__}: {error}")
        return Result("failed", line, traceback.format_exc(), seconds=time.monotonic() - began)
    return Result(
        status="diverged" if finished.diverged else "finished",
        error=str(finished.scores["outcome"]) if finished.diverged else None,
        scores=dict(finished.scores),
        seconds=time.monotonic() - began,
        peak_memory=peak_memory(),
        gpu_memory=_gpu_memory(),
        threads=torch.get_num_threads(),
        pace=pace,
    )


def _paced(config: RunConfig) -> tuple[RunConfig, float | None]:
    """A run with a time budget gets as many steps as fit into it; returns seconds a step, too.

    So its schedule reaches its end. A run that was merely cut off would end at a high learning
    rate, which is no fair comparison.
    """
    if config.seconds is None:
        return config, None
    trial = dataclasses.replace(config, steps=TRIAL_STEPS, seconds=None, restarts=1, stop=None)
    with tempfile.TemporaryDirectory() as scratch:
        trials = [start(trial, out=Path(scratch) / str(number)) for number in range(TRIALS)]
    paces = [one.scores["seconds"] / one.scores["steps"] for one in trials if one.scores["steps"]]
    if not paces:
        return config, None  # a method without steps, such as an encoder alone
    steps = max(1, int(config.seconds / min(paces) / config.restarts))
    if config.steps is not None:
        steps = min(steps, config.steps)
    return dataclasses.replace(config, steps=steps), min(paces)


class _Progress(Display):
    """Reports which share of a run is done."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def folder(self, path: Path) -> None:
        del path

    def message(self, text: str) -> None:
        del text

    def status(self, status: StepStatus) -> None:
        self._tell(status.taken / status.steps)


def peak_memory() -> float | None:
    """The most memory that this process had resident at once so far, in MiB, if that is known."""
    return peak(torch.device("cpu")) / 2**20 or None


def _gpu_memory() -> float | None:
    return peak(torch.device("cuda")) / 2**20 if torch.cuda.is_initialized() else None


def _line(text: str) -> str:
    return " ".join(text.split())


# ------------------------------------------------------------------------------------ the process


def main(assignment: Assignment, pipe: Connection) -> None:
    """The process's main function: sends shares while the run lasts, and a `Result` at the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that began this one handles Ctrl-C
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    last = 0.0

    def tell(share: float) -> None:
        nonlocal last
        if time.monotonic() - last > 0.5:
            pipe.send(share)
            last = time.monotonic()

    try:
        result = perform(assignment, tell)
    except KeyboardInterrupt:
        result = Result("interrupted")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the rest is done at once
    pipe.send(result)
    pipe.close()


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """Treat SIGTERM like Ctrl-C: half-written files are removed, checkpoints stay."""
    del signum, frame
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """End this process if the one that started it was killed."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
