"""Measure the memory and the files that moving the weights of a generator takes.

    python examples/measure_memory.py [--size 1024] [--method sphinx-adapted] [--memory low]

The generator has random weights in the channels of StyleGAN2's config-f. Nothing is downloaded.
One image is restored from one in sixteen of its pixels, with two steps for each stage of the
method. After each step a checkpoint is made and written, which a run does every few seconds. The
peak is the most memory that the process held, libraries included.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from benchmark_step import CONFIG_F
from safetensors.torch import save_file

import invprob
from invprob.callbacks import Callback, Iterate
from invprob.methods import make
from invprob.operators import AreaDownsample
from invprob.priors import Generator, GeneratorConfig
from invprob.priors.parts import FreeWeights
from invprob.run.memory import peak
from invprob.solver.stages import solve_stages

STEPS = 2  # for each stage: Adam has moments from the first one on


class Checkpoints(Callback):
    """Writes a checkpoint after each step, and keeps the peak of each stage.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.peaks: dict[int, float] = {}

    def on_step(self, iterate: Iterate) -> None:
        """Write the checkpoint of a step."""
        save_file(iterate.snapshot(), self.path)
        self.size = max(self.size, self.path.stat().st_size)
        self.peaks[iterate.stage] = peak(torch.device("cpu"))


def main() -> None:
    """Print the peak after each stage, and the sizes of the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=1024, help="pixels of the generator")
    parser.add_argument("--method", default="sphinx-adapted")
    parser.add_argument("--memory", choices=("normal", "low"), default="low")
    parser.add_argument("--smoke", action="store_true", help="a narrow generator of 32 pixels")
    given = parser.parse_args()
    size, widths = (32, (16,) * 4) if given.smoke else (given.size, CONFIG_F)
    blocks = size.bit_length() - 2
    generator = random_generator(GeneratorConfig(size, widths[:blocks], widths[0], 2))
    generator.memory = given.memory
    names = FreeWeights().names(generator)
    numbers = sum(generator.get_parameter(name).numel() for name in names)
    print(f"{size} pixels, {numbers / 1e6:.3g} million weights, --memory {given.memory}")

    invprob.keep_freed_memory()
    operator = AreaDownsample(generator.image_shape, factor=4)
    rng = torch.Generator().manual_seed(1)
    truth = torch.rand(1, *generator.image_shape, generator=rng) * 2 - 1
    measurements = invprob.measure(truth, operator)
    recipe = make(
        given.method, generator, generator.image_shape, measurement_shape=operator.measurement_shape
    )
    recipe = replace(recipe, stages=tuple(replace(one, steps=STEPS) for one in recipe.stages))
    with TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder) / "checkpoint.safetensors")
        solution = solve_stages(recipe.task(measurements, operator), callbacks=[checkpoints])
        file = Path(folder) / "solution.safetensors"
        solution.save(file)
        for stage, held in checkpoints.peaks.items():
            print(f"peak by the end of stage {stage + 1}: {held / 2**30:.2f} GiB")
        print(f"checkpoint: {checkpoints.size / 1e6:.0f} MB at most")
        print(f"solution: {file.stat().st_size / 1e6:.0f} MB")
    print(f"peak: {peak(torch.device('cpu')) / 2**30:.2f} GiB")


@torch.no_grad()
def random_generator(config: GeneratorConfig) -> Generator:
    """Return a generator whose weights are random and whose biases are 0."""
    generator = Generator(config)
    rng = torch.Generator().manual_seed(0)
    for value in generator.parameters():
        if value.ndim > 1:
            value.normal_(0, value[0].numel() ** -0.5, generator=rng)
    return generator


if __name__ == "__main__":
    main()
