"""The studies of a sweep: each is made of every finished run, once."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from invprob.bench.plan import Plan, Planned
from invprob.bench.records import Record
from invprob.bench.studies import Studied, Study
from invprob.errors import InvprobError
from invprob.files import file_error
from invprob.latents.distance import Distance
from invprob.perceptual.distance import find_perceptual
from invprob.report.figure import Target

FOLDER = "studies"


def make_studies(
    plan: Plan,
    records: Mapping[str, Record],
    out: Path,
    save: Callable[[Record], None],
    tell: Callable[[str], None],
) -> None:
    """Study the runs that are finished and were not studied yet.

    Args:
        plan: the sweep and its runs.
        records: of the runs, by id.
        out: the folder of the sweep; sheets go to `studies/` in it.
        save: keeps a record with what was found.
        tell: is told what is done, a line each.

    Raises:
        FileError: a sheet cannot be written.
    """
    sweep = plan.sweep
    if not sweep.studies:
        return
    distance = Distance.of(
        find_perceptual(sweep.setting("perceptual"), sweep.setting("lpips_weights"))
    )
    by_labels = {_key(run.at): run for run in plan.runs}
    for study in sweep.studies:
        for run in plan.runs:
            record = records.get(run.id)
            if record is None or not record.good or not study.concerns(run.at):
                continue
            if study.label in record.studies:
                continue
            labels = study.partner(run.at)
            partner = None if labels is None else by_labels.get(_key(labels))
            if labels is not None and (partner is None or not _finished(records, partner)):
                continue
            found = _study(study, run, partner, out, distance)
            studies = {**record.studies, study.label: found}
            save(dataclasses.replace(record, studies=studies))
            tell(f"{run.id}: {study.label}")


def _study(
    study: Study, run: Planned, partner: Planned | None, out: Path, distance: Distance
) -> Mapping[str, float | None] | str:
    """The numbers of a study, whose figure is written; or why it cannot be made."""
    folder = out / "runs" / run.id
    other = None if partner is None else out / "runs" / partner.id
    try:
        studied = study.measure(folder, other, distance)
    except InvprobError as error:
        return " ".join(str(error).split())
    _write(studied, out / FOLDER / study.label, run.id)
    return dict(studied.numbers)


def _write(studied: Studied, folder: Path, name: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise file_error(folder, error, "made") from None
    Target.of(folder / f"{name}.png", name, overwrite=True).write(studied.figure)


def _finished(records: Mapping[str, Record], run: Planned) -> bool:
    record = records.get(run.id)
    return record is not None and record.good


def _key(at: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """A run's labels without that of its set of images."""
    return tuple(sorted((axis, label) for axis, label in at.items() if axis != "set"))
