"""Time one SPHInX step beside the convolutions it cannot do without.

    python examples/benchmark_step.py [--generator NAME|FILE] [--batch 1] [--threads 2]

The floor is each convolution of the synthesis network alone, forward and backward to its input,
with the same shapes and threads and no elementwise work. The baseline is the step as it is usually
published: a weight for each sample, grouped convolutions, weight gradients left on.
"""

import math
import statistics
import time
from collections.abc import Callable
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor

import invprob
from invprob import methods
from invprob.operators import PartialCirculant
from invprob.priors import Generator, GeneratorConfig, load_generator
from invprob.priors.filters import smooth
from invprob.priors.layers import SynthesisLayer, activate


def convolutions(generator: Generator, batch: int) -> Callable[[], None]:
    """Every convolution of one synthesis pass, forward and backward to its input."""
    jobs: list[tuple[Tensor, Tensor, bool]] = []
    for layer in generator.synthesis_layers():
        size = layer.noise.shape[2] // (2 if layer.doubling else 1)
        x = torch.randn(batch, layer.weight.shape[1], size, size).requires_grad_()
        jobs.append((x, layer.weight, layer.doubling))

    def run() -> None:
        for x, weight, doubling in jobs:
            if doubling:
                y = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            else:
                y = F.conv2d(x, weight, padding=1)
            torch.autograd.grad(y, x, y)

    return run


def sphinx_step(generator: Generator, batch: int) -> Callable[[], None]:
    """One step of the default method at 1 % random measurements, without bookkeeping."""
    operator = PartialCirculant(generator.image_shape, ratio=0.01, seed=0)
    recipe = methods.make(
        "sphinx",
        generator,
        generator.image_shape,
        measurement_shape=operator.measurement_shape,
    )
    prior = recipe.prior
    code = prior.start(batch, torch.Generator().manual_seed(0))
    stepper = recipe.optimiser.start(prior.groups(code))
    term = recipe.terms[0].bind(torch.zeros(batch, *operator.measurement_shape), operator)
    rng = torch.Generator().manual_seed(1)

    def run() -> None:
        image = prior.decode(code, rng)
        term(image, operator(image)).sum().backward()
        stepper.step(1.0)

    return run


def published_step(generator: Generator, batch: int) -> Callable[[], None]:
    """The usual public step: per-sample grouped convolutions, weight gradients computed."""
    weights = [layer.weight.clone().requires_grad_() for layer in generator.synthesis_layers()]
    styles = generator.mean_w.repeat(batch, generator.num_layers, 1).requires_grad_()
    optimiser = torch.optim.Adam([styles])

    def layer_forward(x: Tensor, layer: SynthesisLayer, weight: Tensor, row: Tensor) -> Tensor:
        style = layer.affine(row)
        modulated = weight[None] * style[:, None, :, None, None]
        modulated = modulated * torch.rsqrt(modulated.square().sum((2, 3, 4), keepdim=True) + 1e-8)
        _, outputs, inputs, height, width = modulated.shape
        grouped = modulated.reshape(batch * outputs, inputs, height, width)
        flat = x.reshape(1, -1, *x.shape[2:])
        if layer.doubling:
            turned = grouped.reshape(batch, outputs, inputs, 3, 3).transpose(1, 2)
            turned = turned.reshape(batch * inputs, outputs, 3, 3)
            y = F.conv_transpose2d(flat, turned, stride=2, groups=batch)
            y = smooth(y.reshape(batch, outputs, *y.shape[2:]), 1)
        else:
            y = F.conv2d(flat, grouped, padding=1, groups=batch)
            y = y.reshape(batch, outputs, *y.shape[2:])
        y = y + layer.noise_strength * layer.noise
        return activate(y + layer.bias[:, None, None])

    def run() -> None:
        x = generator.constant.expand(batch, -1, -1, -1)
        for index, (layer, weight) in enumerate(
            zip(generator.synthesis_layers(), weights, strict=True)
        ):
            x = layer_forward(x, layer, weight, styles[:, index])
        x.square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()

    return run


def milliseconds(job: Callable[[], object], repeats: int) -> tuple[float, float, float]:
    """Minimum, median and maximum over `repeats` calls, after two to warm up."""
    times = []
    for index in range(repeats + 2):
        begin = time.perf_counter()
        job()
        if index >= 2:
            times.append(1e3 * (time.perf_counter() - begin))
    return min(times), statistics.median(times), max(times)


def matrix_rate() -> float:
    """GFLOP/s of a float32 matrix product."""
    a = torch.randn(1024, 1024)
    best, _, _ = milliseconds(lambda: a @ a, 10)
    return 2 * 1024**3 / best / 1e6


def main(
    generator: Annotated[str, typer.Option(help="name or file")] = "faces-128",
    batch: Annotated[int, typer.Option(help="images solved at once")] = 1,
    threads: Annotated[int, typer.Option(help="CPU threads")] = 2,
    repeats: Annotated[int, typer.Option(help="timed calls of each job")] = 20,
    smoke: Annotated[bool, typer.Option(help="a random 32 px generator, two calls")] = False,
) -> None:
    """Print floor, step and baseline in milliseconds, and their ratios."""
    torch.set_num_threads(threads)
    if smoke:
        network = Generator(GeneratorConfig(32, (16, 16, 8, 8), 16, 2))
        repeats = 2
    else:
        network = load_generator(generator)
    multiplied = sum(_multiplications(layer) for layer in network.synthesis_layers())
    print(f"invprob {invprob.__version__}, torch {torch.__version__}, {threads} threads")
    print(
        f"{network.resolution} px, {multiplied / 1e9:.2f} G multiply-adds an image, batch {batch}"
    )
    print(f"float32 matrix product: {matrix_rate():.0f} GFLOP/s")
    jobs = {
        "convolutions alone": convolutions(network, batch),
        "SPHInX step": sphinx_step(network, batch),
        "published step": published_step(network, batch),
    }
    floor = math.nan
    for name, job in jobs.items():
        low, middle, high = milliseconds(job, repeats)
        floor = middle if name == "convolutions alone" else floor
        print(
            f"{name:20s} {middle:8.1f} ms  ({low:.1f} to {high:.1f})  {middle / floor:5.2f} x floor"
        )


def _multiplications(layer: SynthesisLayer) -> int:
    outputs, inputs, height, width = layer.weight.shape
    size = layer.noise.shape[2] // (2 if layer.doubling else 1)
    return outputs * inputs * height * width * size**2


if __name__ == "__main__":
    typer.run(main)
