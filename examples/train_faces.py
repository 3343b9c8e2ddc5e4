"""Train a generator of rendered faces whose every factor is known: supervised, growing.

    python FACES/render_faces.py --out renders --count 32000 --size 128
    python examples/train_faces.py --assets FACES --renders renders --out run --bf16

Each factor of a render has coordinates of z (`training/factors.py`), so that G(z) has a known
target. Pixels, their differences and LPIPS are compared while the generator grows, and a linear
head keeps the factors readable from w. `run/generator.safetensors` can then be sharpened by
`train_generator.py --init`.
"""

import copy
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
import typer
from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task, TextColumn
from rich.text import Text
from torch import Tensor, nn
from training.adversarial import fresh_networks
from training.data import find_images, read_images
from training.equalised import adam
from training.face_factors import load_renderer
from training.run_files import export_generator, write_samples
from training.supervision import (
    FaceCodes,
    Likeness,
    fixed_noise_strengths,
    fresh_head,
    grow,
)
from training.synthesis import default_channels, fresh_noise, synthesise, weights_of

from invprob.errors import ArgumentError, InvprobError
from invprob.perceptual import PerceptualDistance, find_perceptual
from invprob.priors.stylegan2 import Generator, GeneratorConfig
from invprob.streams import derive, stream

console = Console()


def main(
    assets: Annotated[Path, typer.Option(help="Folder that holds render_faces.py.")],
    *,
    renders: Annotated[
        Path | None, typer.Option(help="Its images from 0 on, as rendered with --render-seed.")
    ] = None,
    render_seed: Annotated[int, typer.Option(help="The seed they were rendered with.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("faces-run"),
    stages: Annotated[
        str, typer.Option(help="Sizes, each with its steps.")
    ] = "32:8000,64:10000,128:10000",
    width: Annotated[int, typer.Option(help="Width of z and w.")] = 256,
    mapping_layers: Annotated[int, typer.Option(help="Layers of z -> w.")] = 4,
    batch: Annotated[int, typer.Option(min=1, help="Images a step.")] = 12,
    rate: Annotated[float, typer.Option(help="Learning rate, lowered in each second half.")] = 3e-3,
    head_weight: Annotated[float, typer.Option(help="Weight of the factors read from w.")] = 0.1,
    perceptual: Annotated[str, typer.Option(help="squeeze, alex, vgg, auto or none.")] = "auto",
    weights: Annotated[Path | None, typer.Option(help="Weight file of that network.")] = None,
    bf16: Annotated[bool, typer.Option(help="Convolutions in bfloat16.")] = False,
    half: Annotated[bool, typer.Option(help="Export in half precision.")] = False,
    seed: Annotated[int, typer.Option(help="Determines every draw of the training.")] = 0,
    smoke: Annotated[bool, typer.Option(help="A few renders, a tiny network, few steps.")] = False,
) -> None:
    """Train on the CPU, stage by stage; each stage leaves a generator and its sheets."""
    channels, draws = default_channels(128), 100_000
    if smoke:
        stages, batch, channels, draws = "32:4,64:2", 4, (16, 16, 12, 8, 8, 8), 2_000
    try:
        plan = _plan(stages)
        out.mkdir(parents=True, exist_ok=True)
        if not (assets / "render_faces.py").is_file():
            raise ArgumentError(f"--assets must hold render_faces.py; {assets} does not")
        renderer = load_renderer(assets)
        images = _images(renderer, renders, render_seed, max(size for size, _ in plan), smoke=smoke)
        codes = FaceCodes(renderer, render_seed, range(len(images)), width)
        network = find_perceptual("none" if smoke else perceptual, weights)
        likeness = Likeness(network if isinstance(network, PerceptualDistance) else None)
        first = plan[0][0]
        config = GeneratorConfig(
            first, tuple(channels[: first.bit_length() - 2]), width, mapping_layers
        )
        generator, _ = fresh_networks(config, seed)
        fixed_noise_strengths(generator)
        head = fresh_head(width, codes.targets.shape[1], seed)
        for size, steps in plan:
            if size != generator.resolution:
                generator = grow(generator, size, channels, seed)
            stage = Stage(generator, head, codes, likeness, seed=seed, head_weight=head_weight)
            generator = stage.train(
                images, steps=steps, batch=batch, rate=rate, dtype=_dtype(bf16=bf16)
            )
            dtype = torch.float16 if half else torch.float32
            export_generator(generator, out, seed=seed, draws=draws, dtype=dtype)
            for truncation in (0.7, 1.0):
                sheet = out / f"samples-{size}-{truncation}.png"
                write_samples(generator, sheet, count=32, truncation=truncation)
    except InvprobError as error:
        console.print(f"[red]error[/red] {error}", highlight=False)
        raise typer.Exit(2) from None
    console.print(f"{out / 'generator.safetensors'}: {generator.resolution} px")


class Stage:
    """Training at one size."""

    def __init__(
        self,
        generator: Generator,
        head: nn.Linear,
        codes: FaceCodes,
        likeness: Likeness,
        *,
        seed: int,
        head_weight: float,
    ) -> None:
        self.generator = generator
        self.head = head
        self.codes = codes
        self.likeness = likeness
        self.head_weight = head_weight
        self.name = f"faces {generator.resolution} px"
        self.seed = seed

    def train(
        self, images: Tensor, *, steps: int, batch: int, rate: float, dtype: torch.dtype
    ) -> Generator:
        """Return the average of the generator over its last steps."""
        generator = self.generator.requires_grad_(True)
        fixed_noise_strengths(generator)
        average = copy.deepcopy(generator).requires_grad_(False)
        optimiser = adam(generator, 1.0, betas=(0.9, 0.99), mapping_rate=0.3)
        optimiser.add_param_group({"params": list(self.head.parameters()), "lr": 0.3 / 16})
        scales = [float(group["lr"]) for group in optimiser.param_groups]
        smaller = images.shape[3] // generator.resolution
        columns = (TextColumn("{task.description} {task.completed}/{task.total}"),)
        with Progress(*columns, SpeedColumn(batch), console=console) as progress:
            task = progress.add_task(self.name, total=steps)
            for step in range(steps):
                now = rate * _course(step / steps)
                for group, scale in zip(optimiser.param_groups, scales, strict=True):
                    group["lr"] = now * scale
                rows = self._rows(len(images), batch, step)
                real = F.avg_pool2d(images[rows].float() / 127.5 - 1, smaller)
                loss = self._loss(real, rows, step, dtype)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                keep = min(0.998, 1 - 10 / (10 + step))
                with torch.no_grad():
                    for mean, value in zip(
                        average.parameters(), generator.parameters(), strict=True
                    ):
                        mean.lerp_(value, 1 - keep)
                if step % 20 == 0:
                    progress.update(task, description=f"{self.name}  loss {loss.item():.4f}")
                progress.advance(task)
        return average

    def _rows(self, count: int, batch: int, step: int) -> Tensor:
        return torch.randint(count, (batch,), generator=stream(self.seed, self.name, step))

    def _loss(self, real: Tensor, rows: Tensor, step: int, dtype: torch.dtype) -> Tensor:
        generator = self.generator
        draws = np.random.default_rng(derive(self.seed, self.name + " codes", step))
        w = generator.mapping(self.codes.draw(rows.numpy(), draws))
        styles = w.to(dtype)[:, None].expand(-1, generator.num_layers, -1)
        rng = stream(self.seed, self.name + " noise", step)
        noise = fresh_noise(generator, len(rows), rng, styles)
        drawn = synthesise(generator, weights_of(generator, dtype), styles, noise).float()
        missed: Tensor = (self.head(w) - self.codes.targets[rows]).square().mean()
        likeness: Tensor = self.likeness(drawn, real)
        loss: Tensor = likeness + self.head_weight * missed
        return loss


class SpeedColumn(ProgressColumn):
    """Images a second."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch = batch

    def render(self, task: Task) -> Text:
        return Text(f"{(task.speed or 0.0) * self.batch:.1f} images/s")


def _course(done: float) -> float:
    """Rise over the first 2 %, stay, and fall to a quarter over the second half."""
    return min(1.0, 0.05 + done / 0.02) * min(1.0, 1 - 1.5 * (done - 0.5))


def _dtype(*, bf16: bool) -> torch.dtype:
    return torch.bfloat16 if bf16 else torch.float32


def _plan(stages: str) -> list[tuple[int, int]]:
    try:
        pairs = [part.split(":") for part in stages.split(",")]
        plan = [(int(size), int(steps)) for size, steps in pairs]
    except ValueError:
        raise ArgumentError(
            f"--stages takes pairs such as 32:8000,64:10000, not {stages!r}"
        ) from None
    sizes = [size for size, _ in plan]
    if sizes != sorted(set(sizes)) or not set(sizes) <= {32, 64, 128}:
        raise ArgumentError(f"--stages takes rising sizes of 32, 64 and 128 px, not {stages!r}")
    return plan


def _images(renderer: Any, folder: Path | None, seed: int, size: int, *, smoke: bool) -> Tensor:
    """(count, 3, size, size) uint8; image i shows face i of the renderer's series."""
    if folder is not None:
        paths = find_images(folder)
        if [path.stem for path in paths] != [f"{index:06d}" for index in range(len(paths))]:
            raise ArgumentError(f"{folder} must hold the renders 000000, 000001, ... without a gap")
        return read_images(paths, size)
    if not smoke:
        raise ArgumentError("--renders is missing; render_faces.py makes them, --smoke its own few")
    loaded = renderer.Assets(size)
    faces = [renderer.face(loaded, seed, index, size, 1)[1] for index in range(48)]
    return torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2).contiguous()


if __name__ == "__main__":
    typer.run(main)
