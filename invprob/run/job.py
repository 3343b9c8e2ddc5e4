"""A job: what a run's settings and files have become, ready to be solved and scored.

`build_job` is the one place where that happens, for a new run and for one that is resumed.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from invprob.errors import ArgumentError, FileError, PullError, ShapeError
from invprob.formats.opened import SUFFIXES as ARRAYS
from invprob.measurements import Measurements
from invprob.methods import Recipe, needs_generator
from invprob.operators.base import Operator
from invprob.perceptual.distance import Absent, PerceptualDistance, find_perceptual
from invprob.priors.generator_files import find_generator
from invprob.priors.stylegan.generator import Generator
from invprob.registry import build
from invprob.run import environment
from invprob.run.build import build_device, build_recipe, load_plugins, make_generator, resolve
from invprob.run.captions import measured_by, restored_by
from invprob.run.config import RunConfig
from invprob.run.derived import Derived
from invprob.run.folder import RunFolder
from invprob.run.inputs import SUFFIXES, distinct, load_truth, measure_inputs
from invprob.run.measured import load_measured
from invprob.run.paste import check_paste
from invprob.run.score import Grading
from invprob.run.unlike import unlike_notes
from invprob.run.watch import Display, Fidelity
from invprob.solver.solution import Solution
from invprob.solver.task import Task
from invprob.types import Images


@dataclass(frozen=True)
class Job:
    """Everything that solving and scoring needs; `truth` is None where it is not known.

    `remarks` say how pictures were fitted, and what is odd about their values.
    """

    config: RunConfig
    device: torch.device
    generator: Generator
    network: PerceptualDistance | Absent
    measurements: Measurements
    operator: Operator
    recipe: Recipe
    truth: Images | None
    remarks: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many images there are."""
        return len(self.measurements.values)

    @property
    def names(self) -> tuple[str, ...]:
        """What each image is called."""
        return image_names(self.measurements, self.config)

    @property
    def name(self) -> str:
        """NAME-OPERATOR-METHOD, for a folder."""
        what = self.names[0] if len(self.names) == 1 else f"{len(self.names)}-images"
        return "-".join((what, *self.operator.names(), self.config.method.name))

    @property
    def grading(self) -> Grading:
        """Which images are scored as grey ones."""
        return Grading.of(self.measurements)

    def plain_task(self, images: range) -> Task:
        """What to solve for some of the images, without the rule that may stop it."""
        rows = slice(images.start, images.stop)
        return self.recipe.task(
            self.measurements.for_images(rows, self.operator),
            self.operator.for_images(rows),
            steps=self.config.steps,
            seed=self.config.seed,
            restarts=self.config.restarts,
        )

    def task(self, images: range) -> Task:
        """What to solve for some of the images.

        Raises:
            UnknownNameError: the configured rule is not known.
            ArgumentError: an option of the rule makes no sense.
        """
        task, stop = self.plain_task(images), self.config.stop
        if stop is None:
            return task
        ruled: Task = build("stop", stop.name, {"task": task, **stop.settings})
        return ruled

    def fidelity(self, images: range) -> Fidelity | None:
        """The PSNR of some of the images, for displays."""
        if self.truth is None:
            return None
        rows = slice(images.start, images.stop)
        grading = replace(self.grading, grey=self.grading.grey[rows])
        return grading.fidelity(self.truth[rows].to(self.device))

    def caption(self, solution: Solution, seconds: float) -> str:
        """How the image was measured and restored, in one line."""
        measured = measured_by(self.measurements, self.operator)
        return f"{measured} · {restored_by(self.config.method.name, solution.steps, seconds)}"

    def messages(self) -> list[str]:
        """What a user should know before the first step, a line each."""
        config, lines = self.config, list(self.remarks)
        if refusal := Derived(config, self.measurements, self.operator).refusal:
            lines.append(refusal)
        if isinstance(self.network, Absent) and config.perceptual == "auto":
            lines.append(f"LPIPS is left out: {self.network}; to do without: --perceptual none")
        if not needs_generator(config.method.name):
            role = (
                "is used only for the size of the images"
                if config.measurements is None
                else "is not used"
            )
            lines.append(f"{config.method.name} has no generator: {config.prior} {role}")
        else:
            lines += self.generator.notes
            lines += unlike_notes(
                self.measurements, self.operator, self.generator, self.names, self.recipe
            )
        lines += self.recipe.choices.sentences()
        lines += self.measurements.units.notes()
        lines += self.recipe.notes
        return lines

    def environment(self) -> dict[str, Any]:
        """What the result depends on beside the settings, as JSON, and all notes."""
        about = environment.describe(self.device, self.generator, self.operator, self.network)
        used = needs_generator(self.config.method.name)
        return {**about, "generator_used": used, "notes": [*self.remarks, *self.recipe.notes]}


def image_names(measurements: Measurements, config: RunConfig) -> tuple[str, ...]:
    """What each image of a run is called: as its measurements record it, else as their file."""
    count, known = len(measurements.values), measurements.record.get("names")
    if isinstance(known, list) and len(known) == count:
        return distinct([str(name) for name in known])
    return distinct([Path(config.measurements or "image").stem] * count)


def build_job(config: RunConfig, display: Display, began: RunFolder | None = None) -> Job:
    """Build what the settings of a run name, and measure its images.

    Args:
        config: the settings.
        display: is told what differs from when the run began.
        began: the folder of a run to resume. What it recorded is taken from it: device, perceptual
            network and measurements. None: a new run.

    Returns:
        The job; in its settings every option that was left to its default is written out.

    Raises:
        InvprobError: something that the settings name does not exist or does not fit, or is not
            what the run began with.
    """
    load_plugins(config)
    config = _with_generator_at_hand(config, display)
    record = None if began is None else began.environment()
    if record is None:
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        device = build_device(config.device)
        generator = make_generator(config)
        network = find_perceptual(config.perceptual, config.lpips_weights)
    else:
        torch.set_num_threads(int(record["threads"]))
        device = environment.recorded_device(record)
        network = environment.recorded_network(config, record)
        generator = make_generator(config)
        environment.check_generator(generator, record)
        if changes := environment.changed_versions(record):
            display.message(f"versions changed, so the last digits may differ: {changes}")
    measurements = None if began is None else began.measurements()
    if measurements is None:
        measurements, truth, remarks = _measured(config, generator)
    else:
        truth, remarks = _truth(config, generator, display), ()
    operator = measurements.operator()
    check_paste(config, operator)
    noise, unknown = measurements.noise(), measurements.units.unknown
    recipe = build_recipe(config, generator, operator, network, noise=noise, unknown=unknown)
    resolved = resolve(config, recipe)
    return Job(resolved, device, generator, network, measurements, operator, recipe, truth, remarks)


def _with_generator_at_hand(config: RunConfig, display: Display) -> RunConfig:
    """The settings with the default generator, where a download would be for nothing.

    A method without a generator takes from it how large images are, and no more.
    """
    if needs_generator(config.method.name):
        return config
    try:
        find_generator(config.prior)
    except PullError:
        method = config.method.name
        display.message(f"{config.prior} is not on this machine, and {method} does without it")
        return replace(config, prior=RunConfig.prior, resolution=None, label=None)
    return config


def _measured(
    config: RunConfig, generator: Generator
) -> tuple[Measurements, Images | None, tuple[str, ...]]:
    """Measure the configured images, or load what was measured, which knows no truth."""
    if config.measured:
        asked = generator.resolution if needs_generator(config.method.name) else None
        measurements, notes = load_measured(config, generator.resolution, asked)
        return measurements, None, notes
    if config.measurements is None:
        measurements, inputs = measure_inputs(config, generator.resolution)
        notes = inputs.notes
        if config.images:  # not of samples: nobody takes those for measurements of their own
            notes = (f"{notes[0]}; if it is measured already: --measured FILE", *notes[1:])
        return measurements, inputs.images, notes
    if Path(config.measurements).suffix.lower() in (*SUFFIXES, *ARRAYS):
        raise ArgumentError(
            f"--measurements {config.measurements} is no file that `invprob measure` wrote; name "
            "the operator that made it, and write --measured FILE"
        )
    measurements = Measurements.load(config.measurements)
    if needs_generator(config.method.name) and measurements.image_shape != generator.image_shape:
        raise ShapeError(
            f"the measurements {config.measurements} are of images of shape "
            f"{measurements.image_shape}, but the generator {generator.source!r} draws "
            f"{generator.image_shape}; measure with --size {generator.resolution}, or name another "
            "--prior"
        )
    return measurements, None, ()


def _truth(config: RunConfig, generator: Generator, display: Display) -> Images | None:
    """The truth of measurements that were made before, if it is known and still there."""
    if not config.simulated:
        return None
    try:
        return load_truth(config, generator.resolution).images
    except FileError as error:
        display.message(f"there will be no scores against the truth: {error}")
        return None
