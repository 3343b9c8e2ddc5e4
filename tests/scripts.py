"""Scripts of this repository, run in this process as `python SCRIPT` runs them in a new one.

An interpreter that imports PyTorch takes two seconds to start.
"""

import contextlib
import io
import os
import runpy
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@dataclass(frozen=True)
class Done:
    """What a script printed, and its exit status."""

    status: int
    out: str
    err: str


def run_script(script: Path, *arguments: object, folder: Path | None = None) -> Done:
    """Run a script with arguments, in the present folder or another."""
    out, err = io.StringIO(), io.StringIO()
    words, path = [str(script), *map(str, arguments)], [str(script.parent), *sys.path]
    before, threads = Path.cwd(), torch.get_num_threads()
    os.chdir(folder or before)
    try:
        with (
            mock.patch.multiple(sys, argv=words, path=path),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    else:
        status = 0
    finally:
        os.chdir(before)
        torch.set_num_threads(threads)
    return Done(status, out.getvalue(), err.getvalue())
