"""Nine tasks, by the default method and by four others: how good, and how long.

    python examples/measure_tasks.py > examples/results/tasks.md

Every cell is one command, `invprob solve OPTIONS --method METHOD --threads 1`, for the four
pictures that ship with the package: a face, which is the generator's own kind of picture, and three
that are not (an astronaut, a retina, a cat). A cell is the PSNR in dB of the face, and the mean of
the other three; the best of each row is bold. The seconds are processor time of the whole command,
for one picture. There was no perceptual network. Nothing was tuned to a task, but the borders of
the policy were found with some of these pictures.
"""

import argparse
import contextlib
import io
import json
import math
import time
from collections.abc import Sequence
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
METHODS = ("sphinx-adapted", "sphinx", "ilo", "wavelet", "tv")
INSIDE = "face"  # the picture of the generator's own kind; the others are not


@dataclass(frozen=True)
class Score:
    """PSNR in dB of the face, mean PSNR of the other pictures, seconds for one picture."""

    face: float
    others: float
    seconds: float = 0.0


def measure(task: str, method: str, names: list[str], extra: list[str]) -> tuple[Score, Score]:
    """Run one command; return the score of the pseudo-inverse and that of the method."""
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
    return _score(scores, "psnr_pinv", 0.0), _score(scores, "psnr", seconds)


def _score(scores: dict[str, Any], key: str, seconds: float) -> Score:
    inside = [score[key] for name, score in scores.items() if name == INSIDE]
    others = [score[key] for name, score in scores.items() if name != INSIDE]
    return Score(_mean(inside), _mean(others), seconds)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def cells(scores: Sequence[Score]) -> list[str]:
    """Return the cells of a row, with the best values bold."""
    columns = []
    for values in ([score.face for score in scores], [score.others for score in scores]):
        best = max(values)
        columns.append([f"**{v:.1f}**" if v == best else f"{v:.1f}" for v in values])
    return [f"{face} / {others}" for face, others in zip(*columns, strict=True)]


def line(words: Sequence[str]) -> None:
    """Print a line of the table."""
    print(f"| {' | '.join(words)} |", flush=True)


def main() -> None:
    """Print the table, each row as soon as it is measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--method", action="append", help="may repeat; default: five methods")
    parser.add_argument("--task", action="append", choices=TASKS, help="may repeat; default: all")
    parser.add_argument(
        "--smoke", action="store_true", help="three steps, one small picture, one method"
    )
    given = parser.parse_args()
    methods = given.method or list(METHODS[:1] if given.smoke else METHODS)
    names = [INSIDE] if given.smoke else list(samples())
    extra = ["--steps", "3", "--resolution", "32"] if given.smoke else []

    title, command, about = (__doc__ or "").strip().split("\n\n")
    print(f"# {title.rstrip('.')}\n\n{about}\n\n{command}\n")
    line(["task", "options", "pseudo-inverse", *(f"`{name}`" for name in methods)])
    line(["---"] * (3 + len(methods)))
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for task in given.task or TASKS:
        pairs = [measure(task, method, names, extra) for method in methods]
        scores = [pairs[0][0], *(score for _, score in pairs)]
        for name, score in zip(methods, scores[1:], strict=True):
            seconds[name].append(score.seconds)
        line([task, f"`{TASKS[task]}`", *cells(scores)])
    spans = [f"{min(spent):.0f} to {max(spent):.0f}" for spent in seconds.values()]
    line(["seconds, least to most", "", "", *spans])


if __name__ == "__main__":
    main()
