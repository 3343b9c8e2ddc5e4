"""Time one step of the solver, beside its floors and beside the step as it is usually published.

    python examples/benchmark_step.py [--size 128] [--batch 1] [--method NAME[:option=value,...]] \
        [--threads 2]

Each row is one case: a generator (128: the shipped one; 256 and 1024: random weights in the
channels of StyleGAN2's config-f), images at once, a method, and a perceptual network. The
operator is the identity, so that `sphinx` trains both heads and the noise maps. Without
`--method` there are two rows: `sphinx` by Adam, as it was published, and by L-BFGS, which is its
default here.

Five jobs take turns within one run. At each turn a job is done three times, and the first of
these does not count, because it finds the caches full of another job's data:

- floor: each convolution of generator and perceptual network alone, forward and backward to its
  input, with the same shapes and threads and no elementwise work; channels first or last, whichever
  is faster;
- step: one step of `invprob.solve`, that is, all that happens between two calls of a callback;
- baseline: a straightforward step in the published style (`timing/published.py`);
- frozen: a step of Adam on the style rows alone, and the squared error;
- moving: the same with all convolution and ToRGB weights, of which each image has its own.

Times are medians, and ratios are those of medians. `roofline` is the arithmetic divided by the
measured rate of matrix products, or the traffic divided by the measured rate of copies, whichever
takes longer; on a GPU it is the floor. `first` is the time until the first step is done. With
--memory-steps, each case is also solved in a process of its own: `peak` is what it holds at most
after that many steps, less what it held before (on a GPU: allocated), and `early` is the same
after three steps. `--clock cpu` reads the processor time of this process, which is fair on a busy
machine if there is one thread.
"""

import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated

import torch
import typer
from benchmark_quality import named
from timing.floors import (
    Convolution,
    Job,
    Machine,
    bare,
    measure_machine,
    perceptual_convolutions,
    synthesis_convolutions,
    wait,
)
from timing.moving import Descent, convolution_weights
from timing.published import published, published_step

import invprob
from invprob import methods
from invprob.callbacks import Callback, Iterate, Snapshot
from invprob.measurements import Measurements
from invprob.operators import Identity
from invprob.perceptual.distance import Absent, PerceptualDistance, find_perceptual
from invprob.perceptual.trunks import NETWORKS, Network
from invprob.priors import Generator, GeneratorConfig, load_generator
from invprob.run.build import build_device
from invprob.run.memory import forget_peak, peak
from invprob.run.precision import tensor_cores

CONFIG_F = (512, 512, 512, 512, 512, 256, 128, 64, 32)  # channels at 4, 8, ..., 1024
ON_END = 3  # times that a job is done at each turn, because the steps of a run follow one another
BASELINE_COPIES = 12  # tensors that the baseline keeps for each layer's output, or a little fewer


@dataclass(frozen=True)
class Case:
    """One row."""

    size: int
    batch: int
    method: str
    perceptual: str
    memory: str
    precision: str
    device: str
    smoke: bool = False

    def generator(self) -> Generator:
        """Return the shipped generator for 128 px, else one with random weights."""
        generator = self._generator()
        generator.memory = "low" if self.memory == "low" else "normal"
        generator.precision = "bf16" if self.precision == "bf16" else "float32"
        return generator

    def _generator(self) -> Generator:
        if self.size == 128:
            return load_generator("faces-128")
        channels = (16,) * 8 if self.smoke else CONFIG_F
        count = self.size.bit_length() - 2
        return _random(GeneratorConfig(self.size, channels[:count], channels[0], 2))

    def recipe(self, generator: Generator, network: PerceptualDistance | None) -> methods.Recipe:
        """Return the method's recipe for images of the generator."""
        name, options = named("method", self.method)
        return methods.make(name, generator, generator.image_shape, perceptual=network, **options)

    def network(self) -> PerceptualDistance | None:
        """Return a network on disk by name, or for `NAME-random` its layers with random weights."""
        if self.perceptual.endswith("-random"):
            return _random_network(NETWORKS[self.perceptual.removesuffix("-random")])
        found = find_perceptual(self.perceptual)
        return None if isinstance(found, Absent) else found


@torch.no_grad()
def _random_network(network: Network) -> PerceptualDistance:
    trunk = network.trunk()
    rng = torch.Generator().manual_seed(0)
    for value in trunk.parameters():
        value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=rng)
    hidden, heads = torch.zeros(1, 3, 64, 64), []
    for index, layer in enumerate(trunk):
        hidden = layer(hidden)
        if index in network.taps:
            width = hidden.shape[1]
            heads.append(torch.full((1, width, 1, 1), 1 / width))
    return PerceptualDistance(network, trunk, heads, {"sha256": "random weights"})


def _random(config: GeneratorConfig) -> Generator:
    generator = Generator(config)
    rng = torch.Generator().manual_seed(0)
    for value in generator.parameters():
        if value.ndim > 1:
            value.data.normal_(0, value[0].numel() ** -0.5, generator=rng)
    return generator


class Setup:
    """Everything that a case is solved with."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.device = torch.device(case.device)
        self.generator = case.generator().to(self.device)
        self.network = case.network()
        if self.network is not None:
            self.network.to(self.device)
        shape = self.generator.image_shape
        self.operator = Identity(shape).to(self.device)
        self.recipe = case.recipe(self.generator, self.network)
        rng = torch.Generator().manual_seed(2)
        target = torch.rand(case.batch, *shape, generator=rng) * 2 - 1
        self.measurements = Measurements.from_array(target, self.operator)
        self.target = target.to(self.device)

    def solve(self, steps: int, callback: Callback) -> None:
        """Take some steps of the solver."""
        (stage,) = self.recipe.stages
        invprob.solve(
            self.measurements,
            self.operator,
            stage.prior,
            terms=stage.terms,
            optimiser=stage.optimiser,
            schedule=stage.schedule,
            steps=steps,
            callbacks=[callback],
        )

    def baseline(self) -> Job:
        """Return the published step with the same variables."""
        prior = self.case.recipe(published(self.generator), None).prior
        return published_step(prior, self.target, self.network, 0.01)

    def convolutions(self) -> list[Convolution]:
        """Return the convolutions of generator and perceptual network."""
        found = synthesis_convolutions(self.generator)
        if self.network is not None:
            found += perceptual_convolutions(self.network, self.target[:1])
        return found


class Turns(Callback):
    """Time the steps of a solve, and after some of them as many turns of every other job."""

    def __init__(self, others: dict[str, Job], device: torch.device, clock: Callable[[], float]):
        self._others, self._device, self._clock = others, device, clock
        self.seconds: dict[str, list[float]] = {"step": [], **{name: [] for name in others}}
        self._began = clock()

    def on_start(self, taken: int, steps: int, snapshot: Callable[[], Snapshot]) -> None:
        del taken, steps, snapshot
        self._began = self._clock()

    def on_step(self, iterate: Iterate) -> None:
        self._note("step")
        if iterate.taken % ON_END == 0:
            for name, job in self._others.items():
                for _ in range(ON_END):
                    job()
                    self._note(name)

    def _note(self, name: str) -> None:
        wait(self._device)
        self.seconds[name].append(self._clock() - self._began)
        self._began = self._clock()

    def medians(self) -> dict[str, float]:
        """Return the median seconds of each job, without the first time of each turn."""
        return {
            name: statistics.median([time for i, time in enumerate(times) if i % ON_END])
            for name, times in self.seconds.items()
        }


class Memory(Callback):
    """Record the most memory held so far, in GiB, after the third step and after the last."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        forget_peak(device)
        self._before = peak(device)
        self.early = self.late = 0.0

    def on_step(self, iterate: Iterate) -> None:
        self.late = (peak(self._device) - self._before) / 2**30
        if iterate.taken <= 3:
            self.early = self.late


def probe(case: Case, steps: int, threads: int) -> Memory:
    """Solve once, in this process, and do nothing else."""
    torch.set_num_threads(threads)
    setup = Setup(case)
    memory = Memory(setup.device)
    setup.solve(steps, memory)
    return memory


def probed(case: Case, steps: int, threads: int) -> tuple[float, float]:
    """Return the peak memory of a separate process in GiB, after three steps and after all."""
    words = ["--probe", json.dumps(asdict(case)), "--memory-steps", str(steps)]
    done = subprocess.run(
        [sys.executable, __file__, *words, "--threads", str(threads)],
        check=True,
        capture_output=True,
        text=True,
    )
    early, late = json.loads(done.stdout)
    return early, late


def available(device: torch.device) -> float:
    """Return the bytes of memory that are free."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info()[0])
    return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def measure(case: Case, repeats: int, clock: Callable[[], float], machine: Machine) -> list[str]:
    """Return the cells of a row, from `first` on."""
    setup = Setup(case)
    convolutions = setup.convolutions()
    others: dict[str, Job] = {
        "first": bare(convolutions, case.batch, setup.device, last=False),
        "last": bare(convolutions, case.batch, setup.device, last=True),
        "frozen": Descent(setup.generator, setup.target, []),
        "moving": Descent(setup.generator, setup.target, convolution_weights(setup.generator)),
    }
    kept = 4 * case.batch * sum(one.elements for one in convolutions)
    fits = BASELINE_COPIES / 2 * kept < available(setup.device)
    if fits:
        others["baseline"] = setup.baseline()
    turns = Turns(others, setup.device, clock)
    with tensor_cores(case.precision):
        setup.solve(repeats * ON_END, turns)
    medians = turns.medians()
    floor, step = min(medians["first"], medians["last"]), medians["step"]
    baseline = medians.get("baseline")
    return [
        _milliseconds(turns.seconds["step"][0]),
        _milliseconds(machine.floor(convolutions, case.batch)),
        _milliseconds(floor),
        _milliseconds(step),
        "" if baseline is None else _milliseconds(baseline),
        f"{step / floor:.2f}",
        "" if baseline is None else f"{baseline / step:.2f}",
        _milliseconds(medians["frozen"]),
        _milliseconds(medians["moving"]),
        f"{medians['moving'] / medians['frozen']:.2f}",
    ]


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.0f}" if seconds > 0.1 else f"{1e3 * seconds:.1f}"


HEADER = (
    *("size", "batch", "method", "perceptual", "memory", "precision"),
    *("first ms", "roofline ms", "floor ms", "step ms", "baseline ms", "step/floor"),
    *("baseline/step", "frozen ms", "moving ms", "moving/frozen", "early GiB", "peak GiB"),
)


def main(
    size: Annotated[list[int] | None, typer.Option(help="pixels; may repeat")] = None,
    batch: Annotated[list[int] | None, typer.Option(help="images at once; may repeat")] = None,
    method: Annotated[list[str] | None, typer.Option(help="may repeat")] = None,
    perceptual: Annotated[
        list[str] | None, typer.Option(help="none, a network on disk, or NAME-random; may repeat")
    ] = None,
    memory: Annotated[list[str] | None, typer.Option(help="normal or low; may repeat")] = None,
    precision: Annotated[list[str] | None, typer.Option(help="float32, tf32 or bf16")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads")] = 2,
    repeats: Annotated[int, typer.Option(help="timed turns of each job; 0: only memory")] = 15,
    memory_steps: Annotated[int, typer.Option(help="steps of the memory runs; 0: none")] = 0,
    freed: Annotated[
        str, typer.Option(help="what happens to freed memory: kept by the process, or returned")
    ] = "kept",
    clock: Annotated[
        str, typer.Option(help="wall, or cpu: the processor time of this process")
    ] = "wall",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    smoke: Annotated[bool, typer.Option(help="a random 32 px generator, two turns")] = False,
    probe_case: Annotated[str | None, typer.Option("--probe", hidden=True)] = None,
) -> None:
    """Print a table of milliseconds, their ratios and GiB."""
    torch.set_num_threads(threads)
    if freed == "kept":
        invprob.keep_freed_memory()
    if probe_case is not None:
        held = probe(Case(**json.loads(probe_case)), memory_steps, threads)
        print(json.dumps([held.early, held.late]))
        return
    where = build_device(device)
    if smoke:
        size, batch, method, perceptual = [32], [2], ["w-plus-s-b"], ["none", "alex-random"]
        memory, precision, repeats, memory_steps = ["low"], ["bf16"], 2, 4
    machine = measure_machine(where, 256 if smoke else 4096 if where.type == "cuda" else 1024)
    print(f"invprob {invprob.__version__}, torch {torch.__version__}, {threads} threads, {where}")
    print(
        f"float32 products: {machine.flops / 1e9:.0f} GFLOP/s, "
        f"copies: {machine.bandwidth / 1e9:.0f} GB/s; clock: {clock}; "
        f"medians of {repeats} turns\n"
    )
    print("| " + " | ".join(HEADER) + " |\n" + "|---" * len(HEADER) + "|")
    ticks = time.process_time if clock == "cpu" else time.perf_counter
    for cells in itertools.product(
        size or [128],
        batch or [1],
        method or ["sphinx:optimiser=adam", "sphinx:optimiser=l-bfgs"],
        perceptual or ["none"],
        memory or ["normal"],
        precision or ["float32"],
    ):
        case = Case(*cells, device=where.type, smoke=smoke)
        timed = measure(case, repeats, ticks, machine) if repeats else [""] * 10
        held = probed(case, memory_steps, threads) if memory_steps else ()
        row = [*map(str, cells), *timed, *(f"{value:.2f}" for value in held)]
        print("| " + " | ".join(row + [""] * (len(HEADER) - len(row))) + " |", flush=True)


if __name__ == "__main__":
    typer.run(main)
