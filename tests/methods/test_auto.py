"""The choice of a method by held-out measurements, on solutions of which all is known."""

from collections.abc import Callable
from typing import Any

import networks
import pytest
import torch
from torch import Tensor

import invprob
from invprob.callbacks import Callback, Iterate
from invprob.errors import ArgumentError, FileError, RunError, ShapeError, UnknownNameError
from invprob.losses import DataMisfit
from invprob.methods import Candidate, Contest, Problem, Recipe, make
from invprob.methods.automatic import GENERATOR, TABLE, candidates_for
from invprob.methods.contest import Entry, geometric_mean, hold, share_for, split_for
from invprob.operators import (
    CT,
    Identity,
    LinearOperator,
    PartialCirculant,
    Quantise,
    RandomMask,
    each,
)
from invprob.operators.partial import left_out
from invprob.priors import Pixels
from invprob.registry import register
from invprob.schedules import constant as unchanging
from invprob.solver.optimisers import Adam
from invprob.solver.solution import Outcome, Solution
from invprob.solver.stopping import HeldOutMisfit
from invprob.solver.task import Stage

SHAPE = (3, 4, 4)
# Every row of the table, and what it is tried for.
ROWS = [
    (GENERATOR, {}, True),
    (GENERATOR, {"linear": False}, True),
    ("tv", {}, True),
    ("tv", {"linear": False}, False),
    ("tv-descent", {}, False),
    ("tv-descent", {"linear": False}, True),
    ("wavelet", {}, True),
    ("wavelet", {"linear": False}, False),
    ("deep-image-prior", {}, True),
    ("deep-image-prior", {"linear": False}, True),
]


@pytest.mark.parametrize(("method", "problem", "tried"), ROWS)
def test_what_is_tried(method: str, problem: dict[str, Any], tried: bool) -> None:
    names = [one.method for one in candidates_for(Problem(SHAPE, SHAPE, **problem))]
    assert (method in names) == tried


def test_every_row_is_registered_tried_and_explained() -> None:
    assert {row.method for row in TABLE} == {method for method, _, _ in ROWS}
    about = register.method["auto"].__doc__ or ""
    for row in TABLE:
        assert row.method in register.method
        assert f"`{row.method}`: {row.because}." in about


def test_a_recipe_of_auto_holds_the_candidates_and_no_stage() -> None:
    generator = networks.random_generator()
    recipe = make("auto", generator, generator.image_shape, linear=False, held_out=0.3)
    assert recipe.stages == () and recipe.contest is not None
    assert [one.method for one in recipe.contest.candidates] == [
        GENERATOR,
        "tv-descent",
        "deep-image-prior",
    ]
    assert recipe.contest.share == 0.3
    named = make("auto", generator, generator.image_shape, candidates="w-plus, tv w-plus")
    assert named.contest is not None
    assert [one.method for one in named.contest.candidates] == ["w-plus", "tv"]
    assert {one.because for one in named.contest.candidates} == {"asked for"}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"candidates": "tv sphynx"}, UnknownNameError, "Did you mean 'sphinx'"),
        ({"candidates": " "}, ArgumentError, "must name methods other than auto"),
        ({"candidates": "tv auto"}, ArgumentError, "must name methods other than auto"),
        ({"held_out": 1.0}, ArgumentError, r"held_out must be a share in \(0, 1\), got 1.0"),
        ({"held_out": float("nan")}, ArgumentError, r"held_out must be a share in \(0, 1\)"),
        ({"heldout": 0.1}, ArgumentError, "Did you mean 'held_out'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    generator = networks.random_generator()
    with pytest.raises(error, match=message):
        make("auto", generator, generator.image_shape, **options)


def test_a_generator_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match="measure at the generator's size"):
        make("auto", networks.random_generator(), (3, 16, 16))


# ------------------------------------------------------------------------------ how much is hidden


class Bare(LinearOperator):
    """An outsider's operator, which does not say what can be left out."""

    def __init__(self, image_shape: tuple[int, ...]) -> None:
        super().__init__(image_shape, image_shape)

    def forward(self, image: Tensor) -> Tensor:
        return 2 * image


@pytest.mark.parametrize(
    ("operator", "share"),
    [
        (PartialCirculant((3, 128, 128), ratio=0.01), 0.2),  # 492 numbers: 200 would be too many
        (PartialCirculant((3, 128, 128), ratio=0.05), 200 / 2458),
        (Identity((3, 128, 128)), 0.05),
        (CT((3, 128, 128), views=30), 0.1),
        (CT((3, 128, 128), views=10), 0.2),
        (each([RandomMask((3, 32, 32), ratio=0.5, seed=seed) for seed in (0, 1)]), 200 / 1536),
    ],
)
def test_the_share_gives_enough_judges(operator: invprob.Operator, share: float) -> None:
    assert share_for(operator) == pytest.approx(share)


def test_what_is_seen_says_nothing_of_what_is_hidden() -> None:
    operator = Identity(SHAPE)
    contest = Contest((Candidate("tv", ""),), share=0.25)
    splits = []
    for value in (0.3, -0.9):
        image = torch.full((1, *SHAPE), 0.5)
        hidden = split_for(contest, invprob.measure(image, operator), operator, 0).hidden
        image[0][hidden] = value
        splits.append(split_for(contest, invprob.measure(image, operator), operator, 0))
    assert splits[0].count == 12 and torch.equal(splits[0].hidden, splits[1].hidden)
    assert torch.equal(splits[0].seen.values, splits[1].seen.values)
    assert splits[0].seen.fingerprint == splits[1].seen.fingerprint
    assert splits[0].misfit(torch.full((1, *SHAPE), 0.5)).item() == pytest.approx(0.04)
    assert splits[1].misfit(torch.full((1, *SHAPE), 0.5)).item() == pytest.approx(1.96)
    assert torch.equal(left_out(splits[0].seen.operator()), splits[0].hidden)  # from its own spec


@pytest.mark.parametrize("share", [None, 0.1])
def test_an_operator_that_offers_nothing_is_refused(share: float | None) -> None:
    operator = Bare(SHAPE)
    measurements = invprob.measure(torch.zeros(1, *SHAPE), Identity(SHAPE))
    for unsuitable in (operator, each([operator]), Quantise(SHAPE, 4) @ operator):
        with pytest.raises(ArgumentError, match=r"name a method \(--method tv\), or give"):
            split_for(Contest((), share), measurements, unsuitable, 0)


# -------------------------------------------------------------------------------------- the choice


def solution(image: Tensor, status: str = "finished") -> Solution:
    prior = Pixels(SHAPE)
    outcome = Outcome.diverged(3) if status == "diverged" else Outcome.finished(3)
    return Solution(image, {"image": image}, {}, outcome, {}, 3, 0, prior.spec(), prior)


TRUTH = torch.zeros(2, *SHAPE)


def judge(image: Tensor) -> Tensor:
    return (image - TRUTH).square().flatten(1).mean(1).double()


def held(
    tell: Callable[[Entry], None] = lambda entry: None,
    earlier: dict[str, Entry] | None = None,
    **images: Any,
) -> Any:
    """Hold a contest whose candidates find the images given, or raise the errors given."""

    def attempt(name: str) -> tuple[Solution, float]:
        found = images[name]
        if isinstance(found, BaseException):
            raise found
        return (found if isinstance(found, Solution) else solution(found)), 2.0

    candidates = [Candidate(name, "of a test") for name in images]
    return hold(candidates, judge, attempt, tell, earlier)


def constant(*values: float) -> Tensor:
    return torch.stack([torch.full(SHAPE, value) for value in values])


def test_the_least_misfit_wins() -> None:
    told: list[Entry] = []
    choice = held(told.append, a=constant(0.4, 0.4), b=constant(0.1, 0.1), c=constant(0.9, 0.9))
    assert choice.members == ("b",) and choice.name == "b"
    assert choice.reason == "it predicts what was held out best (0.01; a 0.16, c 0.81)"
    assert [entry.method for entry in told] == ["a", "b", "c"]
    assert [entry.seconds for entry in told] == [2.0] * 3
    assert told[0].misfits == pytest.approx((0.16, 0.16))
    assert all(Entry.from_json(entry.to_json()) == entry for entry in told)


def test_a_mean_wins_where_it_is_better_than_the_best() -> None:
    """Means: of a and b 0.1, of all three 0.4; a alone is 0.2 off, b 0.4, c 1."""
    choice = held(c=constant(1.0, 1.0), a=constant(0.2, 0.2), b=constant(-0.4, -0.4))
    assert choice.members == ("a", "b") and choice.name == "the mean of a and b"
    assert "better (0.01) than the best of them alone (0.04)" in choice.reason
    found = {"a": solution(constant(0.1, 0.3)), "b": solution(constant(0.5, -0.3))}
    mean = choice.solution(found)
    assert torch.allclose(mean.image, constant(0.3, 0.0)) and torch.equal(mean.render(), mean.image)
    assert "the mean of a and b (a: all 3 steps" in str(mean.outcome)
    three = held(a=constant(0.2, 0.2), b=constant(-0.3, -0.3), c=constant(0.35, -0.35))
    assert three.members == ("a", "b")
    all_of_them = held(a=constant(0.3, 0.3), b=constant(0.31, 0.31), c=constant(-0.6, -0.6))
    assert all_of_them.name == "the mean of a, b and c"


def test_no_image_of_a_batch_outweighs_the_others() -> None:
    """a is ten times better on the first image, b three times on the second and by far in sum."""
    choice = held(a=constant(0.01, 0.9), b=constant(0.1, 0.3))
    assert choice.members == ("a",)
    assert geometric_mean([1.0, 4.0]) == pytest.approx(2.0)
    assert geometric_mean([0.0, 4.0]) == geometric_mean([]) == 0


def test_the_order_decides_between_equals() -> None:
    assert held(a=constant(0.2, 0.2), b=constant(0.2, 0.2)).members == ("a",)


def test_a_candidate_that_fails_is_told_and_the_others_go_on() -> None:
    told: list[Entry] = []
    nothing = constant(float("nan"), 0.0)
    choice = held(
        told.append,
        a=RuntimeError("out of\nmemory"),
        b=solution(constant(0.0, 0.0), "diverged"),
        c=constant(0.3, 0.3),
        d=nothing,
        e=ArgumentError("no"),
    )
    assert choice.members == ("c",)
    failures = {entry.method: entry.failure for entry in told if entry.failure}
    assert failures["a"] == "RuntimeError: out of memory"
    assert "NaN or infinite" in failures["b"] and "NaN or infinite" in failures["d"]
    assert failures["e"] == "ArgumentError: no"
    assert str(told[0]).startswith("a failed after 0.0 s: RuntimeError")
    assert Entry.from_json(told[0].to_json()) == told[0]
    # What failed before is not tried again.
    first = told[0]
    told.clear()
    again = held(
        told.append, {"a": first}, a=AssertionError("not to be tried"), c=constant(0.3, 0.3)
    )
    assert again.members == ("c",) and told[0] == first


def test_all_failing_is_an_error_and_so_is_a_full_disk() -> None:
    with pytest.raises(RunError, match=r"every candidate of auto failed: a: .*no; b: .*NaN"):
        held(a=ArgumentError("no"), b=constant(float("inf"), 0.0))
    with pytest.raises(FileError, match="full"):
        held(a=FileError("the disk is full"), b=constant(0.1, 0.1))
    with pytest.raises(KeyboardInterrupt):
        held(a=KeyboardInterrupt(), b=constant(0.1, 0.1))


# ------------------------------------------------------------------------------------- from Python


class Count(Callback):
    def __init__(self) -> None:
        self.steps = 0

    def on_step(self, iterate: Iterate) -> None:
        self.steps = iterate.steps


def test_restore_chooses_and_restores_from_all_measurements() -> None:
    """A smooth picture of which half of the pixels are seen: total variation is far ahead."""
    generator = networks.random_generator()
    ramp = torch.linspace(-0.8, 0.8, 32).expand(1, 3, 32, 32)
    operator = RandomMask((3, 32, 32), ratio=0.5)
    measurements = invprob.measure(ramp, operator)
    count = Count()
    given: dict[str, Any] = {"generator": generator, "steps": 40}
    options = {"candidates": "w-plus tv"}
    found = invprob.restore(measurements, "auto", options=options, callbacks=[count], **given)
    alone = invprob.restore(measurements, "tv", **given)
    assert torch.equal(found.image, alone.image)
    assert "chosen: tv, because it predicts what was held out best" in str(found.outcome)
    assert count.steps == 40  # of the last solve alone


@pytest.mark.parametrize("name", register.operator)
def test_auto_works_for_every_registered_operator(name: str) -> None:
    operator = register.operator[name].illustration((3, 32, 32))
    rng = torch.Generator().manual_seed(3)
    image = torch.rand(1, 3, 32, 32, generator=rng) * 1.8 - 0.9
    measurements = invprob.measure(image, operator)
    found = invprob.restore(
        measurements,
        "auto",
        networks.random_generator(),
        steps=2,
        options={"candidates": "w-plus tv-descent"},
    )
    assert "predict" in str(found.outcome) and found.image.isfinite().all()


def grey(level: float) -> Callable[..., Recipe]:
    """A method that restores an even grey, in no step."""

    def method(problem: Problem) -> Recipe:
        stage = Stage(Pixels(problem.image_shape), [DataMisfit()], Adam(), unchanging(), 0)
        even = {"image": torch.full(problem.image_shape, level)}
        return Recipe((stage,), initial=lambda known, by: even)

    return method


def test_restore_may_return_a_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register.method, "_entries", dict(register.method._entries))
    register.method("darker")(grey(-0.2))
    register.method("lighter")(grey(0.4))
    shape = (3, 32, 32)
    measurements = invprob.measure(torch.zeros(2, *shape), Identity(shape))
    found = invprob.restore(
        measurements,
        "auto",
        networks.random_generator(),
        options={"candidates": "lighter darker", "held_out": 0.3},
    )
    assert "chosen: the mean of darker and lighter, because their mean" in str(found.outcome)
    torch.testing.assert_close(found.image, torch.full((2, *shape), 0.1))
    assert found.prior is not None and found.prior.spec()["type"] == "pixels"


def test_restore_refuses_what_auto_cannot_do() -> None:
    generator = networks.random_generator()
    operator = CT((3, 32, 32), views=3)
    measurements = invprob.measure(torch.zeros(1, 3, 32, 32), operator)
    given: dict[str, Any] = {"generator": generator, "steps": 3}
    with pytest.raises(ArgumentError, match="leaves nothing of the 3 parts"):
        invprob.restore(measurements, "auto", options={"held_out": 0.9}, **given)
    split = split_for(Contest(()), measurements, operator, 0)
    with pytest.raises(ArgumentError, match="for one solve, and auto solves by several"):
        invprob.restore(measurements, "auto", callbacks=[HeldOutMisfit(split)], **given)
    with pytest.raises(ArgumentError, match="for one solve, and auto solves by several"):
        invprob.restore(measurements, "auto", schedule=invprob.schedules.constant(), **given)
