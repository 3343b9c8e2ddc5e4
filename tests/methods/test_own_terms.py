"""Terms and a schedule of the user's, in the place that a method has for them."""

from typing import Any

import networks
import pytest
import torch
from torch import Tensor

import invprob
from invprob.errors import ArgumentError
from invprob.losses import BoundTerm, DataMisfit, Term
from invprob.operators import Identity, Operator, RandomMask
from invprob.schedules import constant

GENERATOR = networks.random_generator()
MASK = RandomMask((3, 32, 32), ratio=0.1, seed=1)
MEASUREMENTS = invprob.measure(torch.zeros(1, 3, 32, 32), MASK)


class Near(Term):
    """The squared distance to a grey level, which is enough to see that a term acts."""

    def __init__(self, level: float, weight: float = 1.0) -> None:
        super().__init__("near", weight)
        self.level = level

    def bind(self, target: Tensor, operator: Operator) -> BoundTerm:
        return lambda image, prediction: (image - self.level).square().mean((1, 2, 3))


def test_a_term_joins_the_loss_and_acts() -> None:
    """Free pixels without data to speak of go where the term wants them."""
    solution = invprob.restore(
        MEASUREMENTS,
        "tv-descent",
        steps=200,
        terms=[Near(0.5, weight=100.0)],
        options={"weight": 0.0, "begin": "zero"},
    )
    assert solution.trace["near"].shape == (200, 1)
    hidden = ~MASK.observed()[0]
    assert float((solution.image[0][hidden] - 0.5).abs().max()) < 0.05


def test_without_terms_nothing_changes() -> None:
    given: dict[str, Any] = {"generator": GENERATOR, "steps": 4}
    plain = invprob.restore(MEASUREMENTS, "w-plus", **given)
    same = invprob.restore(MEASUREMENTS, "w-plus", terms=[], **given)
    assert torch.equal(plain.image, same.image)


def test_the_usual_method_takes_terms_and_leaves_its_last_stage_out() -> None:
    given: dict[str, Any] = {"generator": GENERATOR, "steps": 6}
    solution = invprob.restore(MEASUREMENTS, terms=[Near(0.0)], **given)
    assert solution.prior_spec["type"] == "stylegan"
    assert invprob.restore(MEASUREMENTS, **given).prior_spec["type"] == "retouched"


def test_a_schedule_scales_the_learning_rate() -> None:
    """With a rate of 0 throughout, nothing moves."""
    given: dict[str, Any] = {"generator": GENERATOR, "steps": 4}
    still = invprob.restore(MEASUREMENTS, "w-plus", schedule=lambda progress: 0.0, **given)
    assert torch.equal(still.trace["total"][0], still.trace["total"][-1])
    moved = invprob.restore(MEASUREMENTS, "w-plus", schedule=constant(), **given)
    assert not torch.equal(moved.trace["total"][0], moved.trace["total"][-1])


def test_a_schedule_calls_for_adam() -> None:
    operator = Identity((3, 32, 32))
    measurements = invprob.measure(torch.zeros(1, 3, 32, 32), operator)
    shape: dict[str, Any] = {"measurement_shape": operator.measurement_shape}
    left = invprob.methods.make("sphinx", GENERATOR, measurements.image_shape, **shape)
    assert left.choices.optimiser == "l-bfgs"
    given = invprob.methods.make(
        "sphinx", GENERATOR, measurements.image_shape, schedule=constant(), **shape
    )
    assert given.choices.optimiser == "adam"


@pytest.mark.parametrize(
    ("method", "given", "words"),
    [
        ("tv", {"terms": [Near(0.0)]}, "take one such as sphinx"),
        ("pinv", {"terms": [Near(0.0)]}, "take one such as sphinx"),
        ("tv", {"schedule": constant()}, "PrimalDual has none"),
        ("w-plus", {"terms": [DataMisfit()]}, "the term 'misfit' twice"),
        ("w-plus", {"terms": [Near(0.0), Near(1.0)]}, "the term 'near' twice"),
        ("w-plus", {"terms": 0.3}, "terms must be"),
    ],
)
def test_what_makes_no_sense_is_refused(method: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        invprob.restore(MEASUREMENTS, method, generator=GENERATOR, steps=2, **given)
