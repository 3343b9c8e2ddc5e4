"""A discovery from settings: pictures, their variants, generator, operator and method."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.latents.discover import Discovery, discover
from invprob.measurements import Measurements, measure
from invprob.methods import Recipe
from invprob.operators.series import Series, series
from invprob.perceptual.distance import Absent, PerceptualDistance, find_perceptual
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.run.build import build_device, build_noise, build_recipe, make_generator, make_operator
from invprob.run.config import Named, RunConfig
from invprob.run.fitted import fit_notes
from invprob.run.inputs import read_inputs
from invprob.run.variants import Varied, make_variants
from invprob.run.watch import Display, Watcher
from invprob.streams import derive

# The methods whose latents are moved. Heads learn from fresh draws, and so by Adam. Content and
# noise maps that are free fit each picture better, and the pictures between them worse.
METHODS = {
    "heads": Named("sphinx", {"optimiser": "adam", "content": "constant", "noise_maps": "stored"}),
    "w-plus": Named("w-plus", {"optimiser": "adam"}),
}


@dataclass(frozen=True, eq=False)
class DiscoveryJob:
    """Everything that a discovery needs.

    Args:
        config: the settings; their method has the latents that are moved.
        pictures: the image and its variants, (K + 1, channel, height, width).
        names: what they are called.
        measurements: of the series of pictures.
        operator: what measured it.
        recipe: what the method makes of one picture.
        network: the perceptual network, which may enter the loss.
        margin: τ.
        notes: what a user should know before the first step, a line each.
    """

    config: RunConfig
    pictures: Tensor
    names: Sequence[str]
    measurements: Measurements
    operator: Series
    recipe: Recipe
    network: PerceptualDistance | Absent
    margin: float
    notes: Sequence[str]

    def solve(self, display: Display) -> Discovery:
        """Discover the direction.

        Args:
            display: where to show how far it is.
        """
        stage, device = self.recipe.stages[0], build_device(self.config.device)
        prior = stage.prior
        assert isinstance(prior, StyleGANPrior)
        if isinstance(self.network, PerceptualDistance):
            self.network.to(device)
        operator = self.operator.to(device)
        try:
            return discover(
                self.measurements,
                operator,
                prior.to(device),
                terms=stage.terms,
                margin=self.margin,
                optimiser=stage.optimiser,
                schedule=stage.schedule,
                steps=stage.steps if self.config.steps is None else self.config.steps,
                seed=self.config.seed,
                name=f"{self.names[0]} to {self.names[-1]}",
                callbacks=[Watcher(display)],
            )
        finally:
            display.end()


def build_discovery(
    config: RunConfig, by: Varied | None, values: Sequence[float], margin: float
) -> DiscoveryJob:
    """Build what settings name, make the variants, and measure all pictures.

    Args:
        config: the settings, with the method whose latents are moved.
        by: what makes the variants of the one picture. None: the pictures are all given.
        values: of the operator, one for each picture; the first makes the image itself.
        margin: τ.

    Returns:
        The job.

    Raises:
        ArgumentError: there are too few or too many pictures or values, or τ is negative.
        InvprobError: something that the settings name does not exist or does not fit.
    """
    _check_counts(config, by, values)
    if not 0 <= margin < math.inf:
        raise ArgumentError(f"--tau must be a finite number of at least 0, not {margin}")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    build_device(config.device)
    generator = make_generator(config)
    network = find_perceptual(config.perceptual, config.lpips_weights)
    size = generator.resolution
    paths = [Path(path) for path in config.images]
    inputs = read_inputs(config, size)
    own = inputs.sizes[len(config.samples) :]
    notes = [*fit_notes(paths, own, size, config.fit), *inputs.notes]
    pictures, names = inputs.images, inputs.names
    if by is not None:
        seed = derive(config.seed, "variants")
        pictures = make_variants(inputs.images, by, values, seed=seed)
        names = tuple(f"{by.operator.name} {value:g}" for value in values)
    operator = make_operator(config, tuple(pictures.shape[1:]))
    whole = series(operator, len(pictures))
    noise = build_noise(config.noise)
    measurements = measure(whole.joined(pictures[None]), whole, noise, seed=config.seed)
    recipe = build_recipe(replace(config, coarse=size), generator, operator, network, noise=noise)
    if isinstance(network, Absent) and config.perceptual == "auto":
        notes.append(f"LPIPS is left out: {network}; to do without: --perceptual none")
    return DiscoveryJob(
        config,
        pictures,
        names,
        measurements,
        whole,
        recipe,
        network,
        margin,
        [*notes, *generator.notes, *recipe.notes],
    )


def _check_counts(config: RunConfig, by: Varied | None, values: Sequence[float]) -> None:
    """Raise `ArgumentError` unless there are an image and a variant of it."""
    count = len(config.images) + len(config.samples)
    if by is None and count < 2:
        raise ArgumentError(
            f"name the image and one variant of it or more, not {count} picture; or make them: "
            '--by rotate --values "0 22.5 45"'
        )
    if by is not None and count != 1:
        raise ArgumentError(f"--by makes the variants of one picture, and {count} were named")
    if by is not None and len(values) < 2:
        raise ArgumentError(
            f"--values must be two numbers or more, of the image and of its variants, not "
            f"{len(values)}"
        )
