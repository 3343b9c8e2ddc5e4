"""Plots of a sweep if matplotlib is installed, and the numbers behind them in any case."""

import importlib.util
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invprob.bench.plan import Plan
from invprob.bench.records import Record
from invprob.bench.series import (
    PLOTTED,
    Boxes,
    Lines,
    box_rows,
    boxes,
    line_axes,
    line_rows,
    lines,
)
from invprob.bench.summary import Column
from invprob.bench.tables import as_csv
from invprob.files import atomic_write
from invprob.version import install_command

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MISSING = f"no plots, because matplotlib is not installed; to get them: {install_command('bench')}"
MOST_PANELS = 12


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def write_plots(plan: Plan, records: Mapping[str, Record], out: Path) -> list[Path]:
    """Write `plots/*.csv` and, if matplotlib is installed, `plots/*.png`; returns the paths."""
    folder = out / "plots"
    written: list[Path] = []
    for column in PLOTTED:
        found = boxes(plan, records, column)
        if not found:
            continue
        folder.mkdir(exist_ok=True)
        title = _title(plan, column)
        written.append(_data(folder / f"box-{column.name}.csv", box_rows(found)))
        if can_draw():
            figure = draw_boxes(found, title)
            written.append(_picture(figure, folder / f"box-{column.name}.png"))
        for axis in line_axes(plan):
            over = lines(plan, records, column, axis)
            if not over:
                continue
            name = f"line-{axis}-{column.name}"
            written.append(_data(folder / f"{name}.csv", line_rows(over)))
            if can_draw():
                written.append(_picture(draw_lines(over, title, axis), folder / f"{name}.png"))
    return written


def draw_boxes(found: Boxes, title: str) -> "Figure":
    """A box for each method: median, quartiles, whiskers to 1.5 interquartile ranges, outliers."""
    figure, axes = _panels(list(found))
    for panel, by_method in list(found.items())[:MOST_PANELS]:
        names = list(by_method)
        axes[panel].boxplot(list(by_method.values()), orientation="horizontal", tick_labels=names)
        axes[panel].invert_yaxis()
        axes[panel].set_xlabel(title)
    return figure


def draw_lines(found: Lines, title: str, axis: str) -> "Figure":
    """Lines through the medians, with a band between the quartiles."""
    figure, axes = _panels(list(found))
    for panel, by_line in list(found.items())[:MOST_PANELS]:
        for name, points in by_line.items():
            x = [point.x for point in points]
            medians = [_number(point.spread.median) for point in points]
            (drawn,) = axes[panel].plot(x, medians, marker="o", markersize=3, label=name)
            low = [_number(point.spread.q1) for point in points]
            high = [_number(point.spread.q3) for point in points]
            axes[panel].fill_between(x, low, high, color=drawn.get_color(), alpha=0.15, linewidth=0)
        axes[panel].set_xlabel(panel.partition(" · ")[0] or axis)
        axes[panel].set_ylabel(title)
        axes[panel].legend(fontsize=7)
    return figure


def _panels(titles: Sequence[str]) -> "tuple[Figure, dict[str, Axes]]":
    """A figure without a window, and its axes by panel; at most `MOST_PANELS` are drawn."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = titles[:MOST_PANELS]
    columns = min(3, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(5.0 * columns, 3.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = {title: figure.add_subplot(rows, columns, at + 1) for at, title in enumerate(shown)}
    if len(titles) > len(shown):
        figure.suptitle(f"the first {len(shown)} of {len(titles)} panels; all are in the data")
    for title, one in axes.items():
        one.set_title(title, fontsize=9)
        one.grid(alpha=0.25)
    return figure, axes


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _title(plan: Plan, column: Column) -> str:
    title = plan.network if column.name == "lpips" and plan.network else column.title
    return f"{title} ({column.better} is better)"


def _data(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    with atomic_write(path) as temporary:
        temporary.write_text(as_csv(rows), "utf-8")
    return path


def _picture(figure: "Figure", path: Path) -> Path:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})
    return path
