"""What is measured of memory, and how many images fit into it."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from invprob.run import memory
from invprob.run.memory import Estimate, estimate, is_shortage


def test_other_errors_are_no_shortage() -> None:
    assert not is_shortage(RuntimeError("shapes"))
    assert is_shortage(MemoryError())


def test_an_estimate_is_the_difference_of_one_and_two(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = iter([300.0 * 2**20, 364.0 * 2**20])
    monkeypatch.setattr(memory, "peak", lambda device: next(peaks))
    tried: list[int] = []
    found = estimate(tried.append, torch.device("cpu"))
    assert tried == [1, 2]
    assert found.each == 64 * 2**20
    assert 2**20 < found.free < 2**50


PEAK = """
import torch
from invprob.run import memory
device = torch.device("cpu")
big = torch.ones(2**26)
del big
memory.forget_peak(device)
before = memory.peak(device)
small = torch.ones(2**24)
print(memory.peak(device) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux alone can")
def test_a_peak_is_that_of_what_came_last() -> None:
    """64 MiB after 256 MiB, in a process of its own: another's memory may hold them already."""
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert 0.9 * 2**26 < float(done.stdout) < 1.5 * 2**26


def test_an_estimate_survives_a_trial_that_does_not_fit() -> None:
    def trial(count: int) -> None:
        if count == 2:
            raise torch.OutOfMemoryError("out of memory")

    assert estimate(trial, torch.device("cpu")).fit == 1


def test_what_fits() -> None:
    assert Estimate(each=2.0, free=20.0).fit == 7
    assert Estimate(each=math.inf, free=20.0).fit == 1


def test_a_cpu_takes_no_more_than_gain_something() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    many, few = Estimate(each=1.0, free=1e4), Estimate(each=2.0, free=20.0)
    assert (many.batch(cpu), many.batch(cuda)) == (memory.AT_ONCE, 7000)
    assert (few.batch(cpu), few.batch(cuda)) == (7, 7)
