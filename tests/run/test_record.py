"""What a run's folder says about the run: its trace in phases, for each image."""

from itertools import pairwise

import pytest

from invprob.run.record import phases


def row(step: int, first: int | None = None, **terms: list[float | None]) -> dict[str, object]:
    return {**({} if first is None else {"first": first}), "step": step, **terms}


def test_a_phase_ends_where_all_terms_change() -> None:
    trace = [
        row(1, misfit=[1.0], total=[1.0]),
        row(2, misfit=[0.5], variation=[0.1], total=[0.6]),
        row(3, dual=[700.0], total=[700.0]),
        row(4, dual=[None], total=[None]),
    ]
    first, second = phases(trace, 0)
    assert first.terms == {
        "misfit": [(1, 1.0), (2, 0.5)],
        "variation": [(1, None), (2, 0.1)],
        "total": [(1, 1.0), (2, 0.6)],
    }
    assert second.terms == {"dual": [(3, 700.0), (4, None)], "total": [(3, 700.0), (4, None)]}


def test_each_image_has_its_own_lines_also_where_images_are_solved_in_groups() -> None:
    together = [row(1, misfit=[1.0, 2.0, 3.0], total=[1.0, 2.0, 3.0])]
    groups = [
        row(1, 0, misfit=[1.0, 2.0], total=[1.0, 2.0]),
        row(1, 2, misfit=[3.0], total=[3.0]),
    ]
    for index in range(3):
        (one,), (other,) = phases(together, index), phases(groups, index)
        assert one == other and one.terms["total"] == [(1, index + 1.0)]


@pytest.mark.parametrize("steps", [1, 299, 300, 301, 5000])
def test_a_long_trace_is_thinned_evenly_and_keeps_its_end(steps: int) -> None:
    trace = [row(step, total=[float(step)]) for step in range(1, steps + 1)]
    (found,) = phases(trace, 0, most=300)
    kept = [step for step, _ in found.terms["total"]]
    assert len(kept) <= 300 and kept[-1] == steps
    gaps = {after - before for before, after in pairwise(kept)}
    assert len(gaps) <= 1
