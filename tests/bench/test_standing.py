"""How far methods are behind the best, against sums by hand."""

from collections.abc import Mapping

import pytest

from invprob.bench.plan import make_plan
from invprob.bench.read import read_sweep
from invprob.bench.records import Record
from invprob.bench.standing import Cell, cells_of, families_of, family_rows, method_rows
from invprob.bench.summary import Group, Spread, groups
from invprob.bench.tables import as_markdown


def group(method: str, operator: str, *psnr: float, runs: int = 2, failed: int = 0) -> Group:
    labels = {"method": method, "operator": operator, "noise": "none"}
    return Group(labels, runs, len(psnr), failed, {"psnr": Spread.of(psnr)})


BOARD = [
    group("old", "few", 20.0, 22.0),
    group("older", "few", 18.0, 19.0),
    group("plain", "few", 23.0, 25.0),
    group("new", "few", 23.0, 24.5),
    group("old", "many", 30.0, 30.0),
    group("older", "many", 31.0, 31.0),
    group("plain", "many", 29.0, 29.0),
    group("new", "many", 30.5, 30.5),
]
FAMILIES = {"published": ["old", "older"], "controls": ["plain"], "ours": ["new"]}


def words(rows: list[list[str]]) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in rows}


def test_medians_and_gaps() -> None:
    assert words(method_rows(cells_of(BOARD))) == {
        "method": ["few", "many", "furthest behind", "within 0.3 dB"],
        "old": ["21.00 (−3.00)", "30.00 (−1.00)", "3.00", "0 of 2"],
        "older": ["18.50 (−5.50)", "**31.00**", "5.50", "1 of 2"],
        "plain": ["**24.00**", "29.00 (−2.00)", "2.00", "1 of 2"],
        "new": ["23.75 (−0.25)", "30.50 (−0.50)", "0.50", "1 of 2"],
    }


def test_a_family_is_as_good_as_its_best_method() -> None:
    assert words(family_rows(cells_of(BOARD), FAMILIES)) == {
        "family": [
            "methods",
            "within 0.3 dB of the best",
            "ahead of all published",
            "ahead of all controls",
            "ahead of all ours",
        ],
        "published": ["old, older", "1 of 2", "", "1 of 2", "1 of 2"],
        "controls": ["plain", "1 of 2", "1 of 2", "", "1 of 2"],
        "ours": ["new", "1 of 2", "1 of 2", "1 of 2", ""],
    }


def test_a_tie_is_near_and_not_ahead() -> None:
    cell = Cell("few", {"old": 20.0, "new": 20.0}, ended=True)
    assert cell.near(["new"]) and cell.behind(["new"]) == 0
    assert not cell.ahead(["new"], ["old"]) and not cell.ahead(["old"], ["new"])


def test_a_method_that_failed_has_no_place_and_the_cell_counts() -> None:
    failed = group("plain", "few", 99.0, failed=1)
    cells = cells_of([BOARD[0], failed, BOARD[3]])
    assert cells[0].ended and cells[0].best == pytest.approx(23.75)
    assert "plain" not in words(method_rows(cells))
    assert words(family_rows(cells, FAMILIES))["controls"][1:3] == ["0 of 1", "0 of 1"]
    assert words(family_rows(cells, FAMILIES))["ours"][1:4] == ["1 of 1", "1 of 1", "1 of 1"]


def test_a_cell_with_runs_to_be_made_is_shown_and_not_counted() -> None:
    cells = cells_of([*BOARD[:4], *BOARD[4:7], group("new", "many", 40.0)])
    table = words(method_rows(cells))
    assert table["older"] == ["18.50 (−5.50)", "**31.00**", "5.50", "0 of 1"]
    assert table["new"] == ["23.75 (−0.25)", "–", "0.25", "1 of 1"]
    nothing = method_rows(cells_of([group("new", "few", 1.0), group("old", "few", 1.0, 2.0)]))
    assert words(nothing)["old"] == ["**1.50**", "–", "0 of 0"]


def test_titles_leave_out_what_all_cells_share() -> None:
    assert [cell.title for cell in cells_of(BOARD)] == ["few", "many"]
    assert [cell.title for cell in cells_of(BOARD[:4])] == ["all runs"]


def families(write, *named: str, axes: str = "") -> str:
    """The table of a sweep whose two methods have these families; psnr 1, 2, 3, 4 in order."""
    pairs = [
        (f'name = "{method}"', f'name = "{method}"\nfamily = "{family}"')
        for method, family in zip(("sphinx", "w-plus"), named, strict=False)
    ]
    path = write(*pairs)
    path.write_text(axes + path.read_text())
    plan = make_plan(read_sweep(path))
    records: Mapping[str, Record] = {
        run.id: Record(run.id, run.at, run.definition, "finished", scores={"psnr": float(number)})
        for number, run in enumerate(plan.runs, 1)
    }
    assert families_of(plan.sweep) == {
        family: [method] for method, family in zip(("sphinx", "w-plus"), named, strict=False)
    }
    return as_markdown(plan, records, groups(plan, records, plan.sweep.group_by))


def test_tables_end_with_the_standing(write) -> None:
    text = families(write, "theirs", "ours")
    assert "| sphinx | 1.00 (−1.00) | 3.00 (−1.00) | 1.00 | 0 of 2 |" in text
    assert "| w-plus | **2.00** | **4.00** | 0.00 | 2 of 2 |" in text
    assert "| ours | w-plus | 2 of 2 | 2 of 2 |  |" in text
    assert "| family |" not in families(write, "theirs")
    assert "## Behind" not in families(write, axes='group_by = ["operator"]\n')
