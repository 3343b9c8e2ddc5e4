"""Freed memory that stays with the process, as the system counts page faults."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy
import invprob

if sys.argv[1] == "kept":
    assert invprob.keep_freed_memory()
numpy.zeros(1)
for _ in range(2):  # what grows the heap for the first time does not count
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        several = [numpy.empty(2**21, numpy.uint8) for _ in range(4)]
        for one in several:
            one.fill(1)
        del one, several
    after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(after - before)
"""


def faults(how: str) -> int:
    """Page faults of 50 rounds that fill and free four blocks of 2 MiB, 512 pages each."""
    command = [sys.executable, "-c", SCRIPT, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_kept_memory_is_not_cleared_again() -> None:
    assert faults("kept") < faults("returned") / 4


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import invprob

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not invprob.keep_freed_memory()
