"""The numbers behind the plots of a sweep: boxes by method, and lines over an axis that has x."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from invprob.bench.plan import Plan, Planned
from invprob.bench.records import Record
from invprob.bench.summary import COLUMNS, Column, Spread
from invprob.bench.sweep import CHOSEN, NOTHING, Choice

PLOTTED = tuple(one for one in COLUMNS if one.name in ("psnr", "ssim", "lpips", "data_misfit"))


@dataclass(frozen=True)
class Point:
    """The statistics at one x."""

    x: float
    label: str
    spread: Spread


Boxes = dict[str, dict[str, list[float]]]  # panel -> method -> values
Lines = dict[str, dict[str, list[Point]]]  # panel -> line -> points


def boxes(plan: Plan, records: Mapping[str, Record], column: Column) -> Boxes:
    """The values of each method, with a panel for each combination of the other grouping axes."""
    axes = [axis for axis in plan.sweep.group_by if axis != "method"]
    found: Boxes = {}
    for run, value in _values(plan, records, column):
        panel = _title(plan, run, axes)
        found.setdefault(panel, {}).setdefault(run.at["method"], []).append(value)
    return found


def line_axes(plan: Plan) -> list[str]:
    """The axes on which two entries or more have an x."""
    return [
        axis
        for axis in CHOSEN
        if len({one.x for one in plan.sweep.choices(axis) if one.x is not None}) > 1
    ]


def lines(plan: Plan, records: Mapping[str, Record], column: Column, axis: str) -> Lines:
    """A line for each method over the x of an axis, with panels by family and by the other axes.

    If the axis is the method itself, there is a line for each family of methods.
    """
    choices: dict[str, Choice] = {one.label: one for one in plan.sweep.choices(axis)}
    others = [one for one in ("set", *CHOSEN) if one not in (axis, "method")]
    others = [one for one in others if one != "set" or "set" in plan.sweep.group_by]
    pooled: dict[str, dict[str, dict[str, list[float]]]] = {}
    for run, value in _values(plan, records, column):
        choice = choices[run.at[axis]]
        if choice.x is None:
            continue
        family = choice.family or axis
        line = family if axis == "method" else run.at["method"]
        title = _title(plan, run, others)
        panel = title if axis == "method" else " · ".join(filter(None, (family, title)))
        at = pooled.setdefault(panel, {}).setdefault(line, {})
        at.setdefault(choice.label, []).append(value)
    return {
        panel: {
            line: sorted(
                (
                    Point(float(choices[label].x or 0), label, Spread.of(values))
                    for label, values in at.items()
                ),
                key=lambda point: point.x,
            )
            for line, at in by_line.items()
        }
        for panel, by_line in pooled.items()
    }


def box_rows(found: Boxes) -> list[dict[str, Any]]:
    """The values of boxes, one in each row."""
    return [
        {"panel": panel, "method": method, "value": value}
        for panel, by_method in found.items()
        for method, values in by_method.items()
        for value in values
    ]


def line_rows(found: Lines) -> list[dict[str, Any]]:
    """The points of lines, one in each row."""
    return [
        {
            "panel": panel,
            "line": line,
            "x": point.x,
            "label": point.label,
            "count": point.spread.count,
            "median": point.spread.median,
            "q1": point.spread.q1,
            "q3": point.spread.q3,
        }
        for panel, by_line in found.items()
        for line, points in by_line.items()
        for point in points
    ]


def _values(
    plan: Plan, records: Mapping[str, Record], column: Column
) -> list[tuple[Planned, float]]:
    pairs = []
    for run in plan.runs:
        record = records.get(run.id)
        if record is not None and record.good and (value := column.read(record)) is not None:
            pairs.append((run, value))
    return pairs


def _title(plan: Plan, run: Planned, axes: list[str]) -> str:
    """The labels of a run on these axes, without those that all runs share."""
    varied = [axis for axis in axes if len({one.at[axis] for one in plan.runs}) > 1]
    labels = [run.at[axis] for axis in varied]
    return " · ".join(label for label in labels if label != NOTHING or len(labels) == 1)
