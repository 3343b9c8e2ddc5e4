"""Coarse to fine: the search begins with a generator that is cut to small images."""

from collections.abc import Sequence
from dataclasses import replace

from invprob.errors import ArgumentError
from invprob.priors.enlarged import Enlarged
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.priors.stylegan.shapes import SIZES
from invprob.schedules import cosine_trapezoid
from invprob.solver.task import Stage

# The schedule of a stage that goes on where another one ended: it needs no rise at the beginning.
GOING_ON = cosine_trapezoid(0.0, 0.5)


def coarse_to_fine(stages: Sequence[Stage], size: int) -> tuple[Stage, ...]:
    """Return stages whose first search begins at `size`, and doubles it up to the full size.

    At the smaller sizes the generator is cut (`Generator.truncate`), and its images are enlarged to
    the size that was measured. Each stage goes on with the variables that the one before it found;
    only the variables of the layers that are new start afresh. Each stage takes half of the steps
    of the search. From a quarter of the size on, all stages together take about as long as the
    search at the full size.

    Args:
        stages: the search, and perhaps stages that go on from its solution.
        size: size in pixels of the first images, a power of two from 8 and below the full size.

    Returns:
        One stage for each size, and the stages that go on.

    Raises:
        ArgumentError: the first stage does not search a generator, or the generator cannot be cut
            to `size`.
    """
    (stage, *others), prior = stages, stages[0].prior
    if not isinstance(prior, StyleGANPrior) or stage.steps == 0:
        raise ArgumentError(
            "coarse needs a method that searches a generator first, such as sphinx or w-plus; "
            "leave coarse out, or take such a method"
        )
    full = prior.generator.resolution
    sizes = [known for known in SIZES if size <= known < full]
    if size not in sizes:
        raise ArgumentError(
            f"coarse must be a power of two from 8 to {full // 2}, which is half the size of the "
            f"generator, not {size}"
        )
    steps = max(1, stage.steps // 2)
    first, *later = (Enlarged(cut(prior, known), prior.image_shape) for known in sizes)
    return (
        replace(stage, prior=first, steps=steps),
        *(
            replace(stage, prior=larger, steps=steps, schedule=GOING_ON, continues=True)
            for larger in (*later, prior)
        ),
        *others,
    )


def cut(prior: StyleGANPrior, size: int) -> StyleGANPrior:
    """Return a prior of the same parts whose generator has only its blocks up to `size` pixels."""
    return StyleGANPrior(
        prior.generator.truncate(size),
        style=prior.style,
        content=prior.content,
        noise=prior.noise,
        weights=prior.weights,
    )
