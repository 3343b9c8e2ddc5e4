"""The report of a sweep: every run in a table that sorts, plots, and sweeps not finished."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import CONTRAST, browser, opened
from page_structure import check_structure

from invprob.bench.page import is_sweep_folder, write_sweep_report
from invprob.bench.read import read_sweep
from invprob.bench.runner import run_sweep
from invprob.errors import RunError
from invprob.report.comparison import write_comparison


@pytest.fixture
def sweep(write: Any, in_process: list[str], tmp_path: Path) -> Path:
    """The folder of a finished sweep of four runs."""
    out = tmp_path / "out"
    run_sweep(read_sweep(write()), out, draw=write_comparison)
    assert len(in_process) == 4
    return out


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser, or the test is skipped."""
    with browser() as started:
        yield started


def test_a_sweep_ends_with_a_page_of_all_its_runs(sweep: Path) -> None:
    assert is_sweep_folder(sweep)
    page = check_structure((sweep / "report.html").read_text("utf-8"))
    table = page.by_id("runs-table")
    rows = [one for one in page.all("tr") if table in one.parents][1:]
    with (sweep / "runs.csv").open(encoding="utf-8") as file:
        runs = list(csv.DictReader(file))
    assert len(rows) == len(runs) == 4
    for run in runs:
        found = [row for row in rows if run["operator"] in row.text and run["method"] in row.text]
        assert any(f"{float(run['psnr']):.2f}" in row.text for row in found)
    thumbs = [one for one in page.of_class("thumb") if table in one.parents]
    assert len(thumbs) == 4
    links = [one.attributes["href"] for one in page.all("a") if table in one.parents]
    assert all((sweep / str(link)).exists() for link in links) and len(links) == 4


def test_boxes_and_lines_are_those_of_the_sweep(sweep: Path) -> None:
    page = check_structure((sweep / "report.html").read_text("utf-8"))
    titles = [one.text for one in page.all("figcaption")]
    assert "PSNR, dB: one half" in titles and "PSNR, dB: all" in titles
    assert "PSNR, dB, over operator" in titles
    chart = page.by_id("line-operator-psnr-0")
    cells = [one.text for one in page.all("td") if chart in one.parents]
    with (sweep / "plots" / "line-operator-psnr.csv").open(encoding="utf-8") as file:
        medians = [float(row["median"]) for row in csv.DictReader(file)]
    assert sorted(map(float, cells)) == pytest.approx(sorted(medians), rel=1e-3)


def test_a_page_elsewhere_has_no_links(sweep: Path, tmp_path: Path) -> None:
    write_sweep_report(sweep, tmp_path / "elsewhere.html")
    page = check_structure((tmp_path / "elsewhere.html").read_text("utf-8"))
    links = [str(one.attributes["href"]) for one in page.all("a")]
    assert links and all(link.startswith("#") for link in links)


def test_a_sweep_at_work_says_what_is_missing(sweep: Path) -> None:
    for name in ("runs.csv", "table.csv", "table.md"):
        (sweep / name).unlink()
    shutil.rmtree(sweep / "plots")
    record = next((sweep / "records").iterdir())
    content = json.loads(record.read_text())
    record.write_text(json.dumps({**content, "status": "started", "scores": None}))
    write_sweep_report(sweep, sweep / "report.html")
    page = check_structure((sweep / "report.html").read_text("utf-8"))
    said = " ".join(one.text for one in page.of_class("notice"))
    assert "1 runs are not finished" in said and "no plots" in said
    assert not page.of_class("chart")


def test_a_failed_run_stands_in_the_table_with_its_error(sweep: Path) -> None:
    record = next((sweep / "records").iterdir())
    content = json.loads(record.read_text())
    failed = {"status": "failed", "scores": None, "error": "no <room> & more"}
    record.write_text(json.dumps({**content, **failed}))
    write_sweep_report(sweep, sweep / "report.html")
    text = (sweep / "report.html").read_text("utf-8")
    page = check_structure(text)
    assert "failed: no <room> & more" in page.by_id("runs-table").text and "<room>" not in text
    assert "1 of 4 runs failed" in page.of_class("notice")[0].text


def test_a_sweep_that_has_not_begun_has_no_page(sweep: Path) -> None:
    for record in (sweep / "records").iterdir():
        record.unlink()
    with pytest.raises(RunError, match="has begun"):
        write_sweep_report(sweep, sweep / "other.html")
    assert not (sweep / "other.html").exists()


def test_the_table_sorts_and_filters_in_a_browser(chromium: Any, sweep: Path) -> None:
    with opened(chromium, sweep / "report.html", width=400, scheme="dark") as page:

        def column(title: str) -> list[str]:
            headers = page.locator("#runs-table thead th").all_inner_texts()
            (at,) = [k for k, one in enumerate(headers, 1) if one.startswith(title)]
            cells = f"#runs-table tbody tr:not([hidden]) td:nth-child({at})"
            return list(page.locator(cells).all_inner_texts())

        page.locator("#runs-table").get_by_role("button", name="PSNR").click()
        assert column("PSNR") == sorted(column("PSNR"), key=float)
        page.locator("#runs .filters").get_by_label("method").select_option("w-plus")
        assert column("method") == ["w-plus", "w-plus"]
        page.locator("#runs .filters").get_by_label("operator").select_option(value="all")
        assert column("operator") == ["all"]
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        assert page.evaluate(CONTRAST)["found"] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
