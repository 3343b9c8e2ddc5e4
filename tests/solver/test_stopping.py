"""Rules that stop, on descents whose every iterate has a closed form."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from dimmed import PATTERN, RATE, SHAPE, Dimmed, brightness
from torch import Tensor
from toys import Watch, assert_same

import invprob
from invprob.errors import ArgumentError
from invprob.losses import DataMisfit
from invprob.measurements import Measurements
from invprob.operators import GaussianNoise, HoldOut, Identity, UniformNoise
from invprob.operators.partial import left_out
from invprob.registry import build
from invprob.schedules import constant
from invprob.solver.optimisers import GradientDescent
from invprob.solver.restarts import solve_restarts
from invprob.solver.stages import solve_stages
from invprob.solver.stopping import noise_levels
from invprob.solver.task import Stage, Task


def stages(*steps: int, curvature: float) -> list[Stage]:
    """Gradient descent on (t - 1)² · curvature, where step k goes from 1 - 0.9^k to the next."""
    optimiser = GradientDescent(RATE / (2 * curvature))
    return [Stage(Dimmed(SHAPE), [DataMisfit()], optimiser, constant(), n) for n in steps]


def noisy(*scales: float) -> Measurements:
    """Scaled patterns with a disturbance of known size that no brightness can explain."""
    other = torch.randn(SHAPE, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    other = other - (other * PATTERN).sum() / PATTERN.square().sum() * PATTERN
    other = other / other.square().mean().sqrt()
    values = torch.stack([scale * PATTERN + 0.1 * other for scale in scales])
    return Measurements.from_array(values, Identity(SHAPE), noise=GaussianNoise(sigma=0.2))


ENERGY = float(PATTERN.square().mean())


def ruled(
    rule: str,
    measurements: Measurements,
    *steps: int,
    curvature: float = ENERGY,
    **settings: Any,
) -> Task:
    """A task that the rule of that name may end."""
    task = Task(measurements, Identity(SHAPE), stages(*steps, curvature=curvature))
    ended: Task = build("stop", rule, {"task": task, **settings})
    return ended


def test_the_discrepancy_principle_stops_each_image_at_the_right_step() -> None:
    """Residual² of image s at step k is s² · 0.81^k · mean(pattern²) + 0.01, and the bound 0.04."""
    scales = (1.0, 0.5, 3.0)
    expected = []
    for scale in scales:
        step = 0
        while (scale * (1 - brightness(step))) ** 2 * ENERGY + 0.01 > 0.04:
            step += 1
        expected.append(step)
    assert len(set(expected)) == 3
    watch = Watch()
    found = solve_stages(ruled("discrepancy", noisy(*scales), 60), callbacks=[watch])
    assert found.outcome.status == "stopped" and "discrepancy principle" in str(found.outcome)
    assert found.steps == max(expected) + 1  # a step judges the image it begins with
    wanted = torch.tensor([s * brightness(k) for s, k in zip(scales, expected, strict=True)])
    torch.testing.assert_close(found.code["brightness"].flatten(), wanted.double())


def test_tau_and_level_move_the_bound() -> None:
    for settings, bound in (({"tau": 2.0}, 0.4), ({"level": 0.5}, 0.5)):
        found = solve_stages(ruled("discrepancy", noisy(1.0), 60, **settings))
        step = found.steps - 1
        residual = [(1 - brightness(k)) ** 2 * ENERGY + 0.01 for k in (step - 1, step)]
        assert residual[0] > bound**2 >= residual[1]


@pytest.mark.parametrize(("window", "drop"), [(1, 0.05), (4, 0.05), (7, 0.3)])
def test_the_plateau_is_where_a_window_is_hardly_below_the_one_before(
    window: int, drop: float
) -> None:
    """The misfit of image s at step k is s² · 0.81^k · mean(pattern²) + 0.01."""
    scales = (1.0, 0.2)
    expected = []
    for scale in scales:
        misfits: list[float] = []
        flat = False
        while not flat:
            left = scale * (1 - brightness(len(misfits)))
            misfits.append(left**2 * ENERGY + 0.01)
            after, before = sum(misfits[-window:]), sum(misfits[-2 * window : -window])
            flat = len(misfits) >= 2 * window and after > (1 - drop) * before
        expected.append(len(misfits) - 1)
    assert expected[0] > expected[1]
    found = solve_stages(ruled("plateau", noisy(*scales), 100, window=window, drop=drop))
    assert found.outcome.status == "stopped"
    assert f"less than {100 * drop:g} % from {window} steps" in str(found.outcome)
    assert found.steps == expected[0] + 1
    wanted = torch.tensor([s * brightness(k) for s, k in zip(scales, expected, strict=True)])
    torch.testing.assert_close(found.code["brightness"].flatten(), wanted.double())


@pytest.mark.parametrize("shape", [(-3, 8, 8), (3, 0, 8), (3.5, 8, 8)])
def test_hold_out_refuses_shapes_as_other_operators_do(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match=r"image_shape must be (positive|whole)"):
        HoldOut(shape)


def split(targets: tuple[float, ...], patience: int, *steps: int) -> tuple[Task, Tensor]:
    """What is seen asks for brightness 1, what is hidden for that of each image."""
    settings: dict[str, Any] = {"hidden": 0.25, "patience": patience}
    blank = Measurements.from_array(torch.zeros(len(targets), *SHAPE), Identity(SHAPE))
    probe = ruled("held-out", blank, **settings)
    kept = ~left_out(probe.operator)
    values = torch.stack([torch.where(kept, PATTERN, PATTERN * target) for target in targets])
    measurements = Measurements.from_array(values, Identity(SHAPE))
    curvature = float((PATTERN * kept).square().mean())
    return ruled("held-out", measurements, *steps, curvature=curvature, **settings), kept


def test_held_out_measurements_choose_the_iterate_that_predicts_them() -> None:
    targets, patience = (0.5, 0.8, 0.0), 4
    task, kept = split(targets, patience, 60)
    assert int((~kept).sum()) == 48
    watch = Watch()
    found = solve_stages(task, callbacks=[watch])
    best = [
        min(range(60), key=lambda step, wanted=target: abs(brightness(step) - wanted))  # type: ignore[misc]
        for target in targets
    ]
    wanted = torch.tensor([brightness(step) for step in best]).double()
    torch.testing.assert_close(found.code["brightness"].flatten(), wanted)
    torch.testing.assert_close(found.image[1], wanted[1] * PATTERN)
    assert found.steps == max(best) + patience + 1
    assert "held-out measurements" in str(found.outcome)


def test_the_solver_does_not_see_what_is_held_out() -> None:
    """Other hidden values change neither what the solver is given nor where it goes."""
    first, kept = split((0.5,), 100)
    second, _ = split((0.9,), 100)
    assert torch.equal(first.measurements.values, second.measurements.values)
    assert (first.measurements.values[0][~kept] == 0).all()
    image = torch.ones(1, *SHAPE)
    assert (first.operator(image)[0][~kept] == 0).all()
    assert (first.operator(image)[0][kept] == 1).all()


RULES: list[Callable[..., Task]] = [
    lambda *steps: ruled("discrepancy", noisy(1.0, 0.5), *steps),
    lambda *steps: split((0.5, 0.7), 3, *steps)[0],
    lambda *steps: ruled("plateau", noisy(1.0, 0.2), *steps, window=4, drop=0.5),
]


@pytest.mark.parametrize("task", RULES)
@pytest.mark.parametrize("own", [(40,), (4, 40), (0, 6, 20)])
def test_rules_resume_bit_for_bit_at_every_step(
    task: Callable[..., Task], own: tuple[int, ...]
) -> None:
    watch = Watch()
    whole = solve_stages(task(*own), callbacks=[watch])
    assert whole.outcome.status == "stopped"
    for snapshot in watch.snapshots:
        assert_same(solve_stages(task(*own), snapshot=snapshot), whole)


def test_a_rule_ends_each_restart_by_itself() -> None:
    """Each restart is watched by a rule of its own, and ends where it would alone."""
    task = ruled("discrepancy", noisy(1.0, 0.5), 40)
    alone = solve_stages(task)
    found = solve_restarts(replace(task, restarts=3))
    assert found.steps == 3 * alone.steps < 3 * 40
    assert found.outcome.status == "stopped"
    assert torch.equal(found.image, alone.image)


def test_an_image_of_a_batch_is_what_it_is_alone() -> None:
    for together, alone in (
        (ruled("discrepancy", noisy(1.0, 0.3), 60), ruled("discrepancy", noisy(0.3), 60)),
        (split((0.9, 0.4), 3, 60)[0], split((0.4,), 3, 60)[0]),
        (
            ruled("plateau", noisy(1.0, 0.2), 60, window=4, drop=0.05),
            ruled("plateau", noisy(0.2), 60, window=4, drop=0.05),
        ),
    ):
        both, one = solve_stages(together), solve_stages(alone)
        assert one.steps < both.steps
        torch.testing.assert_close(both.image[1], one.image[0], rtol=1e-10, atol=1e-12)


def test_noise_levels_are_those_of_the_noise() -> None:
    measurements = Measurements.from_array(
        torch.zeros(2, 3, 64, 64), Identity((3, 64, 64)), noise=UniformNoise(width=0.3)
    )
    expected = torch.full((2,), 0.3 / 3**0.5)
    torch.testing.assert_close(
        noise_levels(measurements, measurements.operator()), expected, rtol=0.02, atol=0
    )
    assert noise_levels(noisy(1.0), Identity(SHAPE)).tolist() == pytest.approx([0.2])


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("discrepancy", {}, "name no noise"),
        ("discrepancy", {"level": 0.0}, "level must be positive"),
        ("discrepancy", {"level": 1.0, "tau": -1.0}, "tau must be positive"),
        ("held-out", {"hidden": 1.0}, "hidden must be a share"),
        ("held-out", {"patience": 0}, "patience must be at least 1"),
        ("plateau", {"window": 0}, "window must be at least 1"),
        ("plateau", {"drop": 0.0}, "drop must be a share"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, settings: dict[str, Any], message: str) -> None:
    measurements = invprob.measure(torch.zeros(1, *SHAPE), Identity(SHAPE))
    with pytest.raises(ArgumentError, match=message):
        ruled(name, measurements, **settings)
