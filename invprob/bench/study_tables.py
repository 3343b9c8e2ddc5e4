"""The tables of studies: a row for each group of runs, as in the other tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from invprob.bench.markdown import plain, ruled
from invprob.bench.plan import Plan
from invprob.bench.records import Record
from invprob.bench.studies import Study
from invprob.bench.summary import Spread

UNKNOWN = "–"


def study_sections(plan: Plan, records: Mapping[str, Record]) -> list[str]:
    """A section of Markdown for each study: median and quartiles over the runs of a row."""
    lines: list[str] = []
    for study in plan.sweep.studies:
        groups = _groups(plan, records, study)
        columns = list(dict.fromkeys(name for _, rows in groups for row in rows for name in row))
        lines += [f"## {plain(study.label)}", ""]
        if not columns:
            lines += ["Nothing was studied yet.", ""]
        else:
            table: list[Sequence[str]] = [[*plan.sweep.group_by, "runs", *columns]]
            for labels, rows in groups:
                cells = [_cell([row.get(name) for row in rows]) for name in columns]
                table.append([*labels, str(len(rows)), *cells])
            lines += ["Median [quartiles] over the runs of a row.", "", *ruled(table), ""]
        reasons = _reasons(plan, records, study)
        lines += [f"- `{run}`: {plain(reason)}" for run, reason in reasons.items()]
        lines += [""] if reasons else []
    return lines


def study_rows(plan: Plan, records: Mapping[str, Record]) -> list[dict[str, Any]]:
    """Each number of each study in a row of its own."""
    return [
        {"study": study.label, "id": run.id, **run.at, "column": name, "value": value}
        for study in plan.sweep.studies
        for run in plan.runs
        for name, value in (_found(records, run.id, study) or {}).items()
    ]


def _groups(
    plan: Plan, records: Mapping[str, Record], study: Study
) -> list[tuple[tuple[str, ...], list[Mapping[str, float | None]]]]:
    """What was found of the runs that share labels, in the order of the sweep."""
    pooled: dict[tuple[str, ...], list[Mapping[str, float | None]]] = {}
    for run in plan.runs:
        found = _found(records, run.id, study)
        if found is not None:
            labels = tuple(run.at[axis] for axis in plan.sweep.group_by)
            pooled.setdefault(labels, []).append(found)
    return list(pooled.items())


def _found(
    records: Mapping[str, Record], run_id: str, study: Study
) -> Mapping[str, float | None] | None:
    """The numbers that a study found of a run, if there are any."""
    record = records.get(run_id)
    found = None if record is None else record.studies.get(study.label)
    return None if found is None or isinstance(found, str) else found


def _reasons(plan: Plan, records: Mapping[str, Record], study: Study) -> dict[str, str]:
    """Why runs could not be studied, by their ids."""
    found: dict[str, str] = {}
    for run in plan.runs:
        record = records.get(run.id)
        reason = None if record is None else record.studies.get(study.label)
        if isinstance(reason, str):
            found[run.id] = reason
    return found


def _cell(values: Sequence[float | None]) -> str:
    spread = Spread.of(values)
    if spread.median is None:
        return UNKNOWN
    if spread.count == 1:
        return f"{spread.median:.4g}"
    return f"{spread.median:.4g} [{spread.q1:.4g}, {spread.q3:.4g}]"
