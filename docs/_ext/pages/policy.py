"""The table of what invprob chooses for the user, from the table that the program itself reads."""

import inspect
import re
from pathlib import Path
from typing import Any

from invprob.methods import Asked, Problem, automatic
from invprob.methods.policy import TABLE, Case, Row
from invprob.operators import GaussianNoise
from pages.text import table, write

# A value that is computed is shown for this case.
EXAMPLE = Case(
    Problem((3, 128, 128), (492,), noise=GaussianNoise(sigma=0.1)), Asked(), {"optimiser": "adam"}
)
EXAMPLE_WORDS = "for images of 128 pixels and noise of sigma 0.1"


def write_pages(target: Path) -> None:
    """Write `policy-table.md` and `auto-table.md`, which `policy.md` and `auto.md` include."""
    meanings = dict(re.findall(r"^    (\w+): (.+)$", inspect.getdoc(Asked) or "", re.MULTILINE))
    parts = []
    for name, rows in TABLE.items():
        parts += [
            f"### {name}\n",
            f"{meanings[name]}\n",
            table(["because", "value"], [[row.because, _value(row)] for row in rows]),
        ]
    write(target / "policy-table.md", "\n".join(parts))
    tried = [
        [f"[{row.method}](/generated/methods/{row.method}.md)", row.because]
        for row in automatic.TABLE
    ]
    write(target / "auto-table.md", table(["method", "because"], tried))


def _value(row: Row) -> str:
    if callable(row.value):
        value: Any = row.value(EXAMPLE)
        return f"`{value:g}` {EXAMPLE_WORDS}"
    return "none" if row.value is None else f"`{row.value}`"
