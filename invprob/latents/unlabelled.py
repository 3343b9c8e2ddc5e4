"""Directions that are found without labels: GANSpace's principal components, and SeFa's factors.

A strength of 1 is one standard deviation of W along the direction, so that the generator's own
draws seldom lie beyond 3. The sign is fixed by a rule: the largest entry is positive.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.errors import ArgumentError, PriorError
from invprob.latents.direction import StyleDirection
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.layers import SynthesisLayer
from invprob.priors.stylegan.statistics import Moments, draws_of_w
from invprob.streams import stream

UNIT = "one standard deviation of W along the direction"
DRAWS = 100_000  # of w
FLAT = 1e-6  # along such a share of the largest deviation, W counts as not varying


@checked
@undisturbed()
@torch.no_grad()
def principal_directions(
    generator: Generator,
    count: int = 10,
    rows: Sequence[int] | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[StyleDirection]:
    """The principal components of W, as GANSpace finds them (Härkönen et al., NeurIPS 2020).

    They are those of w itself, whereas `Statistics` has those of v = LReLU_5(w).

    Args:
        generator: the network.
        count: how many directions, those of the largest variance first.
        rows: the style rows that they move. None: all.
        draws: how many w are drawn.
        seed: what the draws are derived from.

    Returns:
        "pca-0" and so on. Their fact `share` is the share of the variance of W.

    Raises:
        ArgumentError: W varies along fewer directions, or there is no such row.
    """
    covariance = _covariance(generator, draws, seed)
    variances, vectors = _descending(covariance)
    _check_count(count, variances, "directions along which W varies")
    total = float(covariance.trace())
    return [
        _direction(
            f"pca-{number}",
            vectors[number],
            covariance,
            generator,
            rows,
            share=float(variances[number]) / total,
        )
        for number in range(count)
    ]


@checked
@undisturbed()
@torch.no_grad()
def factorised_directions(
    generator: Generator,
    count: int = 10,
    rows: Sequence[int] | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[StyleDirection]:
    """The closed-form factorisation of the weights, SeFa (Shen and Zhou, CVPR 2021).

    A are the affine weights that turn chosen style rows into scales, one below the other. The
    directions are the unit vectors n that change A n most: the eigenvectors of A^T A of the largest
    eigenvalues.
    As in the published code, each row of A is divided by its length, and of the ToRGB layers only
    that of the last style row takes part.

    Args:
        generator: the network.
        count: how many directions.
        rows: the style rows whose weights are factorised, and which the directions move. None: all.
        draws: how many w are drawn for the standard deviation along each direction.
        seed: what the draws are derived from.

    Returns:
        "sefa-0" and so on. Their fact `eigenvalue` is that of A^T A.

    Raises:
        ArgumentError: the weights have fewer factors, or there is no such row.
        PriorError: W does not vary along a direction.
    """
    weights = modulation_weights(generator, rows)
    values, vectors = _descending(weights.T @ weights)
    _check_count(count, values, "factors of the weights")
    covariance = _covariance(generator, draws, seed)
    return [
        _direction(
            f"sefa-{number}",
            vectors[number],
            covariance,
            generator,
            rows,
            eigenvalue=float(values[number]),
        )
        for number in range(count)
    ]


def modulation_weights(generator: Generator, rows: Sequence[int] | None) -> Tensor:
    """The matrix A of SeFa: affine weights of style rows, each divided by its length.

    Args:
        generator: the network.
        rows: numbers of style rows. None: all.

    Returns:
        (scales, width), float64.

    Raises:
        ArgumentError: there is no such row.
    """
    last = generator.num_layers - 1
    chosen = range(last + 1) if rows is None else rows
    wrong = [row for row in chosen if not 0 <= row <= last]
    if wrong or not chosen:
        raise ArgumentError(f"rows must be from 0 to {last}, at least one, not {list(chosen)}")
    weights = [
        module.affine.weight
        for row, module in generator.modulations()
        if row in chosen and (row == last or isinstance(module, SynthesisLayer))
    ]
    matrix = torch.cat([weight.detach().double().cpu() for weight in weights])
    lengths = matrix.square().sum(1, keepdim=True).sqrt()
    return matrix / lengths.clamp_min(torch.finfo(torch.float64).tiny)  # a row of zeros stays


def _covariance(generator: Generator, draws: int, seed: int) -> Tensor:
    """The covariance of w over draws, (width, width) in float64."""
    if draws < 2:
        raise ArgumentError(f"draws must be at least 2, not {draws}")
    moments = Moments()
    for w in draws_of_w(generator, stream(seed, "directions"), count=draws):
        moments.add(w.cpu().double())
    return moments.covariance()


def _descending(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues of a symmetric matrix, the largest first, and eigenvectors in rows."""
    values, columns = torch.linalg.eigh(matrix)
    vectors = columns.T.flip(0)
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return values.flip(0), vectors * largest.sign()


def _direction(
    name: str,
    vector: Tensor,
    covariance: Tensor,
    generator: Generator,
    rows: Sequence[int] | None,
    **facts: float,
) -> StyleDirection:
    """The direction of a unit vector, in some rows, one standard deviation of W long."""
    deviation = float((vector @ covariance @ vector).clamp_min(0).sqrt())
    if not deviation > FLAT * float(covariance.trace().sqrt()):
        raise PriorError(
            f"W of {generator.source!r} does not vary along {name}; ask for fewer directions"
        )
    step = (deviation * vector).expand(generator.num_layers, -1).clone()
    direction = StyleDirection(name, step, UNIT, {"deviation": deviation, **facts})
    return direction if rows is None else direction.within(rows)


def _check_count(count: int, variances: Tensor, what: str) -> None:
    most = int((variances > FLAT**2 * variances[0]).sum())
    if not 1 <= count <= most:
        raise ArgumentError(f"count must be from 1 to {most}, the number of {what}, not {count}")
