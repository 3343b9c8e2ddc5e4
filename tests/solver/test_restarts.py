"""Restarts against the solves that they consist of."""

import dataclasses
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from toys import SHAPE, Shaken, Watch, assert_same, data, toy

import invprob
from invprob.callbacks import Callback, Iterate, Stop
from invprob.errors import ArgumentError
from invprob.losses import with_fresh_noise
from invprob.operators import GaussianNoise
from invprob.priors import Code
from invprob.solver.restarts import solve_restarts
from invprob.solver.stages import solve_stages
from invprob.solver.task import Stage, Task
from invprob.streams import derive, stream


class Images(Callback):
    """Keeps what each step evaluated."""

    def __init__(self) -> None:
        self.images: list[Tensor] = []

    def on_step(self, iterate: Iterate) -> None:
        self.images.append(iterate.image)


def stochastic(stages: Sequence[Stage]) -> list[Stage]:
    """The same stages, whose terms compare with fresh noise."""
    noise = GaussianNoise(sigma=0.2)
    return [
        dataclasses.replace(stage, terms=with_fresh_noise(stage.terms, noise)) for stage in stages
    ]


SEEDS = [7, derive(7, "restart", 1), derive(7, "restart", 2)]


def test_each_image_keeps_the_restart_of_least_data_misfit() -> None:
    measurements, operator = data(batch=6)
    stages = toy(3, 2)
    singles = [solve_stages(Task(measurements, operator, stages, seed)) for seed in SEEDS]
    target = measurements.values.double()
    misfits = torch.stack([(one.image - target).square().mean((1, 2, 3)) for one in singles])
    winners = misfits.argmin(0)
    assert len(set(winners.tolist())) > 1  # else the test would say little
    watch = Watch()
    task = Task(measurements, operator, stages, seed=7, restarts=3)
    found = solve_restarts(task, callbacks=[watch])
    assert found.restarts is not None
    torch.testing.assert_close(found.restarts, misfits)
    for index, winner in enumerate(winners.tolist()):
        assert torch.equal(found.image[index], singles[winner].image[index])
        for name, value in found.code.items():
            assert torch.equal(value[index], singles[winner].code[name][index])
    assert torch.equal(found.trace["misfit"], torch.cat([one.trace["misfit"] for one in singles]))
    assert found.steps == 15 and found.seed == 7 and found.outcome.status == "finished"
    assert "best of 3 restarts by data misfit" in str(found.outcome)
    assert watch.seen == [(taken, 15) for taken in range(1, 16)]
    assert torch.equal(found.render(), found.image)


@pytest.mark.parametrize("stages", [toy(2, 2), stochastic(toy(2, 2))], ids=["plain", "stochastic"])
def test_restarts_resume_bit_for_bit_at_every_step(stages: Sequence[Stage]) -> None:
    measurements, operator = data(batch=4)
    watch = Watch()
    task = Task(measurements, operator, stages, restarts=3)
    whole = solve_restarts(task, callbacks=[watch])
    assert len(watch.snapshots) == 13
    for taken, snapshot in enumerate(watch.snapshots):
        again = Watch()
        resumed = solve_restarts(task, callbacks=[again], snapshot=snapshot)
        assert_same(resumed, whole)
        assert torch.equal(resumed.restarts, whole.restarts)  # type: ignore[arg-type]
        assert again.began == [(taken, 12)]


def test_fresh_noise_comes_from_the_seed_of_each_stage_and_restart() -> None:
    measurements, operator = data(batch=2)
    stages = stochastic(toy(2, 1))
    watch = Images()
    task = Task(measurements, operator, stages, seed=7, restarts=2)
    found = solve_restarts(task, callbacks=[watch])
    target = measurements.values.double().clamp(-1, 1)
    seeds = [own for seed in SEEDS[:2] for own in (seed, seed, derive(seed, "stage", 1))]
    for row, (image, seed, step) in enumerate(zip(watch.images, seeds, [0, 1, 0] * 2, strict=True)):
        draw = torch.randn(SHAPE, generator=stream(seed, "renoise", step), dtype=torch.float64)
        misfit = ((image + 0.2 * draw).clamp(-1, 1) - target).square().mean((1, 2, 3))
        torch.testing.assert_close(found.trace["misfit"][row], misfit, rtol=1e-12, atol=0)


def test_one_restart_is_a_solve_in_stages() -> None:
    measurements, operator = data()
    one = solve_restarts(Task(measurements, operator, toy(3, 2), restarts=1, seed=2))
    assert_same(one, solve_stages(Task(measurements, operator, toy(3, 2), 2)))
    assert one.restarts is None
    with pytest.raises(ArgumentError, match="restarts must be at least 1"):
        solve_restarts(Task(measurements, operator, toy(3), restarts=0))


class StopAt(Callback):
    def __init__(self, taken: int) -> None:
        self.taken = taken

    def on_step(self, iterate: Iterate) -> Stop | None:
        return Stop("enough") if iterate.taken >= self.taken else None


def test_rules_end_a_restart_and_callbacks_end_the_run() -> None:
    measurements, operator = data()
    task = Task(measurements, operator, toy(3, 2), restarts=2)
    by_rule = solve_restarts(task.with_rule(lambda: StopAt(4)))
    assert by_rule.steps == 8 and by_rule.outcome.status == "stopped"
    assert "stopped after 4 of 5 steps: enough" in str(by_rule.outcome)
    watch = Watch(stop_at=7)
    by_callback = solve_restarts(dataclasses.replace(task, restarts=3), callbacks=[watch])
    assert str(by_callback.outcome) == "stopped after 7 of 15 steps: enough"
    assert by_callback.steps == 7 and len(by_callback.restarts) == 2  # type: ignore[arg-type]
    assert watch.ended == 1


def test_a_restart_that_diverges_loses(tmp_path: object) -> None:
    measurements, operator = data()
    (stage,) = toy(4)

    class Fragile(Shaken):
        """Draws nothing of use after the first restart, which takes four steps and a readout."""

        draws = 0

        def decode(self, code: Code, rng: torch.Generator) -> Tensor:
            self.draws += 1
            return super().decode(code, rng) * (1 if self.draws <= 5 else torch.nan)

    stages = [dataclasses.replace(stage, prior=Fragile(SHAPE))]
    found = solve_restarts(Task(measurements, operator, stages, restarts=2, seed=7))
    assert found.outcome.status == "finished"
    assert found.restarts is not None and found.restarts[1].isnan().all()
    assert torch.equal(found.image, solve_stages(Task(measurements, operator, toy(4), 7)).image)
    path = f"{tmp_path}/solution.safetensors"
    found.save(path)
    loaded = invprob.Solution.load(path).restarts
    assert loaded is not None and torch.equal(loaded[0], found.restarts[0])
