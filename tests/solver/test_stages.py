"""Stages: on priors small enough to know the answer, and on those of a generator."""

import networks
import pytest
import torch
from torch import Tensor
from toys import SHAPE, Dots, Shaken, Watch, assert_same, data, toy

import invprob
from invprob.errors import ArgumentError, PriorError
from invprob.losses import DataMisfit
from invprob.operators import PartialCirculant
from invprob.priors import Generator, Prior
from invprob.priors.parts import (
    FreeContent,
    FreeNoise,
    LearnedConstant,
    Part,
    ProjectedContent,
    ProjectedStyles,
    WPlus,
)
from invprob.priors.parts.heads import HeadShape
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.schedules import constant, cosine_trapezoid
from invprob.solver.optimisers import Adam
from invprob.solver.stages import solve_stages
from invprob.solver.task import Stage, Task, allot
from invprob.streams import derive, stream


@pytest.mark.parametrize(
    ("own", "steps", "expected"),
    [
        ((300, 100), None, [300, 100]),
        ((300, 100), 400, [300, 100]),
        ((300, 100), 40, [30, 10]),
        ((300, 100), 2, [1, 1]),
        ((1000, 1, 1), 3, [1, 1, 1]),
        ((1, 1, 1000), 5, [1, 1, 3]),
        ((1000, 1, 1), 50, [48, 1, 1]),
        ((0, 10, 0), 7, [0, 7, 0]),
        ((0, 0), 7, [0, 0]),
        ((5,), 9, [9]),
    ],
)
def test_a_budget_is_split_in_proportion(
    own: tuple[int, ...], steps: int | None, expected: list[int]
) -> None:
    assert [stage.steps for stage in allot(toy(*own), steps)] == expected


def test_every_budget_is_spent_and_no_stage_is_left_out() -> None:
    stages = toy(7, 0, 90, 3)
    for steps in range(3, 300):
        allotted = [stage.steps for stage in allot(stages, steps)]
        assert sum(allotted) == steps
        assert [number > 0 for number in allotted] == [True, False, True, True]
        for number, own in zip(allotted, (7, 0, 90, 3), strict=True):
            assert abs(number - steps * own / 100) <= 2
    assert [stage.steps for stage in allot(stages, 2)] == [1, 0, 1, 0]  # too few for all of them


def test_one_stage_is_solve() -> None:
    measurements, operator = data()
    (stage,) = toy(9)
    plain = invprob.solve(
        measurements,
        operator,
        stage.prior,
        terms=stage.terms,
        optimiser=stage.optimiser,
        schedule=stage.schedule,
        steps=9,
        seed=4,
    )
    assert_same(solve_stages(Task(measurements, operator, [stage], seed=4)), plain)


def test_a_stage_goes_on_from_the_solution_before_it() -> None:
    """The second stage by hand: another solve of the rest, with the streams of its own seed."""
    measurements, operator = data()
    stages = toy(5, 4)
    first = solve_stages(Task(measurements, operator, stages[:1], seed=3))
    own = derive(3, "stage", 1)
    code = stages[1].prior.start(2, stream(own, "start"))
    assert isinstance(code, Dots)
    with torch.no_grad():
        code.base.copy_(first.image)
        code.pixels.zero_()
    second = invprob.solve(
        measurements,
        operator,
        stages[1].prior,
        terms=stages[1].terms,
        optimiser=stages[1].optimiser,
        schedule=stages[1].schedule,
        steps=4,
        seed=own,
        start=code,
    )
    watch = Watch()
    whole = solve_stages(Task(measurements, operator, stages, seed=3), callbacks=[watch])
    assert torch.equal(whole.image, second.image)
    assert whole.seed == 3 and whole.steps == 9
    assert str(whole.outcome) == "all 9 steps were taken"
    assert list(whole.trace) == ["misfit", "energy", "total"]
    misfit = torch.cat([first.trace["misfit"], second.trace["misfit"]])
    assert torch.equal(whole.trace["misfit"], misfit)
    assert torch.equal(whole.trace["energy"][:5], first.trace["energy"])
    assert whole.trace["energy"][5:].isnan().all()
    assert watch.began == [(0, 9)] and watch.ended == 1
    assert watch.seen == [(taken, 9) for taken in range(1, 10)]


@pytest.mark.parametrize("own", [(4, 3), (3, 2, 3), (0, 3, 0, 2)])
def test_stages_resume_bit_for_bit_at_every_step(own: tuple[int, ...]) -> None:
    measurements, operator = data()
    watch = Watch()
    task = Task(measurements, operator, toy(*own), seed=1)
    whole = solve_stages(task, callbacks=[watch])
    assert len(watch.snapshots) == sum(own) + 1
    for taken, snapshot in enumerate(watch.snapshots):
        again = Watch()
        resumed = solve_stages(task, snapshot=snapshot, callbacks=[again])
        assert_same(resumed, whole)
        assert again.began == [(taken, sum(own))]
        assert [step for step, _ in again.seen] == list(range(taken + 1, sum(own) + 1))


@pytest.mark.parametrize("at", [0, 2, 4, 5])
def test_a_stop_ends_the_run_whatever_the_stage(at: int) -> None:
    measurements, operator = data()
    watch = Watch(stop_at=at)
    solution = solve_stages(Task(measurements, operator, toy(4, 3)), callbacks=[watch])
    assert solution.steps == at and watch.ended == 1
    assert solution.outcome.status == "stopped"
    assert str(solution.outcome).startswith(f"stopped after {at} of 7 steps: ")
    assert len(solution.trace.get("total", [])) == at


def test_no_steps_at_all_give_the_start_or_what_was_adopted() -> None:
    measurements, operator = data()
    (stage,) = toy(0)
    plain = solve_stages(Task(measurements, operator, allot([stage], 30), seed=5))
    expected = stage.prior.realise(stage.prior.start(2, stream(5, "start")), stream(5, "solve", 0))
    assert torch.equal(plain.image, expected["image"])
    assert plain.steps == 0 and plain.trace == {}

    def initial(given: invprob.Measurements, by: invprob.Operator) -> dict[str, Tensor]:
        assert given is measurements and by is operator
        return {"image": torch.full((2, *SHAPE), 0.25)}

    adopted = solve_stages(Task(measurements, operator, [stage], initial=initial))
    draw = torch.randn(SHAPE, generator=stream(0, "solve", 0), dtype=torch.float64)
    torch.testing.assert_close(adopted.image[1], 0.25 + 0.01 * draw)


def test_what_does_not_fit_is_refused() -> None:
    measurements, operator = data()
    watch = Watch()
    solve_stages(Task(measurements, operator, toy(3, 3)), callbacks=[watch])
    for snapshot, stages in ((watch.snapshots[5], toy(6)), (watch.snapshots[5], toy(2, 4))):
        with pytest.raises(ArgumentError, match="other stages"):
            solve_stages(Task(measurements, operator, stages), snapshot=snapshot)

    class Rooted(Shaken):
        adopt_ = Prior.adopt_

    stages = [toy(2)[0], Stage(Rooted(SHAPE), [DataMisfit()], Adam(), constant(), 2)]
    with pytest.raises(PriorError, match="Rooted cannot start from image"):
        solve_stages(Task(measurements, operator, stages))


def head_shape(generator: Generator) -> HeadShape:
    return HeadShape.preset("paper", generator.style_width, None)


def stylegan_stages(generator: Generator) -> list[Stage]:
    """W+ alone, then heads around it and free noise, then everything free."""
    priors = [
        StyleGANPrior(generator, style=WPlus()),
        StyleGANPrior(
            generator,
            style=ProjectedStyles(head_shape(generator), readout="last"),
            content=ProjectedContent(head_shape(generator), readout="zero"),
            noise=FreeNoise(regulariser=0.1),
        ),
        StyleGANPrior(generator, style=WPlus(), content=FreeContent(), noise=FreeNoise()),
    ]
    return [
        Stage(prior, [DataMisfit()], Adam(0.02), cosine_trapezoid(), steps)
        for prior, steps in zip(priors, (3, 2, 3), strict=True)
    ]


def test_stages_of_a_generator_resume_batch_and_render() -> None:
    generator = networks.random_generator(dtype=torch.float64)
    operator = PartialCirculant(generator.image_shape, ratio=0.1, seed=2).double()
    rng = torch.Generator().manual_seed(1)
    truth = torch.rand(2, *generator.image_shape, generator=rng, dtype=torch.float64) * 2 - 1
    measurements = invprob.measure(truth, operator)
    stages = stylegan_stages(generator)
    watch = Watch()
    task = Task(measurements, operator, stages)
    whole = solve_stages(task, callbacks=[watch])
    assert torch.equal(whole.render(), whole.image)
    for snapshot in watch.snapshots[1:]:
        assert_same(solve_stages(task, snapshot=snapshot), whole)
    for index in range(2):
        alone = invprob.Measurements.from_array(measurements.values[index : index + 1], operator)
        single = solve_stages(Task(alone, operator, stages))
        assert (single.image[0] - whole.image[index]).norm() < 1e-8 * single.image.norm()


@pytest.mark.parametrize(
    ("style", "content", "noise"),
    [
        (WPlus(), FreeContent(), FreeNoise()),
        (WPlus(), LearnedConstant(), FreeNoise()),
    ],
)
def test_free_parts_draw_what_they_adopted(style: Part, content: Part, noise: Part) -> None:
    generator = networks.random_generator()
    free = StyleGANPrior(generator, style=WPlus(), content=FreeContent(), noise=FreeNoise())
    code = free.start(2, stream(1, "start"))
    if isinstance(content, FreeContent):
        with torch.no_grad():
            for number, value in enumerate(code.parameters()):
                value.add_(0.1 * torch.randn(value.shape, generator=stream(number, "move")))
    realised = free.realise(code, stream(0, "x"))
    prior = StyleGANPrior(generator, style=style, content=content, noise=noise)
    other = prior.start(2, stream(2, "start"))
    prior.adopt_(other, realised)
    assert torch.equal(prior.decode(other, stream(0, "x")), free.decode(code, stream(0, "x")))


def test_heads_add_to_what_they_adopted() -> None:
    generator = networks.random_generator()
    style = ProjectedStyles(head_shape(generator), around="mean")
    variables = style.start(generator, 2, stream(0, "start"))
    before = variables.draw(stream(0, "draw")).styles
    rows = torch.randn(2, generator.num_layers, generator.style_width)
    variables.adopt_(SynthesisInputs(styles=rows))
    after = variables.draw(stream(0, "draw")).styles
    assert before is not None and after is not None
    torch.testing.assert_close(after - rows, before - generator.mean_w)
    assert "anchor" in variables.state_dict()
    with pytest.raises(PriorError, match="cannot start from one of shape"):
        variables.adopt_(SynthesisInputs(styles=rows[:, :1]))
