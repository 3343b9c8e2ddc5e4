"""What the program itself says of operators and methods, as `--json` prints it."""

import contextlib
import io
import json
from typing import Any

from invprob.cli.app import run


def answer(*arguments: str) -> Any:
    """Return what `invprob ARGUMENTS --json` prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = run([*arguments, "--json"])
    if status:
        raise RuntimeError(f"`invprob {' '.join(arguments)}` ended with {status}")
    return json.loads(printed.getvalue())
