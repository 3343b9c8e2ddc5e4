"""Runs in parallel processes, and the events that they report."""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from invprob.bench.worker import Assignment, Result, main

PATIENCE = 20.0  # seconds that an interrupted process has to complete its files


@dataclass(frozen=True)
class Event:
    """News of an assignment: it began (share 0), a share of it is done, or it ended (result)."""

    assignment: Assignment
    share: float
    result: Result | None = None


def work_through(assignments: Sequence[Assignment], jobs: int) -> Generator[Event, None, None]:
    """Work on the assignments, `jobs` at a time, each in a fresh process, and yield events.

    When the iterator is closed, or an exception ends it, the processes are ended as well.
    """
    waiting = deque(assignments)
    running: dict[Connection, tuple[SpawnProcess, Assignment]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                assignment = waiting.popleft()
                yield Event(assignment, 0.0)
                pipe, process = _begin(assignment)
                running[pipe] = (process, assignment)
            for pipe in _ready(running):
                process, assignment = running[pipe]
                message = _receive(pipe, process)
                if isinstance(message, Result):
                    process.join()
                    pipe.close()
                    del running[pipe]
                    yield Event(assignment, 1.0, message)
                else:
                    yield Event(assignment, message)
    finally:
        _end([process for process, _ in running.values()])


def cores() -> int:
    """The number of processors that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _ready(pipes: Collection[Connection]) -> list[Connection]:
    """The pipes that have a message or whose process is gone; waits at most a second."""
    ready = wait(list(pipes), timeout=1.0)
    return [pipe for pipe in pipes if pipe in ready]


def _begin(assignment: Assignment) -> tuple[Connection, SpawnProcess]:
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=main, args=(assignment, send), daemon=True)
    with _no_interrupt():
        process.start()
    send.close()
    return receive, process  # pyright: ignore[reportReturnType]  # as stubs for Windows have it


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Begin processes that ignore Ctrl-C, which the terminal sends to all; the first handles it."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # it would lift the block if it began later
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _receive(pipe: Connection, process: SpawnProcess) -> float | Result:
    try:
        message: float | Result = pipe.recv()
    except (EOFError, OSError):
        process.join()
        return Result("failed", error=_died(process.exitcode))
    return message


def _died(code: int | None) -> str:
    if code == -signal.SIGTERM:
        return "its process was ended from outside"
    if code is not None and code < 0:
        hint = ", perhaps because memory ran out" if code == -9 else ""
        return f"its process died of signal {-code}{hint}"
    return f"its process ended with status {code} before it had a result"


def _end(processes: Sequence[SpawnProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
