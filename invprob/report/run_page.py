"""The report of a run, as one page: what came out, how far to trust it, and how to repeat it."""

from collections.abc import Sequence
from pathlib import Path

from invprob.report.embedded import Level, level_for, thumbnail
from invprob.report.markup import Html, joined, tag
from invprob.report.page import contents, notice, section, write_page
from invprob.report.run_pictures import Pictures, picture_part, window_controls
from invprob.report.run_settings import (
    candidates_part,
    choices_part,
    environment_part,
    files_part,
    repeat_part,
    settings_part,
)
from invprob.report.scores import SCORES, numbers, score_text
from invprob.report.tables import Cell, Column, sortable
from invprob.run.images import to_pillow
from invprob.run.record import RunRecord, phases
from invprob.run.shown import Showing, show

MOST_THUMBNAILS = 300
MOST = 24  # images with pictures and curves of their own; the others are in the table


def write_run_report(path: Path, out: Path, showing: Showing | None = None) -> None:
    """Write the report of a run.

    Args:
        path: the folder of the run, which may be unfinished.
        out: the file; one of that name is replaced.
        showing: its pictures, where they are at hand. None: they are made from the folder.

    Raises:
        RunError: there is no run in the folder, or it has not begun.
        InvprobError: a file of the folder is damaged, or the page cannot be written.
    """
    record = RunRecord.read(path)
    title, content = run_content(record, showing or show(record))
    write_page(title, content, out)


def run_content(record: RunRecord, showing: Showing) -> tuple[str, Html]:
    """The title and the content of the report of a run."""
    title = _title(record, showing)
    pictures = [Pictures.of(one) for one in showing.images[:MOST]]
    level = level_for([view.picture for view in pictures[0].views], len(pictures))
    several = len(showing.images) > 1
    parts: list[tuple[str, str, list[Html]]] = []
    if record.finished:
        parts.append(("scores", "Scores", [_scores(record, several=several)]))
    if several:
        parts.append(("images", "All images", [_all_images(showing)]))
    parts.append(("pictures", "Pictures", _pictures(record, showing, pictures, level)))
    if record.candidates:
        parts.append(("candidates", "Methods that were tried", [candidates_part(record)]))
    if record.choices:
        parts.append(("choices", "What was chosen, and why", [choices_part(record)]))
    parts.append(("repeat", "Repeat this run", [repeat_part(record)]))
    parts.append(("settings", "Settings", [settings_part(record)]))
    parts.append(("environment", "Versions and machine", [environment_part(record)]))
    parts.append(("files", "Files in the folder", [files_part(record.path)]))
    content = joined(
        [
            tag("h1", title),
            tag("p", showing.caption, class_="lead"),
            *map(notice, _notices(record, showing, level)),
            contents([(name, heading) for name, heading, _ in parts]),
            *(section(name, heading, *inside) for name, heading, inside in parts),
        ]
    )
    return title, content


def _title(record: RunRecord, showing: Showing) -> str:
    images = showing.images
    what = images[0].name if len(images) == 1 else f"{len(images)} images"
    return f"{what}, restored by {record.config.method.name}"


def _notices(record: RunRecord, showing: Showing, level: Level) -> list[str]:
    """What the reader should know before anything else, a paragraph each."""
    said = []
    if not record.finished:
        said.append(
            f"This run is not finished: {record.steps} steps are in its trace, and there is no "
            f"result yet. To go on: invprob resume {record.path}"
        )
    elif "NaN or infinite" in str(record.scores["outcome"]):
        said.append(f"This run diverged: {record.scores['outcome']}. Its picture means nothing.")
    said += showing.notes
    if record.finished and record.config.simulated is False:
        said.append(
            "The true image is not known, so nothing here says how near the result is to it. The "
            "data misfit says how well it explains the measurements."
        )
    if level.words:
        said.append(
            f"To keep this page small, its pictures are {level.words}. Those in the folder of the "
            "run are exact."
        )
    if len(showing.images) > MOST:
        said.append(
            f"The first {MOST} of {len(showing.images)} images have pictures and curves here; the "
            "table has all of them."
        )
    return said


def _scores(record: RunRecord, *, several: bool) -> Html:
    lead = tag("p", "Means over all images.") if several else Html()
    ended = tag(
        "p", f"How it ended: {record.scores['outcome']}, in {record.scores['seconds']:.1f} s."
    )
    return joined([lead, numbers(record.scores), ended])


def _pictures(
    record: RunRecord, showing: Showing, pictures: Sequence[Pictures], level: Level
) -> list[Html]:
    """The pictures and curves of each image, under headings of level 3 where there are several."""
    several = len(showing.images) > 1
    parts = [window_controls()]
    for index, one in enumerate(pictures):
        lines = {name: phases(rows, index) for name, rows in record.traces.items()}
        heading = tag("h3", one.shown.name) if several else None
        parts.append(picture_part(f"image-{index + 1}", one, lines, level, heading))
    return parts


def _all_images(showing: Showing) -> Html:
    """A table of all images, which sorts."""
    known = [
        score
        for score in SCORES
        if any(one.scores.get(score.name) is not None for one in showing.images)
    ]
    pictured = len(showing.images) <= MOST_THUMBNAILS
    rows = []
    for number, one in enumerate(showing.images, 1):
        name = tag("a", one.name, href=f"#image-{number}") if number <= MOST else one.name
        picture: str = ""
        if one.result is not None and pictured:
            picture = thumbnail(to_pillow(one.result), f"the result of {one.name}")
        values = [one.scores.get(score.name) for score in known]
        cells = map(Cell, (score_text(score, one.scores) for score in known), values)
        rows.append([Cell(picture), Cell(name), *cells])
    columns = [Column("result", "picture"), Column("image")]
    columns += [Column(score.title, "number") for score in known]
    return sortable("all-images", columns, rows, caption="Scores of all images")
