"""How soon presets reach the quality of a reference: PSNR over time.

    python examples/benchmark_quality.py [--ratio 1] [--threads 1] [--clock cpu] \
        [--reference sphinx-official@5000] [--preset sphinx@400] [--preset sphinx:d=32@400]

A preset is `METHOD[:option=value,...][@STEPS]`; without STEPS it takes the method's own number. All
shipped samples are solved at once, with the data term alone. The reference comes first. The time is
that of the loop, without what this script adds. `--clock cpu` counts the processor time of this
process, which is fair on a busy machine if there is one thread. `--ratio 1` measures the image
itself, a smaller ratio takes random measurements.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import typer

import invprob
from invprob.callbacks import Callback, Iterate
from invprob.cli.options import parse
from invprob.methods import make
from invprob.metrics import psnr
from invprob.operators import Identity, LinearOperator, PartialCirculant
from invprob.priors import Generator, load_generator
from invprob.registry import options_of, register
from invprob.run.samples import load_sample, samples
from invprob.solver.stages import solve_stages
from invprob.types import Images

Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)  # shares of the steps at which the curve is printed


@dataclass(frozen=True)
class Preset:
    """A method with its options and a number of steps."""

    label: str
    method: str
    options: dict[str, Any]
    steps: int | None

    @classmethod
    def read(cls, text: str) -> "Preset":
        """Read `METHOD[:option=value,...][@STEPS]`."""
        body, _, steps = text.partition("@")
        method, options = named("method", body)
        return cls(text, method, options, int(steps) if steps else None)


def named(kind: str, text: str) -> tuple[str, dict[str, Any]]:
    """Read `NAME[:option=value,...]` of a method or an operator."""
    name, _, pairs = text.partition(":")
    known = {option.name: option for option in options_of(register.of(kind)[name])}
    options = {}
    for pair in filter(None, pairs.split(",")):
        key, _, value = pair.partition("=")
        option = known[key.replace("-", "_")]
        options[option.name] = parse(option, value)
    return name, options


class Curve(Callback):
    """Record the PSNR of the iterate at some shares of the run, and the seconds until then."""

    def __init__(self, truth: Images, clock: Clock) -> None:
        self.truth, self._clock = truth, clock
        self.points: list[tuple[int, float, float]] = []
        self._began, self._own = clock(), 0.0

    @property
    def seconds(self) -> float:
        """Return the seconds of the loop so far, without those of this callback."""
        return self._clock() - self._began - self._own

    def on_step(self, iterate: Iterate) -> None:
        if iterate.taken not in {max(1, round(share * iterate.steps)) for share in SHARES}:
            return
        seconds, begin = self.seconds, self._clock()
        decibels = psnr(iterate.image, self.truth).mean().item()
        self.points.append((iterate.taken, seconds, decibels))
        self._own += self._clock() - begin


def operator_for(generator: Generator, ratio: float) -> LinearOperator:
    """Return random measurements, or the image itself if the ratio is 1."""
    if ratio == 1:
        return Identity(generator.image_shape)
    return PartialCirculant(generator.image_shape, ratio=ratio, seed=100)


def run(
    preset: Preset, generator: Generator, truth: Images, ratio: float, clock: Clock
) -> tuple[float, float]:
    """Solve, print the curve, and return the PSNR of the solution and the seconds of the loop."""
    operator = operator_for(generator, ratio)
    shape = operator.measurement_shape
    recipe = make(
        preset.method, generator, generator.image_shape, measurement_shape=shape, **preset.options
    )
    measurements = invprob.measure(truth, operator)
    curve = Curve(truth, clock)
    task = recipe.task(measurements, operator, steps=preset.steps)
    solution = solve_stages(task, callbacks=[curve])
    seconds = curve.seconds
    each = psnr(solution.image, truth)
    told = "  ".join(f"{taken}: {db:.2f} ({s:.1f} s)" for taken, s, db in curve.points)
    print(f"{preset.label}\n    iterates  {told}", flush=True)
    print(f"    solution  {each.mean():.2f} dB  {[round(v, 2) for v in each.tolist()]}", flush=True)
    return each.mean().item(), seconds


def main(
    reference: Annotated[str, typer.Option(help="preset that the others are compared with")] = (
        "sphinx-official@5000"
    ),
    preset: Annotated[list[str] | None, typer.Option(help="METHOD[:option=value,...][@STEPS]")] = (
        None
    ),
    ratio: Annotated[
        float, typer.Option(help="share of the image that is measured; 1: the image itself")
    ] = 1.0,
    prior: Annotated[str, typer.Option(help="generator, by name or file")] = "faces-128",
    sample: Annotated[list[str] | None, typer.Option(help="sample; default: all")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads")] = 1,
    clock: Annotated[str, typer.Option(help="wall or cpu")] = "wall",
    smoke: Annotated[bool, typer.Option(help="two steps of each preset")] = False,
) -> None:
    """Print the curve of each preset, and its time and PSNR beside those of the reference."""
    torch.set_num_threads(threads)
    generator = load_generator(prior)
    names = sample or list(samples())
    truth = torch.cat([load_sample(name, size=generator.resolution) for name in names])
    texts = [reference, *(preset or [])]
    if smoke:
        texts = ["sphinx@2", "w-plus@2"]
    print(
        f"{prior}, {', '.join(names)}, {100 * ratio:g} % measured, {threads} threads, {clock} time"
    )
    first: tuple[float, float] | None = None
    for text in texts:
        decibels, seconds = run(Preset.read(text), generator, truth, ratio, CLOCKS[clock])
        first = first or (decibels, seconds)
        print(f"    {decibels - first[0]:+.2f} dB in {seconds / first[1]:.3f} of the time")


if __name__ == "__main__":
    typer.run(main)
