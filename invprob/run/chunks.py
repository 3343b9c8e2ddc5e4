"""Many images, some at a time: how many fit into memory, and the whole in the end."""

import contextlib
import gc
import math
import os
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from invprob.callbacks import Snapshot
from invprob.errors import MemoryShortage
from invprob.run.folder import Checkpoint, RunFolder
from invprob.run.watch import Display
from invprob.solver.solution import Solution

SHARE = 0.7  # of the free memory that a run takes
AT_ONCE = 32  # images on a CPU: more are no faster, and what is done is kept less often

Solver = Callable[[range, Snapshot | None, int], Solution]


@dataclass(frozen=True)
class Estimate:
    """What trial steps held, in bytes: for each image, and what was free beside them."""

    each: float
    free: float

    @property
    def fit(self) -> int:
        """How many images fit at once, at least one."""
        return max(1, math.floor(SHARE * self.free / self.each))

    def batch(self, device: torch.device) -> int:
        """How many to solve at once."""
        return min(self.fit, AT_ONCE) if device.type == "cpu" else self.fit

    def __str__(self) -> str:
        return (
            f"an image takes about {self.each / 2**30:.2g} GiB, and {self.free / 2**30:.3g} GiB "
            f"are free: {self.fit} at once would fit"
        )


def estimate(trial: Callable[[int], object], device: torch.device) -> Estimate:
    """Try a step with one image and with two; the difference is what an image takes."""
    try:
        forget_peak(device)
        trial(1)
        single = peak(device)
        forget_peak(device)
        trial(2)
        each = max(peak(device) - single, 2**20)
    except (RuntimeError, MemoryError) as error:
        if not is_shortage(error):
            raise
        each = math.inf
    _tidy(device)
    return Estimate(each, _free(device))


def solve_in_chunks(
    folder: RunFolder,
    total: int,
    size: int,
    solve: Solver,
    checkpoint: Checkpoint | None,
    display: Display,
    device: torch.device,
) -> Solution:
    """Solve `size` images at once until all `total` are done, and join the solutions.

    `solve(images, snapshot, lines)` solves some, from a snapshot if there is one; `lines` is how
    long the trace is before. What is done lies in the folder until the end, so that a run which is
    resumed repeats nothing. Where memory does not suffice, the images at hand begin anew, half as
    many at once; raises `MemoryShortage` where one image is too much.
    """
    snapshot, lines, first = None, 0, 0
    if checkpoint is not None:
        snapshot, first = checkpoint.snapshot, checkpoint.images[0]
        size = len(range(*checkpoint.images))
        lines = checkpoint.lines - checkpoint.taken  # before these images
    parts = folder.load_parts(first)
    while first < total:
        images = range(first, min(first + size, total))
        if len(images) < total:
            display.message(f"images {first + 1} to {images.stop} of {total}")
        try:
            parts.append(solve(images, snapshot, lines))
        except (RuntimeError, MemoryError) as error:
            if not is_shortage(error):
                raise
            if len(images) == 1:
                raise MemoryShortage(
                    "one image does not fit into memory; take --memory low, a smaller --prior, or "
                    "another --device"
                ) from None
            size = math.ceil(len(images) / 2)
            display.message(f"memory is short: {size} images at once from here on")
            folder.truncate_trace(lines)
        else:
            first = images.stop
            lines = folder.trace_length()
            if first < total:
                folder.save_part(images, parts[-1])
        snapshot = None
        _tidy(device)
    return join(parts)


def join(parts: Sequence[Solution]) -> Solution:
    """One solution of all images; what all parts share (1 in front) stays as it is.

    Where parts took different numbers of steps, the trace of the shorter ones ends in NaN.
    """
    if len(parts) == 1:
        return parts[0]
    steps = max(part.steps for part in parts)
    worst = max(parts, key=lambda part: ("finished", "stopped", "diverged").index(_status(part)))
    restarts = [part.restarts for part in parts if part.restarts is not None]
    return Solution(
        image=torch.cat([part.image for part in parts]),
        realised=_joined([part.realised for part in parts]),
        code=_joined([part.code for part in parts]),
        outcome=worst.outcome,
        trace={
            name: torch.cat([_lengthened(part.trace[name], steps) for part in parts], 1)
            for name in parts[0].trace
        },
        steps=steps,
        seed=parts[0].seed,
        prior_spec=parts[0].prior_spec,
        prior=parts[-1].prior,
        restarts=torch.cat(restarts, 1) if restarts else None,
    )


def _status(part: Solution) -> str:
    return part.outcome.status


def _joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: _cat([part[name] for part in parts]) for name in parts[0]}


def _cat(tensors: Sequence[Tensor]) -> Tensor:
    first = tensors[0]
    if all(len(tensor) == 1 and torch.equal(tensor, first) for tensor in tensors):
        return first
    return torch.cat([tensor.to(first.device) for tensor in tensors])


def _lengthened(trace: Tensor, steps: int) -> Tensor:
    missing = trace.new_full((steps - len(trace), trace.shape[1]), math.nan)
    return torch.cat((trace, missing))


def is_shortage(error: BaseException) -> bool:
    """Whether memory ran out, on any device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _tidy(device: torch.device) -> None:
    """Give back what is not used any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def forget_peak(device: torch.device) -> None:
    """Let `peak` begin anew, from what is held now; only Linux and CUDA can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def peak(device: torch.device) -> float:
    """The most bytes held at once since `forget_peak`, by this process or on its GPU."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    with contextlib.suppress(OSError, StopIteration):
        # Where there is one, this counter: the other one also knows what a parent process held.
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
        return 1024.0 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def _free(device: torch.device) -> float:
    """Bytes that can be had; of a container, within its limit."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        table = dict(line.split(":", 1) for line in lines)
        free = float(table["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) / 2
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text("ascii").strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text("ascii")
        return free if limit == "max" else min(free, float(limit) - float(used))
    except (OSError, ValueError):
        return free
