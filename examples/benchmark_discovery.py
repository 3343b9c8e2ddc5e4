"""Time the steps of a discovery beside those of a single inversion, in one run.

    python examples/benchmark_discovery.py [--variants 3] [--latents w-plus] [--threads 1]

A discovery draws an image and its K variants in one batch, so that one of its steps should cost at
most a little more than K + 1 steps of an inversion. Both solve with the same generator, latents,
loss and optimiser, in turns, and the medians of their steps are compared. The first steps of each
solve do not count. Times are the processor time of this process.
"""

import statistics
import time
from collections.abc import Callable
from typing import Annotated

import torch
import typer

import invprob
from invprob.callbacks import Callback, Iterate, Snapshot
from invprob.latents import discover, measured_series
from invprob.methods import make
from invprob.operators import Identity, Rotate
from invprob.perceptual.distance import Absent, find_perceptual
from invprob.priors import Generator, GeneratorConfig, StyleGANPrior, load_generator
from invprob.run.samples import load_sample

WARM = 2  # steps of each solve that do not count
METHODS = {"heads": "sphinx", "w-plus": "w-plus"}


class Clock(Callback):
    """Time each step by the processor time of this process."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._began = 0.0

    def on_start(self, taken: int, steps: int, snapshot: Callable[[], Snapshot]) -> None:
        del taken, steps, snapshot
        self._began = time.process_time()

    def on_step(self, iterate: Iterate) -> None:
        del iterate
        self.seconds.append(time.process_time() - self._began)
        self._began = time.process_time()


def main(
    variants: Annotated[int, typer.Option(help="K")] = 3,
    latents: Annotated[list[str] | None, typer.Option(help="heads or w-plus; may repeat")] = None,
    perceptual: Annotated[str, typer.Option(help="none, or a network on this machine")] = "none",
    rounds: Annotated[int, typer.Option(help="solves of each kind, in turn")] = 3,
    steps: Annotated[int, typer.Option(help="timed steps of each solve")] = 15,
    threads: Annotated[int, typer.Option(help="CPU threads")] = 1,
    smoke: Annotated[bool, typer.Option(help="a random 32 px generator, a few steps")] = False,
) -> None:
    """Print the milliseconds of a step of both, and their ratio."""
    torch.set_num_threads(threads)
    if smoke:
        rounds, steps = 1, 3
    generator = small() if smoke else load_generator("faces-128")
    found = find_perceptual(perceptual)
    network = None if isinstance(found, Absent) else found
    image = load_sample("retina", size=generator.resolution)
    turn = Rotate(generator.image_shape, degrees=10.0)
    pictures = [image]
    for _ in range(variants):
        pictures.append(turn(pictures[-1]))
    print("| latents | one image, ms | discovery, ms | ratio |\n|---|---|---|---|")
    for name in latents or ["w-plus", "heads"]:
        recipe = make(
            METHODS[name], generator, generator.image_shape, perceptual=network, optimiser="adam"
        )
        (stage,) = recipe.stages
        assert isinstance(stage.prior, StyleGANPrior)
        own, other = Clock(), Clock()
        for _ in range(rounds):
            operator = Identity(generator.image_shape)
            invprob.solve(
                invprob.measure(image, operator),
                operator,
                stage.prior,
                terms=stage.terms,
                optimiser=stage.optimiser,
                steps=steps + WARM,
                callbacks=[one := Clock()],
            )
            discover(
                *measured_series(torch.cat(pictures), stage.prior),
                stage.prior,
                terms=stage.terms,
                optimiser=stage.optimiser,
                steps=steps + WARM,
                callbacks=[several := Clock()],
            )
            own.seconds += one.seconds[WARM:]
            other.seconds += several.seconds[WARM:]
        times = [statistics.median(clock.seconds) for clock in (own, other)]
        cells = [name, *(f"{1e3 * time:.0f}" for time in times), f"{times[1] / times[0]:.2f}"]
        print(f"| {' | '.join(cells)} |", flush=True)
    print(f"{variants} variants, {threads} threads, perceptual {perceptual}, medians of steps")


def small() -> Generator:
    """Return a small generator with random weights."""
    generator = Generator(GeneratorConfig(32, (16, 16, 16, 16), 16, 2))
    rng = torch.Generator().manual_seed(0)
    for value in generator.parameters():
        if value.ndim > 1:
            value.data.normal_(0, value[0].numel() ** -0.5, generator=rng)
    return generator


if __name__ == "__main__":
    typer.run(main)
