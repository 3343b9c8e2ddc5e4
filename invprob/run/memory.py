"""How much memory there is, how much was held, and how many images fit into it.

A run that is not told how many images to solve at once takes trial steps with one and with two
(`estimate`); `chunks.py` goes on from there.
"""

import contextlib
import gc
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

SHARE = 0.7  # of the free memory that a run takes
AT_ONCE = 32  # images on a CPU: more are no faster, and a checkpoint comes less often


@dataclass(frozen=True)
class Estimate:
    """What trial steps say about memory.

    Args:
        each: bytes that one more image takes.
        free: bytes that are free for images.
    """

    each: float
    free: float

    @property
    def fit(self) -> int:
        """How many images fit at once, at least one."""
        return max(1, math.floor(SHARE * self.free / self.each))

    def batch(self, device: torch.device) -> int:
        """How many images to solve at once."""
        return min(self.fit, AT_ONCE) if device.type == "cpu" else self.fit

    def __str__(self) -> str:
        return (
            f"an image takes about {self.each / 2**30:.2g} GiB, and {self.free / 2**30:.3g} GiB "
            f"are free: {self.fit} at once would fit"
        )


def estimate(trial: Callable[[int], object], device: torch.device) -> Estimate:
    """Measure what an image takes: a step with two images holds that much more than with one.

    Args:
        trial: takes one step with as many images as it is told.
        device: where the trial runs.

    Returns:
        The estimate; where two images do not fit, an image takes all there is.
    """
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
    release(device)
    return Estimate(each, _free(device))


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def release(device: torch.device) -> None:
    """Give memory back to the system that no object holds any more."""
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
    """The most bytes held at once since `forget_peak`, by this process or on its GPU.

    0 where the operating system does not tell.
    """
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    with contextlib.suppress(OSError, StopIteration):
        # Unlike `getrusage`, this counter leaves out what a parent process held before the fork.
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
        return 1024.0 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    if sys.platform == "win32":
        return 0.0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def _free(device: torch.device) -> float:
    """Bytes that can be had; in a container, within its limit."""
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
