"""Statistics and series against the standard library, on records made by hand."""

import csv
import io
import itertools
import statistics
from pathlib import Path

import pytest

from invprob.bench import plots
from invprob.bench.plan import Plan, make_plan
from invprob.bench.plots import write_plots
from invprob.bench.read import read_sweep
from invprob.bench.records import Record
from invprob.bench.series import boxes, line_axes, lines
from invprob.bench.summary import COLUMNS, Spread, groups
from invprob.bench.tables import write_tables

PSNR = COLUMNS[0]


@pytest.mark.parametrize("values", [[3.0, 1.0], [5, 2, 8, 1], [0.1, 7, 7, 7, 2, -3, 11], [4.5]])
def test_spread_is_that_of_the_standard_library(values: list[float]) -> None:
    spread = Spread.of([None, *values, None])
    assert spread.count == len(values)
    assert spread.mean == pytest.approx(statistics.fmean(values))
    assert spread.median == pytest.approx(statistics.median(values))
    if len(values) > 1:
        q1, _, q3 = statistics.quantiles(values, n=4, method="inclusive")
        assert (spread.q1, spread.q3) == (pytest.approx(q1), pytest.approx(q3))
        assert spread.deviation == pytest.approx(statistics.stdev(values))
    else:
        assert spread.deviation is None


def test_nothing_known_is_none_and_never_zero() -> None:
    assert Spread.of([None, None]) == Spread(0, None, None, None, None, None)


@pytest.fixture
def made(write) -> tuple[Plan, dict[str, Record]]:
    """Two methods, two operators, three seeds; psnr 1, 2, ..., 12 in the order of the plan.

    One run failed, one diverged, and one is not there yet.
    """
    path = write(('name = "circulant"', 'family = "ratio"\nname = "circulant"'))
    path.write_text("seeds = [0, 1, 2]\n" + path.read_text())
    plan = make_plan(read_sweep(path))
    records = {}
    for number, run in enumerate(plan.runs, 1):
        scores = {"psnr": float(number), "ssim": 0.5, "lpips": None, "seconds": 2.0, "steps": 2}
        records[run.id] = Record(run.id, run.at, run.definition, "finished", scores=scores)
    odd = [run.id for run in plan.runs if run.at["method"] == "w-plus"]
    first, second, third = odd[0], odd[1], odd[3]
    records[first] = Record(first, {}, {}, "failed", error="a | b\nc")
    records[second] = Record(
        second, {}, {}, "diverged", error="NaN", scores={"psnr": 99.0, "steps": 1}
    )
    del records[third]
    return plan, records


def test_groups_pool_what_is_finished(made: tuple[Plan, dict[str, Record]]) -> None:
    plan, records = made
    found = groups(plan, records, ("method", "operator"))
    told = [(*group.labels.values(), group.runs, group.finished, group.failed) for group in found]
    assert told == [
        ("sphinx", "one half", 3, 3, 0),
        ("w-plus", "one half", 3, 1, 2),
        ("sphinx", "all", 3, 3, 0),
        ("w-plus", "all", 3, 2, 0),
    ]
    # The plan counts operators outside, then methods, then seeds: 1 2 3 | 4 5 6 | 7 8 9 | 10 11 12.
    assert [group.spreads["psnr"].mean for group in found] == [2, 6, 8, 11.5]
    assert found[1].spreads["psnr"].deviation is None
    assert found[0].spreads["lpips"].count == 0 and found[0].spreads["lpips"].mean is None
    pooled = groups(plan, records, ("method",))
    assert [group.spreads["psnr"].median for group in pooled] == [5, 11]


def test_tables_say_what_is_missing(made: tuple[Plan, dict[str, Record]], tmp_path: Path) -> None:
    plan, records = made
    write_tables(plan, records, tmp_path)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "table.csv").read_text())))
    assert [row["psnr_mean"] for row in rows] == ["2", "6", "8", "11.5"]
    assert rows[1]["psnr_deviation"] == "" and rows[0]["psnr_deviation"] == "1"
    assert rows[0]["lpips_mean"] == "" and rows[0]["lpips_count"] == "0"
    assert rows[0]["gpu_memory_mib_mean"] == "" and rows[0]["lpips_network"] == ""
    runs = list(csv.DictReader(io.StringIO((tmp_path / "runs.csv").read_text())))
    assert ",".join(run["psnr"] for run in runs) == "1,2,3,,99,6,7,8,9,,11,12"
    assert [run["status"] for run in runs[3:5]] == ["failed", "diverged"]
    assert runs[9]["status"] == "to do"
    text = (tmp_path / "table.md").read_text()
    assert "| w-plus | all | none | 2 of 3 | 11.50 ± 0.71 | 11.50 [11.25, 11.75] |" in text
    assert "1 of 12 runs are still to be made." in text
    assert f"- `{runs[3]['id']}`: a \\| b c" in text
    assert "LPIPS ↓: mean ± deviation" in text and str(tmp_path) not in text
    table = [line for line in text.partition("##")[0].splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1 and len(table) == 6


def test_lines_and_boxes_hold_the_values(made: tuple[Plan, dict[str, Record]]) -> None:
    plan, records = made
    assert line_axes(plan) == ["operator"]
    found = lines(plan, records, PSNR, "operator")
    # One operator has a family of its own, so it has a panel of its own.
    assert list(found) == ["ratio", "operator"]
    (sphinx,) = found["ratio"]["sphinx"]
    assert (sphinx.x, sphinx.label, sphinx.spread.median) == (50, "one half", 2)
    (w_plus,) = found["operator"]["w-plus"]
    assert (w_plus.x, w_plus.spread.q1, w_plus.spread.q3) == (100, 11.25, 11.75)
    drawn = boxes(plan, records, PSNR)
    assert drawn == {
        "one half": {"sphinx": [1, 2, 3], "w-plus": [6]},
        "all": {"sphinx": [7, 8, 9], "w-plus": [11, 12]},
    }


def test_methods_may_be_the_axis(write) -> None:
    path = write(
        ('name = "sphinx"', 'name = "sphinx"\nd = 4\nx = 4'),
        ('name = "w-plus"', 'name = "sphinx"\nd = 2\nx = 2'),
    )
    plan = make_plan(read_sweep(path))
    records = {
        run.id: Record(run.id, run.at, run.definition, "finished", scores={"psnr": psnr})
        for run, psnr in zip(plan.runs, itertools.count(1.0), strict=False)
    }
    found = lines(plan, records, PSNR, "method")
    assert {panel: list(by_line) for panel, by_line in found.items()} == {
        "one half": ["method"],
        "all": ["method"],
    }
    points = found["all"]["method"]
    assert [(point.x, point.spread.mean) for point in points] == [(2, 4), (4, 3)]


def test_plots_are_drawn_where_matplotlib_is(
    made: tuple[Plan, dict[str, Record]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, records = made
    (tmp_path / "with").mkdir()
    names = {path.name for path in write_plots(plan, records, tmp_path / "with")}
    data = {"box-psnr.csv", "box-ssim.csv", "line-operator-psnr.csv", "line-operator-ssim.csv"}
    assert names == data | {name.replace(".csv", ".png") for name in data}
    assert all((tmp_path / "with" / "plots" / name).stat().st_size > 100 for name in names)
    monkeypatch.setattr(plots, "can_draw", lambda: False)
    (tmp_path / "without").mkdir()
    assert {path.name for path in write_plots(plan, records, tmp_path / "without")} == data
    text = (tmp_path / "without/plots/line-operator-psnr.csv").read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["median"] for row in rows] == ["2", "6", "8", "11.5"]
