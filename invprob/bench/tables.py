"""The tables of a sweep: `table.md` for people, `table.csv` and `runs.csv` for programs."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from invprob.bench.markdown import plain, ruled
from invprob.bench.plan import Plan
from invprob.bench.records import Record
from invprob.bench.standing import UNKNOWN, cells_of, families_of, family_rows, method_rows
from invprob.bench.study_tables import study_rows, study_sections
from invprob.bench.summary import COLUMNS, Column, Group, Spread, groups
from invprob.bench.sweep import AXES, Sweep
from invprob.files import atomic_write
from invprob.version import __version__

TABLES = ("table.md", "table.csv", "runs.csv", "studies.csv")
SPREAD = ("count", "mean", "median", "q1", "q3", "deviation")


def write_tables(plan: Plan, records: Mapping[str, Record], out: Path) -> list[Path]:
    """Write the tables, and return their paths; `studies.csv` where there are studies."""
    axes = plan.sweep.group_by
    found = groups(plan, records, axes)
    paths = [out / name for name in TABLES[:3]]
    _write(paths[0], as_markdown(plan, records, found))
    _write(paths[1], as_csv(_group_rows(plan, found)))
    _write(paths[2], as_csv(_run_rows(plan, records)))
    if plan.sweep.studies:
        paths.append(out / TABLES[3])
        _write(paths[3], as_csv(study_rows(plan, records)))
    return paths


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV with a header: None becomes empty, and numbers have nine digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return text.getvalue()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return f"{value:.9g}" if isinstance(value, float) else value


def _group_rows(plan: Plan, found: Sequence[Group]) -> list[dict[str, Any]]:
    rows = []
    for group in found:
        row: dict[str, Any] = {
            **group.labels,
            "runs": group.runs,
            "finished": group.finished,
            "failed": group.failed,
            "lpips_network": plan.network,
        }
        for column in COLUMNS:
            spread = group.spreads[column.name]
            row.update({f"{column.name}_{key}": getattr(spread, key) for key in SPREAD})
        rows.append(row)
    return rows


def _run_rows(plan: Plan, records: Mapping[str, Record]) -> list[dict[str, Any]]:
    rows = []
    for run in plan.runs:
        record = records.get(run.id)
        scores = {} if record is None or record.scores is None else record.scores
        known = {one.name: None if record is None else one.read(record) for one in COLUMNS}
        rows.append(
            {
                "id": run.id,
                **{axis: run.at[axis] for axis in AXES},
                "status": "to do" if record is None else record.status,
                **known,
                "lpips_network": scores.get("lpips_network"),
                "psnr_pinv": scores.get("psnr_pinv"),
                "psnr_mean": scores.get("psnr_mean"),
                "outcome": scores.get("outcome"),
                "error": None if record is None else record.error,
                "budget_seconds": run.config.seconds,
                "seconds_a_step_before": None if record is None else record.pace,
                "threads": None if record is None else record.threads,
                "sessions": None if record is None else record.sessions,
            }
        )
    return rows


# --------------------------------------------------------------------------------------- Markdown


def as_markdown(plan: Plan, records: Mapping[str, Record], found: Sequence[Group]) -> str:
    """The table of groups, the settings behind it, and what failed or was left out."""
    sweep = plan.sweep
    lines = [f"# {sweep.name}", ""]
    if sweep.purpose:
        lines += [sweep.purpose, ""]
    lines += [*_settings(plan), ""]
    lines += _table(sweep.group_by, found, plan.network)
    lines += ["", *_notes(plan, found), ""]
    lines += _standing(sweep, found)
    lines += study_sections(plan, records)
    known = [record for run in plan.runs if (record := records.get(run.id)) is not None]
    failed = [one for one in known if one.status in ("failed", "diverged")]
    if failed:
        lines += ["## Failed runs", ""]
        lines += [f"- `{record.id}`: {plain(record.error or record.status)}" for record in failed]
        lines += [""]
    if plan.skipped:
        lines += ["## Left out", "", *(f"- {plain(reason)}" for reason in plan.skipped), ""]
    return "\n".join(lines)


def command_of(sweep: Sweep) -> str:
    """The command that makes the sweep, without this machine's paths."""
    scale = "" if sweep.scale is None else f" --scale {sweep.scale}"
    return f"invprob bench {Path(sweep.source).name}{scale}"


def _settings(plan: Plan) -> list[str]:
    sweep = plan.sweep
    limit, seconds = sweep.setting("steps"), sweep.setting("seconds")
    steps = "each method's own number of" if limit is None else f"{limit}"
    if seconds is not None:
        cap = "" if limit is None else f", at most {limit} steps"
        steps = f"as many as fit in {seconds:g} s a run{cap}"
    elif any("steps" in method.settings for method in sweep.methods):
        steps += "; some methods have their own number"
    pictures: dict[str, list[str]] = {}
    for run in plan.runs:
        names = pictures.setdefault(run.at["set"], [])
        if run.at["image"] not in names:
            names.append(run.at["image"])
    listed = "; ".join(f"{label}: {', '.join(names)}" for label, names in pictures.items())
    network = plan.network or f"none ({plain(plan.no_network.reason if plan.no_network else '')})"
    generator = str(plan.runs[0].definition["generator"])
    return [
        f"`{command_of(sweep)}`",
        "",
        f"- prior `{Path(sweep.setting('prior')).stem}` (fingerprint {generator[:12]}…)",
        f"- steps: {steps}",
        f"- images: {plain(listed)}",
        f"- seeds: {', '.join(map(str, sweep.seeds))}",
        f"- perceptual network: {network}",
        f"- invprob {__version__}, PyTorch {torch.__version__}",
    ]


def _table(axes: Sequence[str], found: Sequence[Group], network: str | None) -> list[str]:
    shown = [one for one in COLUMNS if any(group.spreads[one.name].count for group in found)]
    shown = [one for one in COLUMNS if one in shown or one.name == "lpips"]
    rows = [[*axes, "runs", *(title for one in shown for title in _titles(one, network))]]
    for group in found:
        of = "" if group.finished == group.runs else f" of {group.runs}"
        row = [*(group.labels[axis] for axis in axes), f"{group.finished}{of}"]
        rows.append(row + [cell for one in shown for cell in _cells(group.spreads[one.name], one)])
    return ruled(rows)


def _standing(sweep: Sweep, found: Sequence[Group]) -> list[str]:
    """How far methods are behind the best, and how their families compare, if there are several."""
    cells = cells_of(found) if "method" in sweep.group_by and len(sweep.methods) > 1 else []
    if not cells:
        return []
    lines = [
        "## Behind the best",
        "",
        "Median PSNR in dB over the runs of a cell, and how far it is behind the best. A method "
        "with a run that did not finish has no place in that cell. Cells with runs still to be "
        "made are not counted.",
        "",
        *ruled(method_rows(cells)),
        "",
    ]
    families = families_of(sweep)
    if len(families) > 1:
        lines += [*ruled(family_rows(cells, families)), ""]
    return lines


_COSTS = ("steps", "seconds_in_loop", "seconds", "peak_memory_mib", "gpu_memory_mib")


def _titles(column: Column, network: str | None) -> list[str]:
    title = network if column.name == "lpips" and network else column.title
    title += {"higher": " ↑", "lower": " ↓", "": ""}[column.better]
    return (
        [title] if column.name in _COSTS else [f"{title}: mean ± deviation", "median [quartiles]"]
    )


def _cells(spread: Spread, column: Column) -> list[str]:
    """The cells of a group; of a cost the mean alone."""

    def shown(value: float | None) -> str:
        return UNKNOWN if value is None else f"{value:{column.form}}"

    if column.name in _COSTS:
        return [shown(spread.mean)]
    if spread.mean is None:
        return [UNKNOWN, UNKNOWN]
    return [
        f"{shown(spread.mean)} ± {shown(spread.deviation)}",
        f"{shown(spread.median)} [{shown(spread.q1)}, {shown(spread.q3)}]",
    ]


def _notes(plan: Plan, found: Sequence[Group]) -> list[str]:
    notes = [
        "Means, medians and quartiles are over all runs of a row. The data misfit is the sum of "
        "squared differences to the measurements, divided by the number of image elements; its "
        "scale depends on the operator. Peak memory is the most that a run's process had resident, "
        "Python and libraries included. Seconds in all include loading and scoring. –: not known, "
        "or too few runs.",
    ]
    incomplete = sum(group.runs - group.finished - group.failed for group in found)
    failed = sum(group.failed for group in found)
    if incomplete:
        notes += ["", f"{incomplete} of {len(plan.runs)} runs are still to be made."]
    if failed:
        notes += ["", f"{failed} of {len(plan.runs)} runs failed and are not in the statistics."]
    return notes


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, "utf-8")
