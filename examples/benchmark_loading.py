"""Time the loading of a 1024 px checkpoint, beside `torch.load` of the same file, and its memory.

    python examples/benchmark_loading.py [--size 1024] [--rounds 5]

The script makes the file itself: 30 million random parameters, named as rosinality's code names
them. `read` returns the tensors as they are in the file. `load` returns the generator, with every
gain folded into the weights and every value checked. Both take turns with
`torch.load(weights_only=True)`; the time is the shortest of the rounds. The memory is the peak of a
separate process, less what that process held before (from /proc, so Linux only).
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from invprob.priors import Generator, GeneratorConfig, load_generator
from invprob.priors.checkpoints.reading import read_checkpoint
from invprob.priors.checkpoints.rosinality import to_rosinality

WAYS: dict[str, Callable[[Path], Any]] = {
    "torch.load": lambda path: torch.load(path, weights_only=True),
    "read": lambda path: dict(read_checkpoint(path).tensors),
    "load": load_generator,
}


def write(path: Path, size: int) -> None:
    """Write a random generator of the usual channels: 512 up to 64 px, then half at each size."""
    sizes = [4 << block for block in range(size.bit_length() - 2)]
    channels = tuple(min(512, 32768 // s) for s in sizes)
    generator = Generator(GeneratorConfig(size, channels, 512, 8))
    for value in generator.state_dict().values():
        value.normal_()
    torch.save(to_rosinality(generator), path)


def seconds(path: Path, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each way, taken in turn; the first round is not counted."""
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(rounds + 1):
        for name, way in WAYS.items():
            begun = time.perf_counter()
            way(path)
            found[name].append(time.perf_counter() - begun)
    return {name: values[1:] for name, values in found.items()}


def resident(field: str) -> int:
    """Return a field of /proc/self/status in bytes: VmRSS is held now, VmHWM was held at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


def peak(path: Path, way: str) -> int:
    """Return by how many bytes a new process grows at most while it loads the file."""
    command = [sys.executable, __file__, "--alone", way, "--file", str(path)]
    return int(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))


def main(
    size: Annotated[int, typer.Option(help="Pixels of the generator.")] = 1024,
    rounds: Annotated[int, typer.Option(help="How often each way is timed.")] = 5,
    smoke: Annotated[bool, typer.Option("--smoke", help="A small file, timed once.")] = False,
    alone: Annotated[str | None, typer.Option(hidden=True)] = None,
    file: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Print the ratios of one run."""
    torch.set_num_threads(1)
    if alone is not None and file is not None:
        before = resident("VmRSS")
        held = WAYS[alone](file)
        print(resident("VmHWM") - before)
        del held
        return
    if smoke:
        size, rounds = 32, 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        write(path, size)
        length = path.stat().st_size
        parameters = sum(value.numel() for value in load_generator(path).parameters())
        print(f"{size} px, {parameters / 1e6:.1f} M parameters, a file of {length / 1e6:.0f} MB")
        times = {name: min(each) for name, each in seconds(path, rounds).items()}
        for name in WAYS:
            print(
                f"{name}: {1e3 * times[name]:.0f} ms, {times[name] / times['torch.load']:.2f}x "
                f"torch.load; peak memory {peak(path, name) / length:.2f}x the file"
            )


if __name__ == "__main__":
    typer.run(main)
