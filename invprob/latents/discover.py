"""Attribute discovery: the direction along which an image becomes its variants.

An image I and K variants of it are inverted together, with one w* and one direction D:

    min over w*, D, α:   L(G(w*), I) + Σ_k L(G(w* + α_k D / ||D||), I_k) + L_margin

This is appendix B of SPHInX (ICML 2022). The usual solver solves it: the pictures are a series
(`invprob.operators.series`), the prior of a series is a `Traversal`, and the loss L is the mean of
any terms over the pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.callbacks import Callback
from invprob.calls import checked
from invprob.errors import ArgumentError, ShapeError
from invprob.latents.direction import StyleDirection
from invprob.latents.latents import Latents
from invprob.losses import DataMisfit, MeanOfPictures, Term
from invprob.measurements import Measurements, measure
from invprob.metrics import psnr
from invprob.operators.base import Operator
from invprob.operators.identity import Identity
from invprob.operators.series import Series, series
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.priors.traversal import MARGIN, Traversal
from invprob.schedules import Schedule
from invprob.solver.loop import solve
from invprob.solver.optimisers import Adam, Optimiser
from invprob.solver.solution import Solution

DIRECTION_RATE, SCALE_RATE = 0.05, 0.2  # learning rates of Adam
UNIT = "1 in the scale α of the discovery, for each style row"


@checked
@dataclass(frozen=True, eq=False)
class Discovery:
    """What was found of some images, each with K variants.

    Args:
        latents: w* of each image, with the content, noise maps and weights that its variants share.
        directions: D / ||D|| of each image, which has a row of length one for each style row.
        scales: α_0 = 0 and the learned scales, (batch, K + 1).
        pictures: G(w* + α_k D / ||D||), (batch, K + 1, channel, height, width).
        solution: that of the solve, with the trace of its terms. Its images are series.
    """

    latents: Latents
    directions: Sequence[StyleDirection]
    scales: Tensor
    pictures: Tensor
    solution: Solution

    @undisturbed()
    def psnr(self, truth: Tensor) -> Tensor:
        """How near each picture is to the true one.

        Args:
            truth: the images and their variants, (batch, K + 1, channel, height, width).

        Returns:
            PSNR in dB, (batch, K + 1).

        Raises:
            ShapeError: the truth has another shape.
        """
        if truth.shape != self.pictures.shape:
            raise ShapeError(
                f"truth must be {tuple(self.pictures.shape)} as the pictures are, got "
                f"{tuple(truth.shape)}"
            )
        true = truth.to(self.pictures).flatten(0, 1)
        found: Tensor = psnr(self.pictures.flatten(0, 1), true)
        return found.view(truth.shape[:2])


@checked
@undisturbed()
def measured_series(
    pictures: Tensor, prior: StyleGANPrior, operator: Operator | None = None
) -> tuple[Measurements, Series]:
    """Measure an image and its variants, for `discover`.

    Args:
        pictures: the image and its variants in the order of their attribute, such as 0, 22.5 and 45
            degrees; (K + 1, channel, height, width) of one image, with a batch axis in front of
            several. Each image gets a direction of its own.
        prior: what will draw them; measurements and operator get its device and dtype.
        operator: what measures each picture. None: the pictures themselves are the measurements.

    Returns:
        The measurements of the series of pictures, and what measured it.

    Raises:
        ArgumentError: there are fewer than two pictures.
        ShapeError: the pictures are not of the size of the operator.
    """
    stack = pictures if pictures.ndim == 5 else pictures[None]
    if stack.ndim != 5 or stack.shape[1] < 2:
        raise ArgumentError(
            "pictures must be an image and at least one variant, (K + 1, channel, height, width), "
            f"got {tuple(pictures.shape)}"
        )
    part = Identity(tuple(stack.shape[2:])) if operator is None else operator
    stack = stack.to(prior.generator.mean_w)
    whole = series(part.to(stack.device), stack.shape[1])
    return measure(whole.joined(stack), whole), whole


@checked
@undisturbed()
def discover(
    measurements: Measurements,
    operator: Series,
    prior: StyleGANPrior,
    *,
    terms: Sequence[Term] | None = None,
    margin: float = MARGIN,
    margin_weight: float = 1.0,
    optimiser: Optimiser | None = None,
    schedule: Schedule | None = None,
    direction_rate: float | None = None,
    scale_rate: float | None = None,
    steps: int = 400,
    seed: int = 0,
    name: str = "discovered",
    callbacks: Sequence[Callback] = (),
) -> Discovery:
    """Find the direction along which an image becomes its variants.

    Args:
        measurements: of one series of pictures, or of several; see `measured_series`.
        operator: what measured them, on the device and of the dtype of the prior.
        prior: what draws the image: `Sphinx(generator)` with projection heads, or
            `StyleGANPrior(generator)`, which is W+.
        terms: what compares each picture with its measurement; the mean over the pictures counts.
            None: the data misfit.
        margin: τ, by how much the scales should grow from picture to picture.
        margin_weight: weight of the margin in the objective.
        optimiser: what moves w*. None: Adam.
        schedule: of the learning rates. None: that of `solve`.
        direction_rate: learning rate of D relative to that of w*. None: so that Adam moves it at
            0.05.
        scale_rate: the same of the scales. None: so that Adam moves them at 0.2.
        steps: how many steps to take.
        seed: what every random draw is derived from.
        name: what the direction is called.
        callbacks: observers of the solve.

    Returns:
        What was found.

    Raises:
        ArgumentError: there are fewer than two pictures, or a number is out of range.
        PriorError: the prior has no style rows.
        ShapeError: the pictures are not of the size of the prior.
    """
    if operator.pictures < 2:
        raise ArgumentError("a discovery needs an image and at least one variant, not one picture")
    moves = optimiser or Adam()
    rate = moves.learning_rate if isinstance(moves, Adam) else 1.0
    traversal = Traversal(
        prior,
        operator.pictures - 1,
        margin=margin,
        margin_weight=margin_weight,
        direction_rate=DIRECTION_RATE / rate if direction_rate is None else direction_rate,
        scale_rate=SCALE_RATE / rate if scale_rate is None else scale_rate,
    )
    solution = solve(
        measurements,
        operator,
        traversal,
        terms=[MeanOfPictures(term) for term in terms or [DataMisfit()]],
        optimiser=moves,
        schedule=schedule,
        steps=steps,
        seed=seed,
        callbacks=callbacks,
    )
    return _discovery(solution, traversal, operator, name)


def _discovery(solution: Solution, traversal: Traversal, operator: Series, name: str) -> Discovery:
    """Take a solution apart."""
    realised = dict(solution.realised)
    rows, scales = realised.pop("direction"), realised.pop("scales")
    shared = {key: value.expand(len(rows), *value.shape[1:]) for key, value in realised.items()}
    inputs = SynthesisInputs.from_tensors(shared)
    return Discovery(
        latents=Latents(traversal.latents.generator, inputs),
        directions=[StyleDirection(name, own, UNIT) for own in rows],
        scales=torch.nn.functional.pad(scales, (1, 0)),
        pictures=torch.stack(operator.split(solution.image), 1),
        solution=solution,
    )
