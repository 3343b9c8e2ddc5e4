"""Tasks in parallel processes, and what they report."""

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

from invprob.bench.worker import Result, Task, main

PATIENCE = 20.0  # seconds that an interrupted process gets to put its files in order


@dataclass(frozen=True)
class Event:
    """What became of a task: it began (share 0), is some share done, or ended with a result."""

    task: Task
    share: float
    result: Result | None = None


def work_through(tasks: Sequence[Task], jobs: int) -> Generator[Event, None, None]:
    """Make the tasks, `jobs` at a time, each in a fresh process.

    Closing the iterator, or an interrupt, ends the processes and waits for them.
    """
    waiting = deque(tasks)
    running: dict[Connection, tuple[SpawnProcess, Task]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                task = waiting.popleft()
                yield Event(task, 0.0)
                pipe, process = _begin(task)
                running[pipe] = (process, task)
            for pipe in _ready(running):
                process, task = running[pipe]
                message = _receive(pipe, process)
                if isinstance(message, Result):
                    process.join()
                    pipe.close()
                    del running[pipe]
                    yield Event(task, 1.0, message)
                else:
                    yield Event(task, message)
    finally:
        _end([process for process, _ in running.values()])


def cores() -> int:
    """How many processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _ready(pipes: Collection[Connection]) -> list[Connection]:
    """Those that have something to say, or whose process is gone; waits a second at most."""
    heard = wait(list(pipes), timeout=1.0)
    return [pipe for pipe in pipes if pipe in heard]


def _begin(task: Task) -> tuple[Connection, SpawnProcess]:
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=main, args=(task, send), daemon=True)
    with _no_interrupt():
        process.start()
    send.close()
    return receive, process  # pyright: ignore[reportReturnType]  # as stubs for Windows have it


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Ctrl-C reaches the whole group of processes; those begun here leave it to the first one."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # which would lift the block if it began only now
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
