"""`invprob report`, and the report that `solve` and `resume` write."""

from pathlib import Path

CIRCULANT = ("--operator", "circulant", "--ratio", 0.1, "--method", "w-plus", "--steps", 2)


def test_solve_writes_a_report_unless_it_is_told_not_to(call, place: Path) -> None:
    call("solve", "../picture.png", *CIRCULANT, "--out", "with")
    assert "<h1>picture, restored by w-plus</h1>" in Path("with/report.html").read_text("utf-8")
    call("solve", "../picture.png", *CIRCULANT, "--out", "without", "--no-report")
    assert not Path("without/report.html").exists()
    done = call("report", "without", "--out", "page.html")
    assert (done.status, done.out, done.err) == (0, "page.html\n", "")
    assert Path("page.html").exists() and not Path("without/report.html").exists()
    assert call("report", "without").out == "without/report.html\n"
    assert call("resume", "without").status == 0  # a finished run is left as it is


def test_a_report_that_cannot_be_written_takes_no_run_with_it(
    call, place: Path, monkeypatch
) -> None:
    monkeypatch.setattr("invprob.report.page.REPORT", "config.toml/report.html")
    done = call("solve", "../picture.png", *CIRCULANT, "--out", "run")
    assert done.status == 0 and done.last == Path("run")
    assert "there is no report: " in done.err and "config.toml" in done.err


def test_what_is_no_run_is_refused_in_one_line(call, refuse, place: Path) -> None:
    assert "there is no folder 'nowhere'" in refuse("report", "nowhere")
    Path("empty").mkdir()
    assert "'empty' is not the folder of a run or a sweep" in refuse("report", "empty")
    assert "'../picture.png' is a file" in refuse("report", "../picture.png")
    call("solve", "../picture.png", *CIRCULANT, "--out", "run", "--no-report")
    assert "must end in .html" in refuse("report", "run", "--out", "page.pdf")
    assert "make the folder 'none'" in refuse("report", "run", "--out", "none/page.html")
    Path("run/trace.jsonl").unlink()
    Path("run/measurements.safetensors").write_bytes(b"no tensors")
    assert "measurements.safetensors" in refuse("report", "run")
    Path("run/measurements.safetensors").unlink()
    assert "has not begun" in refuse("report", "run")
