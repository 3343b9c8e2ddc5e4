"""A term of each picture of a series, and their mean: against one picture at a time."""

import pytest
import torch
from networks import random_generator
from random_trunks import loaded, random_state, saved
from torch import Tensor
from toys import Watch, assert_same

import invprob
from invprob.errors import ArgumentError
from invprob.losses import DataMisfit, MeanOfPictures, PerceptualTerm, Stochastic, Term
from invprob.operators import BoxMask, GaussianNoise, Identity, Operator, series
from invprob.priors import StyleGANPrior
from invprob.priors.traversal import Traversal
from invprob.solver.optimisers import Adam

SHAPE = (3, 64, 64)


def pictures(seed: int, batch: int = 2, shape: tuple[int, ...] = SHAPE) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(batch, 3, *shape, generator=rng) - 1


def apart(term: Term, part: Operator) -> Tensor:
    """The term of each picture by itself, (batch, pictures)."""
    drawn, true = pictures(1), pictures(2)
    columns = [
        term.bind(part(true[:, number]), part)(drawn[:, number], part(drawn[:, number]))
        for number in range(3)
    ]
    return torch.stack(columns, 1)


@pytest.mark.parametrize("part", [Identity(SHAPE), BoxMask(SHAPE)], ids=["identity", "box-mask"])
@pytest.mark.parametrize("kind", ["misfit", "perceptual"])
def test_it_is_the_mean_over_the_pictures(part: Operator, kind: str, tmp_path) -> None:
    weights = saved(random_state("squeeze"), tmp_path / "trunk.pth")
    term = DataMisfit() if kind == "misfit" else PerceptualTerm(loaded("squeeze", weights))
    whole, mean = series(part, 3), MeanOfPictures(term)
    drawn, true = whole.joined(pictures(1)), whole.joined(pictures(2))
    found = mean.bind(whole(true), whole)(drawn, whole(drawn))
    torch.testing.assert_close(found, apart(term, part).mean(1))
    assert (mean.name, mean.weight) == (term.name, term.weight)


def test_draws_go_on_bit_for_bit_from_a_snapshot() -> None:
    """What the terms of the pictures remember belongs to the snapshot."""
    shape = (3, 32, 32)
    whole = series(Identity(shape), 3)
    measured = invprob.measure(whole.joined(pictures(2, 1, shape)), whole)
    prior = Traversal(StyleGANPrior(random_generator()), 2)
    terms = [MeanOfPictures(Stochastic(DataMisfit(), GaussianNoise(sigma=0.3)))]

    def solved(**more) -> invprob.Solution:
        options = {"terms": terms, "optimiser": Adam(0.02), "steps": 5, "seed": 3}
        return invprob.solve(measured, whole, prior, **options, **more)

    watch = Watch()
    once = solved(callbacks=[watch])
    assert_same(solved(snapshot=watch.snapshots[3]), once)


def test_another_operator_is_refused() -> None:
    with pytest.raises(ArgumentError, match="needs an operator of a series"):
        MeanOfPictures(DataMisfit()).bind(torch.zeros(1, *SHAPE), Identity(SHAPE))
