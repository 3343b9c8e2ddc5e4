"""Coarse to fine: a method's search with the generator cut to small images first."""

from collections.abc import Sequence
from dataclasses import replace

from invprob.errors import ArgumentError
from invprob.priors.enlarged import Enlarged
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.priors.stylegan.shapes import SIZES
from invprob.schedules import cosine_trapezoid
from invprob.solver.task import Stage

GOING_ON = cosine_trapezoid(0.0, 0.5)  # of a stage that begins where another ended


def coarse_to_fine(stages: Sequence[Stage], size: int) -> tuple[Stage, ...]:
    """The same search at `size` pixels, at each doubling of it, and last at the full size.

    In each the generator is cut (`Generator.truncate`) and its images are enlarged to what is
    measured; the next goes on with the free variables found, those of its new layers fresh. Each
    takes half of the search's steps, which from a quarter of the size on is about its time. Raises
    `ArgumentError` for what is not one search of a generator, and for a size that the generator has
    not or that is not below its own.
    """
    (stage, *more), prior = stages, stages[0].prior
    if more or not isinstance(prior, StyleGANPrior) or stage.steps == 0:
        raise ArgumentError(
            "coarse goes with methods that search a generator in one stage, such as sphinx and "
            "w-plus; leave it out"
        )
    full = prior.generator.resolution
    sizes = [own for own in SIZES if size <= own < full]
    if size not in sizes:
        raise ArgumentError(
            f"coarse must be a power of two from 8 to {full // 2}, half the size of the generator, "
            f"not {size}"
        )
    steps = max(1, stage.steps // 2)
    searches = [Enlarged(cut(prior, own), prior.image_shape) for own in sizes]
    first = replace(stage, prior=searches[0], steps=steps)
    later = [
        replace(stage, prior=own, steps=steps, schedule=GOING_ON, continues=True)
        for own in (*searches[1:], prior)
    ]
    return (first, *later)


def cut(prior: StyleGANPrior, size: int) -> StyleGANPrior:
    """The same choice of style, content and noise with the generator's blocks up to `size`."""
    return StyleGANPrior(
        prior.generator.truncate(size), style=prior.style, content=prior.content, noise=prior.noise
    )
