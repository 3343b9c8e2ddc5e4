"""A run from its configuration to its pictures, and how it goes on after a break."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from invprob.callbacks import Callback, Snapshot
from invprob.errors import FileError, ShapeError
from invprob.fast.allocation import keep_freed_memory
from invprob.losses import is_image
from invprob.measurements import Measurements, measure
from invprob.methods import needs_generator
from invprob.operators.base import Operator
from invprob.operators.composition import compose
from invprob.operators.each import each
from invprob.perceptual.distance import Absent, PerceptualDistance, find_perceptual
from invprob.priors.generator_files import load_generator
from invprob.priors.stylegan.generator import Generator
from invprob.run import environment as surroundings
from invprob.run import folder as files
from invprob.run.build import (
    build_device,
    build_noise,
    build_operator,
    build_recipe,
    build_task,
    image_seeds,
    load_plugins,
    resolve,
)
from invprob.run.chunks import estimate, solve_in_chunks
from invprob.run.config import Named, RunConfig
from invprob.run.folder import Checkpoint, RunFolder, new_folder, open_folder
from invprob.run.inputs import Inputs, expand, load_inputs
from invprob.run.operator_file import rebuild
from invprob.run.precision import tensor_cores
from invprob.run.results import Draw, Finished, Job, conclude
from invprob.run.score import Grading, grading_record
from invprob.run.watch import Display, Recorder, Silent, TimeBudget, Watcher
from invprob.solver.loop import minimise
from invprob.solver.restarts import solve_restarts
from invprob.solver.solution import Solution
from invprob.solver.task import Task, allot
from invprob.streams import derive
from invprob.types import Images, Shape


def _generator(config: RunConfig) -> Generator:
    generator = load_generator(config.prior, resolution=config.resolution, label=config.label)
    generator.memory = "low" if config.memory == "low" else "normal"
    generator.precision = "bf16" if config.precision == "bf16" else "float32"
    return generator


def measure_inputs(config: RunConfig, size: int) -> tuple[Measurements, Inputs]:
    """Read the pictures of a configuration, fit them to `size` and measure them."""
    inputs = load_truth(config, size)
    shape = tuple(inputs.images.shape[1:])
    operator = make_operator(config, shape, images=len(inputs.images))
    noise = build_noise(config.noise)
    record = {
        "names": list(inputs.names),
        "fit": config.fit,
        **grading_record(inputs.grey, luminance=config.grey),
    }
    return measure(inputs.images, operator, noise, seed=config.seed, record=record), inputs


def load_truth(config: RunConfig, size: int) -> Inputs:
    """Read the pictures of a configuration, fit them to `size` and transform them as it says.

    Raises `ShapeError` where the transforms change an image's shape.
    """
    inputs = load_inputs(config.images, config.samples, size, config.fit)
    if not config.transforms:
        return inputs
    transform = make_transform(config, tuple(inputs.images.shape[1:]))
    images = transform(inputs.images).clamp(-1, 1)
    alike = (images == images[:, :1]).all(1).all(-1).all(-1).tolist()
    grey = tuple(was and now for was, now in zip(inputs.grey, alike, strict=True))
    return dataclasses.replace(inputs, images=images, grey=grey)


def make_transform(config: RunConfig, image_shape: Shape) -> Operator:
    """Build what pictures go through before they are the truth; raises as `load_truth` does."""
    seed = derive(config.seed, "transform")
    transform = build_operator(config.transforms or [Named("identity")], image_shape, seed=seed)
    if transform.measurement_shape != tuple(image_shape):
        raise ShapeError(
            f"the transforms make {transform.measurement_shape} of images of shape "
            f"{tuple(image_shape)}; a truth keeps its shape, so name what changes it among the "
            "operators"
        )
    return transform


def make_operator(config: RunConfig, image_shape: Shape, *, images: int = 1) -> Operator:
    """Build the chain of a configuration, after `luminance` where only grey is to be measured.

    Where it says so, there is one for each of the `images`, with its own random draws. Raises
    `ShapeError` where a saved operator reads images of another shape.
    """
    if config.spec is None:
        chain = (*config.operators, Named("luminance")) if config.grey else config.operators
        if config.per_image:
            return each(
                build_operator(chain, image_shape, seed=config.seed, operator_seed=own)
                for own in image_seeds(config.seed, config.operator_seed, images)
            )
        return build_operator(
            chain, image_shape, seed=config.seed, operator_seed=config.operator_seed
        )
    saved = rebuild(json.loads(config.spec), "the saved operator")
    grey = [build_operator([Named("luminance")], image_shape)] if config.grey else []
    operator = compose([saved, *grey])
    if operator.image_shape != tuple(image_shape):
        raise ShapeError(
            f"the saved operator reads images of shape {operator.image_shape}, but these are "
            f"{tuple(image_shape)}; save one for this shape, or take images (`measure --size`) or "
            "a generator (`solve --prior`) of the operator's"
        )
    return operator


def start(
    config: RunConfig,
    *,
    out: Path | None = None,
    overwrite: bool = False,
    display: Display | None = None,
    draw: Draw | None = None,
) -> Finished:
    """Run a configuration in a new folder, `out` or `runs/NAME-OPERATOR-METHOD-NNN`.

    Nothing is left behind by an error before the first step. `draw` writes the comparison picture.
    """
    load_plugins(config)
    config = _absolute(config)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    device = build_device(config.device)
    generator = _generator(config)
    network = find_perceptual(config.perceptual, config.lpips_weights)
    measurements, truth = _measurements(config, generator)
    operator = measurements.operator()
    noise = measurements.noise()
    recipe = build_recipe(config, generator, operator, network, noise=noise)
    build_task(config, recipe, measurements, operator)  # refused here, it leaves nothing behind
    job = Job(
        resolve(config, recipe), device, generator, network, measurements, operator, recipe, truth
    )
    display = display or Silent()
    with new_folder(out, job.name, overwrite=overwrite) as folder:
        job.config.save(folder.path / files.CONFIG)
        folder.write_json(files.ENVIRONMENT, _environment(job))
        folder.write_json(files.OPERATOR, operator.spec())
        measurements.save(folder.path / files.MEASUREMENTS)
        if isinstance(network, Absent) and config.perceptual == "auto":
            display.message(f"LPIPS is left out: {network}")
        if not needs_generator(config.method.name):
            role = (
                "only says how large images are" if config.measurements is None else "is not used"
            )
            display.message(f"{config.method.name} has no generator: {config.prior} {role}")
        for note in recipe.notes:
            display.message(note)
        unlike = (
            noise is not None
            and config.data_term != "stochastic"
            and is_image(operator.measurement_shape)
        )
        if isinstance(network, PerceptualDistance) and unlike:
            display.message("LPIPS only scores: as a loss it would ask for the noise as well")
        return _work(job, folder, None, display, draw)


def resume(path: Path, *, display: Display | None = None, draw: Draw | None = None) -> Finished:
    """Go on with a run from its last checkpoint; it ends bit for bit as if never interrupted.

    Where no checkpoint was reached the run starts anew; a finished run is left as it is.
    """
    display = display or Silent()
    with open_folder(path) as folder:
        folder.keep()
        config = folder.config()
        if folder.finished:
            scores = folder.read_json(files.SCORES)
            return Finished(path, scores, scores.get("images", {}), again=True)
        load_plugins(config)
        began = folder.path / files.ENVIRONMENT
        environment = folder.read_json(files.ENVIRONMENT) if began.exists() else None
        saved = folder.path / files.MEASUREMENTS
        checkpoint = folder.load_checkpoint() if environment and saved.exists() else None
        job = _resumed(config, environment, saved, display)
        if checkpoint is None:
            display.message("no checkpoint was reached: the run starts anew")
            folder.truncate_trace(0)
            folder.write_json(files.ENVIRONMENT, _environment(job))
            job.measurements.save(saved)
        else:
            stages = allot(job.recipe.stages, job.config.steps)
            steps = sum(stage.steps for stage in stages) * job.config.restarts
            display.message(f"going on after step {checkpoint.taken} of {steps}")
            folder.truncate_trace(checkpoint.lines)
        return _work(job, folder, checkpoint, display, draw)


def _measurements(config: RunConfig, generator: Generator) -> tuple[Measurements, Images | None]:
    """Measure the configured pictures, or load the configured file, which knows no truth."""
    if config.measurements is None:
        measurements, inputs = measure_inputs(config, generator.resolution)
        return measurements, inputs.images
    measurements = Measurements.load(config.measurements)
    if needs_generator(config.method.name) and measurements.image_shape != generator.image_shape:
        raise ShapeError(
            f"the measurements {config.measurements} are of images of shape "
            f"{measurements.image_shape}, but the generator {generator.source!r} draws "
            f"{generator.image_shape}; measure with --size {generator.resolution}, or name another "
            "--prior"
        )
    return measurements, None


def _resumed(
    config: RunConfig, environment: Mapping[str, Any] | None, saved: Path, display: Display
) -> Job:
    """Build a job again, as much like the first time as can be."""
    generator = _generator(config)
    if environment is None:
        device = build_device(config.device)
        network = find_perceptual(config.perceptual, config.lpips_weights)
    else:
        torch.set_num_threads(int(environment["threads"]))
        device = surroundings.recorded_device(environment)
        network = surroundings.recorded_network(config, environment)
        surroundings.check_generator(generator, environment)
        if changes := surroundings.changed_versions(environment):
            display.message(f"versions changed, so the last digits may differ: {changes}")
    if saved.exists():
        measurements = Measurements.load(saved)
        truth = _truth(config, generator, display)
    else:
        measurements, truth = _measurements(config, generator)
    operator = measurements.operator()
    noise = measurements.noise()
    recipe = build_recipe(config, generator, operator, network, noise=noise)
    return Job(config, device, generator, network, measurements, operator, recipe, truth)


def _environment(job: Job) -> dict[str, Any]:
    """The surroundings, whether the generator is used, and what the method says of itself."""
    about = surroundings.describe(job.device, job.generator, job.operator, job.network)
    used = needs_generator(job.config.method.name)
    return {**about, "generator_used": used, "notes": list(job.recipe.notes)}


def _truth(config: RunConfig, generator: Generator, display: Display) -> Images | None:
    if config.measurements is not None:
        return None
    try:
        return load_truth(config, generator.resolution).images
    except FileError as error:
        display.message(f"there will be no scores against the truth: {error}")
        return None


def _work(
    job: Job,
    folder: RunFolder,
    checkpoint: Checkpoint | None,
    display: Display,
    draw: Draw | None,
) -> Finished:
    """Solve, then write what there is to show; from the first step on the folder is kept."""
    display.folder(folder.path)
    grading = Grading.of(job.measurements)
    if isinstance(job.network, PerceptualDistance):
        job.network.to(job.device)
    total = len(job.measurements.values)
    seconds = 0.0 if checkpoint is None else checkpoint.seconds

    def some(images: range, snapshot: Snapshot | None, lines: int) -> Solution:
        nonlocal seconds
        rows = slice(images.start, images.stop)
        fidelity = None
        if job.truth is not None:
            graded = dataclasses.replace(grading, grey=grading.grey[rows])
            fidelity = graded.fidelity(job.truth[rows].to(job.device))
        if snapshot is not None:
            lines += int(snapshot["taken"])
        recorder = Recorder(folder, images, total, seconds=seconds, lines=lines)
        callbacks: list[Callback] = [recorder, Watcher(display, fidelity)]
        if job.config.seconds is not None:
            callbacks.append(TimeBudget(recorder, job.config.seconds))
        try:
            return _solve(job, rows, callbacks, snapshot)
        finally:
            seconds = recorder.seconds

    try:
        keep_freed_memory()
        size = total if checkpoint is not None else _size(job, display)
        with tensor_cores(job.config.precision):
            solution = solve_in_chunks(folder, total, size, some, checkpoint, display, job.device)
        solution.save(folder.path / files.SOLUTION)
        finished = conclude(job, folder, solution, seconds, grading, draw)
        folder.drop_progress()  # not before: what is interrupted here begins again from there
        return finished
    except FileError as error:
        if not folder.kept:
            raise
        raise FileError(f"{error}; then go on with: invprob resume {folder.path}") from error


def _solve(
    job: Job, rows: slice, callbacks: Sequence[Callback], snapshot: Snapshot | None
) -> Solution:
    """Solve some of the images."""
    chosen = job.measurements.for_images(rows, job.operator)
    task = build_task(job.config, job.recipe, chosen, job.operator.for_images(rows))
    return solve_restarts(task.to(job.device), callbacks=callbacks, snapshot=snapshot)


def _size(job: Job, display: Display) -> int:
    """How many images to solve at once: as configured, or what trial steps say."""
    total = len(job.measurements.values)
    if job.config.batch is not None or total == 1:
        return job.config.batch or 1

    def trial(count: int) -> None:
        chosen = job.measurements.for_images(slice(count), job.operator)
        stages = [dataclasses.replace(stage, steps=1) for stage in job.recipe.stages]
        task = Task(chosen, job.operator.for_images(slice(count)), stages).to(job.device)
        for number in range(len(stages)):
            minimise(task, number)

    found = estimate(trial, job.device)
    display.message(str(found))
    return found.batch(job.device)


def _absolute(config: RunConfig) -> RunConfig:
    """Make paths independent of the folder the program was started in."""

    def absolute(path: str | None) -> str | None:
        return None if path is None else str(Path(path).resolve())

    return dataclasses.replace(
        config,
        images=expand(config.images),
        measurements=absolute(config.measurements),
        lpips_weights=absolute(config.lpips_weights),
        prior=str(Path(config.prior).resolve()) if Path(config.prior).is_file() else config.prior,
        plugins=tuple(str(Path(path).resolve()) for path in config.plugins),
    )
