"""The table by task of the README: how good and how long, by the default method and by others.

    python examples/measure_tasks.py > examples/results/tasks.md

Every row is one command, `invprob solve --sample ... TASK --method NAME --threads 1`, for the four
pictures that ship with the package. The scores are those that the command prints; the seconds are
the processor time that the whole command takes, for one picture. Nothing is tuned to a task.
`--smoke` runs the commands of the default method with six steps and one picture.
"""

import argparse
import contextlib
import io
import json
import time
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

from invprob.cli.app import run
from invprob.run.samples import samples

TASKS = {
    "denoise": "--operator identity --noise gaussian --sigma 0.2",
    "fill in a hole": "--operator box-mask",
    "fill in lost pixels": "--operator random-mask --ratio 0.3",
    "enlarge 4 times": "--operator area-downsample --factor 4",
    "deblur": "--operator gaussian-blur:sigma=2 --noise gaussian:sigma=0.02",
    "CT, 30 views": "--operator ct --views 30",
    "MRI, every 4th line": "--operator mri --acceleration 4",
    "5 % random measurements": "--operator circulant --ratio 0.05",
    "1 % random measurements": "--operator circulant --ratio 0.01",
}
METHODS = ("sphinx", "w-plus-s-b", "ilo", "tv", "deep-image-prior")
INSIDE = "face"  # the picture of the generator's own kind; the others are not


@dataclass(frozen=True)
class Score:
    """PSNR in dB of the face, mean PSNR of the other pictures, seconds a picture."""

    face: float
    others: float
    seconds: float

    def cell(self) -> str:
        """Return the text of a cell."""
        return f"{self.face:.1f} / {self.others:.1f}, {self.seconds:.0f} s"


def measure(task: str, method: str, names: list[str], extra: list[str]) -> tuple[Score, Score]:
    """Run one command; return the method's score and that of the pseudo-inverse."""
    pictures = [word for name in names for word in ("--sample", name)]
    arguments = ["solve", *pictures, *TASKS[task].split(), "--method", method, "--threads", "1"]
    printed = io.StringIO()
    before = time.process_time()
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(printed):
        status = run([*arguments, *extra, "--out", f"{folder}/run", "--json", "--quiet"])
    seconds = (time.process_time() - before) / len(names)
    if status:
        raise SystemExit(f"`invprob {' '.join(arguments)}` ended with status {status}")
    about = json.loads(printed.getvalue())
    scores = about.get("images") or {names[0]: about}
    return _score(scores, "psnr", seconds), _score(scores, "psnr_pinv", 0.0)


def _score(scores: dict[str, Any], key: str, seconds: float) -> Score:
    inside = [score[key] for name, score in scores.items() if name == INSIDE]
    others = [score[key] for name, score in scores.items() if name != INSIDE]
    return Score(_mean(inside), _mean(others), seconds)


def _mean(values: list[Any]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")


def main() -> None:
    """Print the table, a row as soon as it is measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--method", action="append", help="repeat; default: the five of the table")
    parser.add_argument("--task", action="append", choices=TASKS, help="repeat; default: all")
    parser.add_argument("--smoke", action="store_true", help="six steps, one picture, one method")
    given = parser.parse_args()
    methods = given.method or list(METHODS[:1] if given.smoke else METHODS)
    names = [INSIDE] if given.smoke else list(samples())
    extra = ["--steps", "6"] if given.smoke else []
    header = ["task", "options", "pseudo-inverse", *(f"`{name}`" for name in methods)]
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}", flush=True)
    for task in given.task or TASKS:
        print(f"| {task} | `{TASKS[task]}` | ", end="", flush=True)
        for index, method in enumerate(methods):
            score, pinv = measure(task, method, names, extra)
            if index == 0:
                print(f"{pinv.face:.1f} / {pinv.others:.1f} | ", end="")
            print(f"{score.cell()} | ", end="", flush=True)
        print()


if __name__ == "__main__":
    main()
