"""Compare settings of the methods on the shipped samples: what the defaults were chosen by.

    python examples/compare_settings.py [--ratio 0.01] [--steps 200] [--seeds 2] [--prior faces-128]

`--ratio 1` measures the image itself. Each line is a setting; the PSNR of each sample, in dB, is
the mean over the seeds of the operator. The four samples are solved at once, by Adam.
"""

import time
from typing import Annotated, Any

import torch
import typer

import invprob
from invprob.methods import make
from invprob.metrics import psnr
from invprob.operators import Identity, PartialCirculant
from invprob.priors import Generator, load_generator
from invprob.run.samples import load_sample, samples
from invprob.solver.stages import solve_stages

SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("w-plus", {"learning_rate": 0.01}),
    ("w-plus", {"learning_rate": 0.03}),
    ("w-plus-s-b", {"noise_rate": 1.0}),
    ("sphinx", {"content": "constant", "noise_maps": "stored", "learning_rate": 0.001}),
    ("sphinx", {"content": "constant", "noise_maps": "stored", "learning_rate": 0.003}),
    ("sphinx", {"content": "constant", "noise_maps": "stored", "around": "zero"}),
    ("sphinx", {"content": "constant", "noise_maps": "stored", "readout": "last"}),
    ("sphinx", {"content": "head", "noise_maps": "stored"}),
    ("sphinx", {"content": "constant", "noise_maps": "free", "noise_rate": 1.0}),
    ("sphinx", {"content": "constant", "noise_maps": "free", "noise_regulariser": 1.0}),
    ("sphinx", {"content": "head", "noise_maps": "free"}),
]


def operator_for(generator: Generator, ratio: float, seed: int) -> invprob.LinearOperator:
    """Return random measurements, or the image itself if the ratio is 1."""
    if ratio == 1:
        return Identity(generator.image_shape)
    return PartialCirculant(generator.image_shape, ratio=ratio, seed=seed)


def main(
    ratio: Annotated[
        float, typer.Option(help="share of the image that is measured; 1: the image itself")
    ] = 0.01,
    steps: Annotated[int, typer.Option(help="steps of each solve")] = 200,
    seeds: Annotated[int, typer.Option(help="how many seeds of operator and solver")] = 2,
    prior: Annotated[str, typer.Option(help="generator, by name or file")] = "faces-128",
    only: Annotated[str, typer.Option(help="only methods whose name begins like this")] = "",
    smoke: Annotated[bool, typer.Option(help="two steps of two settings")] = False,
) -> None:
    """Print one line for each setting."""
    generator = load_generator(prior)
    names = list(samples())
    truth = torch.cat([load_sample(name, size=generator.resolution) for name in names])
    settings = [(name, options) for name, options in SETTINGS if name.startswith(only)]
    if smoke:
        settings, steps, seeds = settings[:1] + settings[-1:], 2, 1
    print(f"{prior}, {100 * ratio:g} % measured, {steps} steps, {seeds} seeds")
    print("dB:", "  ".join(names), " | data misfit")
    for name, options in settings:
        scores, misfits, begin = [], [], time.perf_counter()
        for seed in range(seeds):
            operator = operator_for(generator, ratio, 100 + seed)
            measurements = invprob.measure(truth, operator)
            recipe = make(
                name,
                generator,
                generator.image_shape,
                measurement_shape=operator.measurement_shape,
                observed=operator.measured,
                optimiser="adam",
                **options,
            )
            task = recipe.task(measurements, operator, steps=steps, seed=seed)
            solution = solve_stages(task)
            scores.append(psnr(solution.image, truth))
            misfits.append(solution.trace["misfit"][-1].mean())
        means = "  ".join(f"{value:.2f}" for value in torch.stack(scores).mean(0).tolist())
        told = ", ".join(f"{key}={value}" for key, value in options.items()) or "defaults"
        seconds = (time.perf_counter() - begin) / seeds
        misfit = torch.stack(misfits).mean().item()
        print(f"{means} | {misfit:.1e} | {name}: {told} ({seconds:.0f} s)", flush=True)


if __name__ == "__main__":
    typer.run(main)
