"""Train a generator of rendered faces whose every factor is known: supervised, growing, finished.

    python FACES/render_faces.py --out renders --count 40000 --size 128
    python examples/train_faces.py --assets FACES --renders renders --out run --bf16

Each factor of a render has coordinates of z (`training/factors.py`), so that G(z) has a known
target. While the generator grows, w is an embedding of the factors (`training/embedding.py`).
Then the mapping network learns to reproduce that embedding. In the end, all of it is trained
together, with a critic of classifier features beside the comparison with the renders
(`training/critic.py`).

Ctrl-C is safe: the same command continues. `train_generator.py --init` can train
`run/generator.safetensors` further.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from training.adversarial import fresh_networks
from training.critic import FeatureCritic
from training.data import find_images, read_images
from training.embedding import FactorEmbedding, fit_mapping, fold_offset, importance_of
from training.face_factors import load_renderer
from training.faces import FaceTrainer, Stage
from training.run_files import export_generator, read_state, write_samples, write_state
from training.supervision import FaceCodes, grow, start_quietly
from training.synthesis import default_channels

from invprob.errors import ArgumentError, InvprobError
from invprob.perceptual.distance import PerceptualDistance, find_perceptual
from invprob.priors.stylegan.generator import Generator, GeneratorConfig

console = Console()
WIDTH = 256
MAPPING_LAYERS = 6
PLAN = "32:3000:8,64:2500:8,128:3500:8,finish:1400:8"


def main(
    assets: Annotated[Path, typer.Option(help="Folder that holds render_faces.py.")],
    *,
    renders: Annotated[
        Path | None,
        typer.Option(help="Folder of its renders, from number 0 on, made with --render-seed."),
    ] = None,
    render_seed: Annotated[int, typer.Option(help="Seed with which they were rendered.")] = 0,
    labelled: Annotated[
        int, typer.Option(help="How many renders to use; their factors are replayed.")
    ] = 40_000,
    held_out: Annotated[
        int, typer.Option(help="How many of these, the last ones, are never trained on.")
    ] = 10_000,
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("faces-run"),
    plan: Annotated[
        str,
        typer.Option(help="Stages as SIZE:STEPS:BATCH with rising sizes, then finish:STEPS:BATCH."),
    ] = PLAN,
    rate: Annotated[
        float, typer.Option(help="Learning rate of Adam; the finish takes a third of it.")
    ] = 1e-2,
    deceiving: Annotated[float, typer.Option(help="Weight of the critic in the finish.")] = 0.05,
    mapping_steps: Annotated[
        int, typer.Option(help="Steps in which the mapping network z -> w is fitted.")
    ] = 8_000,
    perceptual: Annotated[str, typer.Option(help="squeeze, alex, vgg, auto or none.")] = "auto",
    weights: Annotated[Path | None, typer.Option(help="Weights of that network.")] = None,
    bf16: Annotated[bool, typer.Option(help="Compute convolutions in bfloat16.")] = False,
    half: Annotated[bool, typer.Option(help="Write the generator in half precision.")] = False,
    every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 500,
    threads: Annotated[int, typer.Option(help="CPU threads; 0: all.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of every random draw.")] = 0,
    smoke: Annotated[bool, typer.Option(help="A few renders, a tiny network, few steps.")] = False,
) -> None:
    """Train on the CPU, stage by stage; each stage writes a generator and sheets of its samples."""
    channels, draws = default_channels(128), 100_000
    if smoke:
        plan, channels, draws = "32:4:4,64:2:4,finish:2:4", (16, 16, 12, 8, 8, 8), 2_000
        labelled, held_out, mapping_steps = 48, 8, 10
    if threads:
        torch.set_num_threads(threads)
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not (assets / "render_faces.py").is_file():
            raise ArgumentError(f"--assets must hold render_faces.py; {assets} does not")
        renderer = load_renderer(assets)
        network = find_perceptual("none" if smoke else perceptual, weights)
        if not isinstance(network, PerceptualDistance):
            console.print(f"no perceptual loss and no critic: {network}", highlight=False)
            deceiving = 0.0
        stages = parse_plan(plan, rate, deceiving)
        codes = FaceCodes(renderer, render_seed, range(labelled), WIDTH)
        size = max(stage.size for stage in stages)
        images = _images(renderer, renders, render_seed, size, labelled - held_out, smoke=smoke)
        run = Run(
            out,
            codes,
            images,
            network if isinstance(network, PerceptualDistance) else None,
            channels=channels,
            seed=seed,
            dtype=torch.bfloat16 if bf16 else torch.float32,
            every=every,
        )
        generator = run.train(stages, mapping_steps)
        dtype = torch.float16 if half else torch.float32
        export_generator(generator, out, seed=seed, draws=draws, dtype=dtype)
        for truncation in (0.7, 1.0):
            sheet = out / f"samples-{truncation}.png"
            write_samples(generator, sheet, count=64, truncation=truncation)
    except InvprobError as error:
        console.print(f"[red]error[/red] {error}", highlight=False)
        raise typer.Exit(2) from None
    console.print(f"{out / 'generator.safetensors'}: {generator.resolution} px")


class Run:
    """All stages of one training in one folder."""

    def __init__(
        self,
        folder: Path,
        codes: FaceCodes,
        images: Tensor,
        network: PerceptualDistance | None,
        *,
        channels: tuple[int, ...],
        seed: int,
        dtype: torch.dtype,
        every: int,
    ) -> None:
        self.folder = folder
        self.codes = codes
        self.images = images
        self.network = network
        self.channels = channels
        self.seed = seed
        self.dtype = dtype
        self.every = every

    def train(self, stages: list[Stage], mapping_steps: int) -> Generator:
        """Go through the stages, from the checkpoint on if there is one; return the average."""
        first = stages[0].size
        config = GeneratorConfig(
            first, self.channels[: first.bit_length() - 2], WIDTH, MAPPING_LAYERS
        )
        generator, _ = fresh_networks(config, self.seed)
        start_quietly(generator)
        importance = importance_of(self.codes.features[: len(self.images)], self.images)
        embedding = FactorEmbedding(importance, WIDTH, self.seed)
        path = self.folder / "checkpoint.pt"
        state = read_state(path) if path.exists() else None
        names = [stage.name for stage in stages]
        if state is not None and state["stage"]["name"] not in names:
            raise ArgumentError(f"{path} is of a stage {state['stage']['name']!r} not in {names}")
        at = 0 if state is None else names.index(state["stage"]["name"])
        for index, stage in enumerate(stages):
            if stage.size != generator.resolution:
                generator = grow(generator, stage.size, self.channels, self.seed)
            if index < at:
                continue
            resumed = state if index == at else None
            if stage.mapped and not stages[index - 1].mapped and resumed is None:
                missed = fit_mapping(generator, embedding, self._pairs, steps=mapping_steps)
                console.print(f"mapping: {missed:.1%} of the variance of w unexplained")
            trainer = self._trainer(stage, generator, embedding)
            if resumed is not None:
                trainer.restore(resumed)
            self._advance(trainer, path)
            generator, embedding = trainer.average, trainer.average_embedding
        return fold_offset(generator, embedding)

    def _trainer(
        self, stage: Stage, generator: Generator, embedding: FactorEmbedding
    ) -> FaceTrainer:
        critic = None
        if stage.deceiving > 0 and self.network is not None:
            critic = FeatureCritic(self._channels_seen(), 64, self.seed)
        return FaceTrainer(
            stage,
            generator,
            embedding,
            critic,
            self.codes,
            self.network,
            seed=self.seed,
            dtype=self.dtype,
        )

    def _channels_seen(self) -> list[int]:
        assert self.network is not None
        return [root.shape[1] for root in self.network.roots]

    def _advance(self, trainer: FaceTrainer, path: Path) -> None:
        stage = trainer.stage
        columns = (TextColumn("{task.description} {task.completed}/{task.total}"),)
        with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
            task = progress.add_task(stage.name, total=stage.steps, completed=trainer.taken)
            sums: dict[str, float] = {}
            while trainer.taken < stage.steps:
                for name, value in trainer.step(self.images).items():
                    sums[name] = sums.get(name, 0.0) + value.item()
                progress.update(task, completed=trainer.taken)
                if trainer.taken % self.every == 0 or trainer.taken == stage.steps:
                    write_state(trainer.state(), path)
                    count = (trainer.taken - 1) % self.every + 1
                    means = "  ".join(f"{name} {sums[name] / count:.4f}" for name in sums)
                    progress.console.print(f"{stage.name} {trainer.taken}: {means}")
                    sums = {}

    def _pairs(self, count: int) -> tuple[Tensor, Tensor]:
        self._drawn = getattr(self, "_drawn", 0) + 1
        return self.codes.pairs(count, np.random.default_rng([self.seed, self._drawn]))


def parse_plan(plan: str, rate: float, deceiving: float) -> list[Stage]:
    """Read a plan such as 32:6000:8,64:8000:8,finish:2000:12; raises `ArgumentError`."""
    stages: list[Stage] = []
    for part in plan.split(","):
        name, *numbers = part.split(":")
        if len(numbers) != 2 or not all(n.isdigit() and int(n) > 0 for n in numbers):
            raise ArgumentError(f"--plan takes stages SIZE:STEPS:BATCH, not {part!r}")
        steps, batch = (int(n) for n in numbers)
        if name == "finish" and stages:
            size = stages[-1].size
            finish = Stage(
                "finish", size, steps, batch, rate / 3, last=0.02, deceiving=deceiving, mapped=True
            )
            stages.append(finish)
        elif name in ("32", "64", "128") and (not stages or stages[-1].size < int(name)):
            stages.append(Stage(f"{name} px", int(name), steps, batch, rate))
        else:
            raise ArgumentError(f"--plan: {name!r} must be a rising size of 32, 64, 128, or finish")
    return stages


def _images(
    renderer: Any, folder: Path | None, seed: int, size: int, count: int, *, smoke: bool
) -> Tensor:
    """Return (at most `count`, 3, size, size) uint8; image i shows face i of the series."""
    if folder is not None:
        paths = find_images(folder)[:count]
        if [path.stem for path in paths] != [f"{index:06d}" for index in range(len(paths))]:
            raise ArgumentError(f"{folder} must hold the renders 000000, 000001, ... without a gap")
        return read_images(paths, size)
    if not smoke:
        raise ArgumentError("--renders is missing; render_faces.py makes them, --smoke its own few")
    loaded = renderer.Assets(size)
    faces = [renderer.face(loaded, seed, index, size, 1)[1] for index in range(count)]
    return torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2).contiguous()


if __name__ == "__main__":
    typer.run(main)
