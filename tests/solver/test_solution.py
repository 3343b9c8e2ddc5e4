"""The file of a solution: everything comes back, and no value lies in it twice."""

from pathlib import Path

import torch

import invprob
from invprob import Solution
from invprob.losses import DataMisfit
from invprob.operators import GaussianNoise, Identity
from invprob.solver.solution import Outcome


def solution(weights: torch.Tensor, kept: torch.Tensor) -> Solution:
    return Solution(
        image=torch.rand(1, 3, 4, 4),
        realised={"weights": weights},
        code={"kept": kept},
        outcome=Outcome.finished(1),
        trace={"total": torch.zeros(1, 1)},
        steps=1,
        seed=0,
        prior_spec={"type": "pixels"},
    )


def test_a_value_that_two_groups_hold_is_written_once(tmp_path: Path) -> None:
    weights = torch.randn(1, 1000).half()
    for name, kept in (("twice", weights), ("differ", weights + 1)):
        solution(weights, kept.clone()).save(tmp_path / name)
    sizes = {name: (tmp_path / name).stat().st_size for name in ("twice", "differ")}
    assert 1900 < sizes["differ"] - sizes["twice"] < 2100  # 1000 numbers of two bytes

    loaded = Solution.load(tmp_path / "twice")
    assert torch.equal(loaded.code["kept"], weights)
    assert torch.equal(loaded.realised["weights"], weights)
    loaded.code["kept"].zero_()  # a tensor of its own
    assert torch.equal(loaded.realised["weights"], weights)


def test_what_only_compares_as_equal_is_kept_apart(tmp_path: Path) -> None:
    pairs = [
        (torch.tensor([0.0]), torch.tensor([-0.0])),
        (torch.tensor([1.0]), torch.tensor([1.0], dtype=torch.float64)),
        (torch.ones(2, 1), torch.ones(1, 2)),
        (torch.tensor(2), torch.tensor(2)),
    ]
    for one, other in pairs:
        solution(one, other).save(tmp_path / "solution")
        loaded = Solution.load(tmp_path / "solution")
        for found, expected in ((loaded.realised["weights"], one), (loaded.code["kept"], other)):
            assert found.dtype == expected.dtype
            assert found.shape == expected.shape
            assert torch.equal(found.signbit(), expected.signbit())
            assert torch.equal(found, expected)


def test_a_solution_is_shown_in_one_line_of_facts() -> None:
    """The tensors of a solution would fill pages."""
    shown = repr(solution(torch.randn(1, 1000), torch.randn(1, 1000)))
    assert shown == (
        "Solution(image=(1, 3, 4, 4), outcome='all 1 steps were taken', seed=0, prior='pixels')"
    )
    made = invprob.measure(torch.zeros(2, 3, 8, 8), Identity((3, 8, 8)), GaussianNoise(sigma=0.1))
    assert repr(made) == (
        "Measurements(values=(2, 3, 8, 8), image_shape=(3, 8, 8), operator='identity', "
        "noise='gaussian', seed=0)"
    )
    assert repr(DataMisfit(0.5)) == "DataMisfit('misfit', weight=0.5)"
    assert repr(invprob.metrics.psnr) == "Metric(psnr, unit='dB', better='higher')"
