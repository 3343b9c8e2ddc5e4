"""Train a StyleGAN2 on a folder of images, in as many pieces as it takes.

    python examples/train_generator.py photographs/ --out run --size 64 --minutes 30
    python examples/train_generator.py photographs/ --out run --size 64 --minutes 30    # continues

The second command finds `run/checkpoint.pt` and continues bit for bit as if it had never stopped.
`run/generator.safetensors` can then be used: `invprob solve ... --prior run/generator.safetensors`.
"""

import math
import signal
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from training.adversarial import Settings, Trainer, fresh_discriminator, fresh_networks, usual_gamma
from training.data import draw_batch, find_images, read_images, write_sheet
from training.run_files import (
    export_discriminator,
    export_generator,
    load_discriminator,
    read_checkpoint,
    save_checkpoint,
    write_samples,
)
from training.synthesis import default_channels

from invprob.errors import ArgumentError, InvprobError, RunError
from invprob.priors.generator_files import load_generator
from invprob.priors.stylegan.generator import GeneratorConfig
from invprob.streams import stream

console = Console()


def main(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of images, sub-folders included.")
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("training-run"),
    size: Annotated[int, typer.Option(help="Pixels a side: a power of two, at least 32.")] = 128,
    width: Annotated[int, typer.Option(help="Width of z and w.")] = 256,
    channels: Annotated[
        str,
        typer.Option(help="Channels at 4, 8, ... px, separated by commas; default: by the size."),
    ] = "",
    mapping_layers: Annotated[int, typer.Option(help="Layers of the mapping network z -> w.")] = 4,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the whole training.")] = 100_000,
    minutes: Annotated[float, typer.Option(help="End this piece after so many minutes.")] = 1e9,
    batch: Annotated[int, typer.Option(help="Images in each step.")] = 16,
    rate: Annotated[float, typer.Option(help="Learning rate of both networks.")] = 2.5e-3,
    gamma: Annotated[float, typer.Option(help="Weight of R1; 0: 2e-4 · pixels / batch.")] = 0.0,
    path_weight: Annotated[
        float, typer.Option(help="Weight of the path length; 0: leave it out.")
    ] = 2.0,
    mixing: Annotated[
        float, typer.Option(help="Probability that an image mixes two styles.")
    ] = 0.9,
    average: Annotated[
        float, typer.Option(help="Half-life of the averaged generator, in images.")
    ] = 10_000.0,
    flip: Annotated[bool, typer.Option(help="Mirror half of the images.")] = False,
    bf16: Annotated[bool, typer.Option(help="Convolutions in bfloat16.")] = False,
    half: Annotated[bool, typer.Option(help="Write the generator in half precision.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of every random draw.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    init: Annotated[Path | None, typer.Option(help="Generator file to start from.")] = None,
    init_discriminator: Annotated[
        Path | None, typer.Option(help="Discriminator file to start from.")
    ] = None,
    every: Annotated[
        int, typer.Option(min=1, help="Steps between checkpoints and sheets of samples.")
    ] = 1_000,
    smoke: Annotated[bool, typer.Option(help="A tiny network for a few steps.")] = False,
) -> None:
    """Train a generator; run it again to continue, with more --steps to go further."""
    if smoke:
        size, width, channels, mapping_layers = 32, 32, "16,16,12,8", 2
        batch, steps, every = 4, min(steps, 6), min(every, 3)
    try:
        counts = _channels(channels) if channels else default_channels(size)
        config = GeneratorConfig(size, counts, width, mapping_layers)
        if init is not None:
            config = load_generator(init).config
        settings = Settings(
            batch=batch,
            rate=rate,
            gamma=gamma or usual_gamma(config.resolution, batch),
            seed=seed,
            path_weight=path_weight,
            mixing=mixing,
            average_images=average,
            # A trained generator to start from must not be forgotten within a few images.
            average_ramp=0.05 if init is None else float("inf"),
            dtype="bfloat16" if bf16 else "float32",
        )
        out.mkdir(parents=True, exist_ok=True)
        images = _images(folder, config.resolution, smoke=smoke)
        trainer = _trainer(config, settings, torch.device(device), init, init_discriminator)
        if (out / "checkpoint.pt").exists():
            trainer.restore(read_checkpoint(out / "checkpoint.pt"))
            console.print(f"continuing after {trainer.taken} steps")
        write_sheet(images[:64].float() / 127.5 - 1, out / "images.png")
        _train(trainer, images, out, steps=steps, seconds=60 * minutes, every=every, flip=flip)
        export_discriminator(trainer.discriminator, out)
        statistics = export_generator(
            trainer.average,
            out,
            seed=seed,
            draws=2_000 if smoke else 100_000,
            dtype=torch.float16 if half else torch.float32,
        )
    except InvprobError as error:
        console.print(f"[red]error[/red] {error}", highlight=False)
        raise typer.Exit(2) from None
    console.print(
        f"{out / 'generator.safetensors'} after {trainer.taken} steps; "
        f"rank of W {statistics.effective_rank()} of {config.style_width}"
    )


def _channels(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ArgumentError(
            f"--channels takes whole numbers by commas, such as 256,256,128,64, not {text!r}"
        ) from None


def _images(folder: Path | None, size: int, *, smoke: bool) -> Tensor:
    if folder is not None:
        paths = find_images(folder)
        console.print(f"reading {len(paths)} images at {size} px")
        return read_images(paths, size)
    if not smoke:
        raise ArgumentError("a folder of images is missing; --smoke alone makes its own")
    shades = torch.randint(256, (64, 3, 1, 1), generator=stream(0, "smoke images"))
    return shades.expand(-1, -1, size, size).to(torch.uint8)


def _trainer(
    config: GeneratorConfig,
    settings: Settings,
    device: torch.device,
    init: Path | None,
    init_discriminator: Path | None,
) -> Trainer:
    generator, discriminator = fresh_networks(config, settings.seed)
    if init is not None:
        generator = load_generator(init)
        discriminator = fresh_discriminator(config, settings.seed)
    if init_discriminator is not None:
        load_discriminator(discriminator, init_discriminator)
    return Trainer(generator.to(device), discriminator.to(device), settings)


def _train(
    trainer: Trainer,
    images: Tensor,
    out: Path,
    *,
    steps: int,
    seconds: float,
    every: int,
    flip: bool,
) -> None:
    """Take steps until all are taken, the time is over or Ctrl-C comes; write a checkpoint."""
    settings, device = trainer.settings, trainer.path_mean.device
    end = time.monotonic() + seconds
    marks = deque([(trainer.taken, time.monotonic())], maxlen=50)
    losses: dict[str, Tensor] = {}
    columns = ("{task.completed}/{task.total}", "{task.fields[speed]}", "{task.fields[losses]}")
    bar = Progress(BarColumn(), *map(TextColumn, columns), TimeRemainingColumn(), console=console)
    with bar as progress, _interrupts() as asked:
        task = progress.add_task("", total=steps, completed=trainer.taken, speed="", losses="")
        while trainer.taken < steps and time.monotonic() < end and not asked.is_set():
            rng = stream(settings.seed, "images", trainer.taken)
            real = draw_batch(images, settings.batch, rng, flip=flip).to(device)
            losses.update(trainer.step(real))
            marks.append((trainer.taken, time.monotonic()))
            due = trainer.taken % every == 0
            if (
                due or trainer.taken % 10 == 0 or trainer.taken == steps
            ):  # reading losses waits for the device
                (first, since), (last, now) = marks[0], marks[-1]
                speed = settings.batch * (last - first) / max(now - since, 1e-9)
                progress.update(
                    task,
                    completed=trainer.taken,
                    speed=f"{speed:.1f} images/s",
                    losses=_read(losses, trainer.taken),
                )
            if due:
                _leave(trainer, out)
    if trainer.taken % every != 0:
        _leave(trainer, out)


@contextmanager
def _interrupts() -> Iterator[Event]:
    """Let the step be finished after Ctrl-C or a request to end, so that no half step is kept."""
    asked = Event()
    former = {
        number: signal.signal(number, lambda *_: asked.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield asked
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _read(losses: Mapping[str, Tensor], taken: int) -> str:
    """Return the losses in words; raise before a diverged network overwrites the checkpoint."""
    values = {name: value.item() for name, value in losses.items()}
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if bad:
        raise RunError(
            f"{', '.join(bad)} is not finite after {taken} steps; try a lower --rate or a "
            "higher --gamma from the last checkpoint"
        )
    return "  ".join(f"{name} {value:.3g}" for name, value in values.items())


def _leave(trainer: Trainer, out: Path) -> None:
    save_checkpoint(trainer, out / "checkpoint.pt")
    for truncation in (0.7, 1.0):
        sheet = out / f"samples-{trainer.taken:07d}-{truncation}.png"
        write_samples(trainer.average, sheet, count=32, truncation=truncation)


if __name__ == "__main__":
    typer.run(main)
