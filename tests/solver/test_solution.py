"""The file of a solution: everything comes back, and no value lies in it twice."""

from pathlib import Path

import torch

from invprob import Solution
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
