"""The report of a sweep, as one page: a table of its runs that sorts and filters, and its plots.

Everything is read from the sweep's folder, so a page can be made of a sweep that is at work, and
without the pictures that it restored.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from invprob.bench.records import Record, load_record
from invprob.bench.studying import FOLDER
from invprob.bench.summary import COLUMNS, Column
from invprob.bench.sweep import AXES, COPY, NOTHING
from invprob.errors import RunError
from invprob.files import file_error
from invprob.report.charts import Line, box_chart, line_chart
from invprob.report.embedded import Level, data_uri, thumbnail
from invprob.report.markup import Html, folded, joined, table, tag
from invprob.report.page import command, contents, notice, section, write_page
from invprob.report.tables import Cell, sortable
from invprob.report.tables import Column as Header
from invprob.run import folder as files

MOST_THUMBNAILS = 2000  # about 2 kB each
MOST_CHARTS = 24  # of a kind
MOST_SHEETS = 40
SHEET = Level("", 900, 75)
CHARTED = ("psnr", "ssim", "lpips", "data_misfit")
UNKNOWN = "–"


def is_sweep_folder(path: Path) -> bool:
    """Whether `invprob bench` made the folder."""
    return (path / COPY).is_file() and (path / "records").is_dir()


def write_sweep_report(path: Path, out: Path) -> None:
    """Write the report of a sweep.

    Args:
        path: the folder of the sweep, which may be unfinished.
        out: the file; one of that name is replaced.

    Raises:
        RunError: no run of it has begun.
        FileError: a file of the folder is damaged, or the page cannot be written.
    """
    records = _records(path)
    title, content = _content(path, records, linked=out.resolve().parent == path.resolve())
    write_page(title, content, out)


def _records(path: Path) -> list[Record]:
    """The records of all runs that were begun, in the order of the sweep where that is known."""
    order = {row["id"]: at for at, row in enumerate(_csv(path / "runs.csv"))}
    try:
        names = sorted(file.stem for file in (path / "records").glob("*.json"))
    except OSError as error:
        raise file_error(path, error, "read") from None
    found = [record for name in names if (record := load_record(path, name)) is not None]
    if not found:
        raise RunError(f"no run of the sweep in {str(path)!r} has begun, so there is no report")
    return sorted(found, key=lambda record: order.get(record.id, len(order)))


def _content(path: Path, records: Sequence[Record], *, linked: bool) -> tuple[str, Html]:
    title = f"Sweep {path.resolve().name}"
    boxes, lines = _boxes(path), _lines(path)
    parts = [("runs", "Runs", _runs(path, records, linked=linked))]
    if (path / "table.csv").exists():
        parts.append(("groups", "Groups", _groups(path)))
    if boxes:
        parts.append(("boxes", "By method", tag("div", *boxes, class_="charts")))
    if lines:
        parts.append(("lines", "Over a number", tag("div", *lines, class_="charts")))
    studies = _studies(path)
    if studies:
        parts.append(("studies", "Studies", joined(studies)))
    parts.append(("repeat", "Repeat this sweep", _repeat(path)))
    content = joined(
        [
            tag("h1", title),
            tag("p", _lead(records), class_="lead"),
            *map(notice, _notices(path, records)),
            contents([(name, heading) for name, heading, _ in parts]),
            *(section(*part) for part in parts),
        ]
    )
    return title, content


def _lead(records: Sequence[Record]) -> str:
    said = [f"{len(records)} runs"]
    for axis in AXES:
        labels = dict.fromkeys(record.at[axis] for record in records)
        if axis != "set" and list(labels) != [NOTHING]:
            said.append(
                f"{axis}s: {len(labels)}" if len(labels) > 1 else f"{axis} {next(iter(labels))}"
            )
    return " · ".join(said)


def _notices(path: Path, records: Sequence[Record]) -> list[str]:
    said = []
    failed = sum(record.status in ("failed", "diverged") for record in records)
    open_runs = sum(record.status in ("started", "interrupted") for record in records)
    planned = len(_csv(path / "runs.csv"))
    missing = max(0, planned - len(records))
    if failed:
        said.append(f"{failed} of {len(records)} runs failed or diverged; they are in no plot.")
    if open_runs or missing:
        said.append(f"{open_runs + missing} runs are not finished; the same command goes on.")
    if not planned:
        said.append("The sweep has not ended yet, so there are no plots; they are made at its end.")
    if len(records) > MOST_THUMBNAILS:
        said.append(f"The first {MOST_THUMBNAILS} runs have a picture in the table.")
    return said


# ------------------------------------------------------------------------------------- the tables


def _runs(path: Path, records: Sequence[Record], *, linked: bool) -> Html:
    """A row for each run that was begun; axes on which all runs agree are left out."""
    varied = _varied([record.at for record in records])
    known = [one for one in COLUMNS if any(one.read(record) is not None for record in records)]
    headers = [Header("result", "picture")]
    headers += [
        Header(axis, "number" if axis == "seed" else "text", choices=True) for axis in varied
    ]
    headers += [Header("status", choices=True), *(Header(one.title, "number") for one in known)]
    rows = []
    for number, record in enumerate(records):
        cells = [Cell(_thumbnail(path, record, pictured=number < MOST_THUMBNAILS, linked=linked))]
        cells += [Cell(record.at[axis], _number(record.at[axis])) for axis in varied]
        cells.append(
            Cell(record.status if record.error is None else f"{record.status}: {record.error}")
        )
        cells += [_score(one, record) for one in known]
        rows.append(cells)
    return sortable("runs-table", headers, rows, caption="All runs; a header sorts the table")


def _varied(labels: Sequence[Mapping[str, str]]) -> list[str]:
    """The axes on which labels differ; a set of one image says no more than the image."""
    counts = {axis: len({at[axis] for at in labels}) for axis in AXES}
    varied = [axis for axis in AXES if counts[axis] > 1]
    if counts["set"] == counts["image"]:
        varied = [axis for axis in varied if axis != "set"]
    return varied


def _thumbnail(path: Path, record: Record, *, pictured: bool, linked: bool) -> str:
    """The result of a run; where the page lies in the sweep's folder it leads to the comparison."""
    file = path / "runs" / record.id / files.IMAGE
    if not pictured or not file.exists():
        return ""
    with Image.open(file) as picture:
        small = thumbnail(picture.convert("RGB"), f"the result of {record.id}")
    target = f"runs/{record.id}/{files.COMPARISON}"
    return tag("a", small, href=target) if linked and (path / target).exists() else small


def _score(column: Column, record: Record) -> Cell:
    value = column.read(record)
    return Cell(UNKNOWN if value is None else f"{value:{column.form}}", value)


def _groups(path: Path) -> Html:
    """The medians and quartiles of each group, as `table.csv` has them."""
    rows = _csv(path / "table.csv")
    axes = [name for name in rows[0] if name in AXES] if rows else []
    varied = [axis for axis in axes if len({row[axis] for row in rows}) > 1] or axes[-1:]
    known = [one for one in COLUMNS if any(row.get(f"{one.name}_median") for row in rows)]
    headers = [Header(axis, choices=True) for axis in varied]
    headers += [Header("runs", "number"), *(Header(one.title, "number") for one in known)]
    cells = [
        [
            *(Cell(row[axis]) for axis in varied),
            Cell(row["finished"], float(row["finished"])),
            *(_spread(one, row) for one in known),
        ]
        for row in rows
    ]
    said = tag("p", "The median over the finished runs of a group, with the quartiles.")
    return joined([said, sortable("groups-table", headers, cells, caption="Groups of runs")])


def _spread(column: Column, row: Mapping[str, str]) -> Cell:
    median, q1, q3 = (_number(row[f"{column.name}_{which}"]) for which in ("median", "q1", "q3"))
    if median is None:
        return Cell(UNKNOWN)
    around = "" if q1 == q3 else f" [{q1:{column.form}}, {q3:{column.form}}]"
    return Cell(f"{median:{column.form}}{around}", median)


# -------------------------------------------------------------------------------------- the plots


def _boxes(path: Path) -> list[Html]:
    """The box plots that the sweep's end made, from the numbers behind them."""
    charts: list[Html] = []
    for column in _charted():
        panels: dict[str, dict[str, list[float]]] = {}
        for row in _csv(path / "plots" / f"box-{column.name}.csv"):
            values = panels.setdefault(row["panel"], {}).setdefault(row["method"], [])
            values.append(float(row["value"]))
        for number, (panel, boxes) in enumerate(panels.items()):
            title = _title(column, panel, len(panels))
            charts.append(box_chart(f"box-{column.name}-{number}", title, boxes, _better(column)))
    return charts[:MOST_CHARTS]


def _lines(path: Path) -> list[Html]:
    """The line plots, over each axis of which entries have an x."""
    charts: list[Html] = []
    for axis in AXES:
        for column in _charted():
            panels: dict[str, dict[str, list[Mapping[str, str]]]] = {}
            for row in _csv(path / "plots" / f"line-{axis}-{column.name}.csv"):
                panels.setdefault(row["panel"], {}).setdefault(row["line"], []).append(row)
            for number, (panel, by_line) in enumerate(panels.items()):
                name = f"line-{axis}-{column.name}-{number}"
                title = _title(column, panel, len(panels))
                drawn = [_line(line, rows) for line, rows in by_line.items()]
                x = panel.partition(" · ")[0] or axis
                charts.append(line_chart(name, f"{title}, over {axis}", drawn, x, _better(column)))
    return charts[:MOST_CHARTS]


def _line(name: str, rows: Sequence[Mapping[str, str]]) -> Line:
    """A line through medians, with a band between quartiles."""
    points = [(float(row["x"]), _number(row["median"])) for row in rows]
    band = [(float(row["x"]), float(row["q1"]), float(row["q3"])) for row in rows if row["q1"]]
    return Line(name, points, band)


def _charted() -> list[Column]:
    return [one for one in COLUMNS if one.name in CHARTED]


def _title(column: Column, panel: str, panels: int) -> str:
    return column.title if panels == 1 or not panel else f"{column.title}: {panel}"


def _better(column: Column) -> str:
    return f"{column.title} ({column.better} is better)"


# ------------------------------------------------------------------------------------ what is left


def _studies(path: Path) -> list[Html]:
    """The numbers of the studies, and their sheets as far as there is room."""
    parts = []
    rows = _csv(path / "studies.csv")
    for study in dict.fromkeys(row["study"] for row in rows):
        mine = [
            [row["id"], row["column"], row["value"] or UNKNOWN]
            for row in rows
            if row["study"] == study
        ]
        numbers = table(["run", "what", "value"], mine, caption=f"Study {study}")
        parts += [tag("h3", study), folded(f"{len(mine)} numbers", numbers)]
        sheets = sorted((path / FOLDER / study).glob("*.png"))
        for file in sheets[:MOST_SHEETS]:
            with Image.open(file) as picture:
                width, height = picture.size
                source = data_uri(picture.convert("RGB"), SHEET)
            said = f"{study} of {file.stem}"
            image = tag("img", src=source, alt=said, width=width, height=height, class_="sheet")
            parts.append(folded(said, image))
        if len(sheets) > MOST_SHEETS:
            parts.append(tag("p", f"The first {MOST_SHEETS} of {len(sheets)} sheets are here."))
    return parts


def _repeat(path: Path) -> Html:
    """The sweep file; the command is in the table of the sweep, which knows its scale."""
    toml = (path / COPY).read_text("utf-8")
    return joined(
        [
            tag("p", "The sweep file ran so:"),
            command(_command(path)),
            tag("p", "The same command with --out and this folder makes what is missing in it."),
            folded(COPY, tag("pre", tag("code", toml))),
        ]
    )


def _command(path: Path) -> str:
    """The command that made the sweep, which is the first code in its table."""
    file = path / "table.md"
    text = file.read_text("utf-8") if file.exists() else ""
    lines = [line.strip("`") for line in text.splitlines() if line.startswith("`invprob bench")]
    return lines[0] if lines else f"invprob bench {COPY}"


def _csv(path: Path) -> list[dict[str, str]]:
    """The rows of a file; none where it is not there."""
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise file_error(path, error, "read") from None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
