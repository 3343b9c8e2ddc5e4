"""What adapting the generator gains over `sphinx`, over controls without a generator, and in time.

    python examples/measure_targets.py --image XRAY --image LESION > examples/results/targets.md

Every run is `invprob solve PICTURE --operator circulant:ratio=RATIO --operator-seed 0 --method
METHOD --perceptual none --threads 1`, with each method's own settings. The pictures are the four
that ship, a chest X-ray (`00000001_000` of NIH ChestX-ray14) and a skin lesion (`ISIC_0000000`).
The first table of a ratio has the PSNR in dB; "control" is the best of `tv`, `wavelet` and
`deep-image-prior`. The second has the seconds of processor time in which `sphinx` ends, and in
which `sphinx-adapted` first has the PSNR that `sphinx` ends with: the image of a step is graded
five times a second.

To try it: `--smoke`, or `--ratio 0.05 --image XRAY --steps 20`.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import final

from invprob.run.config import Named, RunConfig
from invprob.run.launch import start
from invprob.run.samples import samples
from invprob.run.watch import Display, Status

BEFORE, OURS = "sphinx", "sphinx-adapted"
CONTROLS = ("tv", "wavelet", "deep-image-prior")
RATIOS = (0.01, 0.05, 0.1, 0.2)
TIMED = (0.01, 0.05)  # the ratios of the second table, unless others are asked for


@final
class Curve(Display):
    """Keeps the PSNR over the seconds of processor time since the first step began."""

    def __init__(self) -> None:
        self.points: list[tuple[float, float]] = []
        self.seconds = self._began = 0.0  # in the loop; when it began

    def folder(self, path: Path) -> None:
        del path
        self._began = time.process_time()

    def message(self, text: str) -> None:
        del text

    def status(self, status: Status) -> None:
        assert status.psnr is not None
        self.points.append((time.process_time() - self._began, status.psnr))

    def end(self) -> None:
        self.seconds = time.process_time() - self._began


@dataclass(frozen=True)
class Run:
    """The PSNR of a result in dB, the seconds in the loop, and the PSNR over the seconds."""

    psnr: float
    seconds: float
    points: Sequence[tuple[float, float]] = field(repr=False)

    def reaches(self, psnr: float) -> float | None:
        """Return the seconds after which an image was that good; None: none was."""
        return next((seconds for seconds, reached in self.points if reached >= psnr), None)


def measure(
    picture: tuple[str, str], ratio: float, method: str, steps: int | None, resolution: int | None
) -> Run:
    """Restore a picture, given as ("samples" or "images", name)."""
    kind, name = picture
    config = RunConfig(
        samples=(name,) if kind == "samples" else (),
        images=(name,) if kind == "images" else (),
        operators=(Named("circulant", {"ratio": ratio}),),
        operator_seed=0,
        method=Named(method),
        perceptual="none",
        steps=steps,
        resolution=resolution,
        device="cpu",
        threads=1,
    )
    curve = Curve()
    with TemporaryDirectory() as folder:
        finished = start(config, out=Path(folder) / "run", display=curve)
    psnr = finished.scores["psnr"]
    return Run(psnr, curve.seconds, [*curve.points, (curve.seconds, psnr)])


def line(*words: str) -> None:
    """Print a line of a table."""
    print(f"| {' | '.join(words)} |", flush=True)


def table_of_quality(found: dict[str, dict[str, Run]]) -> None:
    """Print the PSNR of each picture, and the means."""
    line("picture", f"`{BEFORE}`", f"`{OURS}`", "gain", "control", f"`{OURS}` over it")
    line(*["---"] * 6)
    rows = []
    for name, runs in found.items():
        best = max((runs[method].psnr, method) for method in runs if method in CONTROLS)
        before, ours = runs[BEFORE].psnr, runs[OURS].psnr
        rows.append((before, ours, ours - before, best[0], ours - best[0]))
        shown = [f"{best[0]:.2f} (`{best[1]}`)", f"{ours - best[0]:+.2f}"]
        line(name, f"{before:.2f}", f"{ours:.2f}", f"{ours - before:+.2f}", *shown)
    before, ours, gain, best_mean, over = (
        statistics.fmean(column) for column in zip(*rows, strict=True)
    )
    line("mean", f"{before:.2f}", f"{ours:.2f}", f"{gain:+.2f}", f"{best_mean:.2f}", f"{over:+.2f}")
    least = [f"{min(row[at] for row in rows):+.2f}" for at in (2, 4)]
    line("least", "", "", least[0], "", least[1])


def table_of_time(found: dict[str, dict[str, Run]]) -> None:
    """Print how soon each picture is as good as `sphinx` made it, and the median."""
    line("picture", f"`{BEFORE}` ends at, dB", "after, s", f"`{OURS}` is there after, s", "share")
    line(*["---"] * 5)
    shares = []
    for name, runs in found.items():
        before = runs[BEFORE]
        reached = runs[OURS].reaches(before.psnr)
        shares.append(float("inf") if reached is None else reached / before.seconds)
        told = ["never", "–"] if reached is None else [f"{reached:.1f}", f"{shares[-1]:.2f}"]
        line(name, f"{before.psnr:.2f}", f"{before.seconds:.1f}", *told)
    line("median", "", "", "", f"{statistics.median(shares):.2f}")


def main() -> None:
    """Print the tables of each ratio as soon as they are measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image", action="append", default=[], help="a file; may repeat")
    parser.add_argument("--ratio", action="append", type=float, help="may repeat; default: four")
    parser.add_argument("--steps", type=int, help="of every method; default: its own number")
    parser.add_argument("--smoke", action="store_true", help="a few steps of one small picture")
    given = parser.parse_args()
    pictures = {name: ("samples", name) for name in samples()}
    pictures |= {Path(path).stem: ("images", path) for path in given.image}
    ratios, steps, resolution = given.ratio or RATIOS, given.steps, None
    if given.smoke:
        pictures, ratios, steps, resolution = {"face": ("samples", "face")}, (0.05,), 6, 32
    title, command, about, _ = (__doc__ or "").strip().split("\n\n")
    print(f"# {title.rstrip('.')}\n\n{about}\n\n{command}")
    measure(next(iter(pictures.values())), ratios[0], BEFORE, 6, resolution)  # warms up
    for ratio in ratios:
        found = {
            name: {
                method: measure(picture, ratio, method, steps, resolution)
                for method in (BEFORE, OURS, *CONTROLS)
            }
            for name, picture in pictures.items()
        }
        print(f"\n## {100 * ratio:g} % of random measurements\n")
        table_of_quality(found)
        if ratio in TIMED or given.ratio:
            print()
            table_of_time(found)


if __name__ == "__main__":
    main()
