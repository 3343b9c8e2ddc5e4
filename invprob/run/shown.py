"""The pictures of a run: at its end as they are at hand, later as its folder has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from invprob.errors import InvprobError
from invprob.measurements import Measurements
from invprob.run import folder as files
from invprob.run.build import load_plugins
from invprob.run.captions import measured_by, restored_by
from invprob.run.inputs import load_truth
from invprob.run.job import image_names
from invprob.run.record import RunRecord
from invprob.run.results import Comparison, Panel, numbers_of, panels
from invprob.run.score import Grading, view
from invprob.solver.solution import Solution


@dataclass(frozen=True, eq=False)
class Shown:
    """The pictures of one image of a run, each (channel, height, width) in [-1, 1].

    Args:
        name: what the image is called.
        truth: the true image. None: it is not known.
        measured: the measurement, its pseudo-inverse, or both; a measurement that is no image is
            shown by its numbers.
        result: the restored image. None: the run is not finished.
        scores: by name; empty where the run is not finished.
    """

    name: str
    truth: Tensor | None
    measured: Sequence[Panel]
    result: Tensor | None
    scores: Mapping[str, Any]

    @classmethod
    def of(cls, comparison: Comparison) -> "Shown":
        """What a comparison shows."""
        one = comparison
        return cls(one.name, one.truth, _both(one.numbers, one.measured), one.result, one.scores)


@dataclass(frozen=True)
class Showing:
    """All pictures of a run.

    Args:
        caption: how they were measured and restored, in one line.
        images: what is shown of each.
        notes: what could not be shown, and why, a sentence each.
    """

    caption: str
    images: Sequence[Shown]
    notes: Sequence[str] = ()

    @classmethod
    def of(cls, comparisons: Sequence[Comparison]) -> "Showing":
        """What a run that has just ended has at hand."""
        return cls(comparisons[0].caption, [Shown.of(one) for one in comparisons])


def show(record: RunRecord) -> Showing:
    """What the folder of a run has: the measurements are looked at anew, and the truth is read.

    Args:
        record: of the run.

    Raises:
        InvprobError: the measurements or the solution are damaged, or what measured is not known.
    """
    load_plugins(record.config)
    measurements = Measurements.load(record.path / files.MEASUREMENTS)
    operator, grading = measurements.operator(), Grading.of(measurements)
    truth, notes = _truth(record, measurements)
    truth = None if truth is None else grading(truth)
    with torch.no_grad():
        views = view(measurements, operator, None)
    shown = panels(views, grading, known=truth is not None)
    result = None
    if record.finished:
        result = grading(Solution.load(record.path / files.SOLUTION).image.cpu().nan_to_num())
    images = [
        Shown(
            name=name,
            truth=None if truth is None else truth[index],
            measured=_both(
                numbers_of(measurements, index, views),
                [Panel(title, batch[index]) for title, batch in shown.items()],
            ),
            result=None if result is None else result[index],
            scores=record.of_image(name),
        )
        for index, name in enumerate(image_names(measurements, record.config))
    ]
    caption, scores = measured_by(measurements, operator), record.scores
    if record.finished:
        by = restored_by(record.config.method.name, scores["steps"], scores["seconds"])
        caption = f"{caption} · {by}"
    return Showing(caption, images, notes)


def _both(numbers: Panel | None, others: Sequence[Panel]) -> list[Panel]:
    return [*([] if numbers is None else [numbers]), *others]


def _truth(record: RunRecord, measurements: Measurements) -> tuple[Tensor | None, tuple[str, ...]]:
    """The true images, if they are known and still there, and why not otherwise."""
    if not record.config.simulated:
        return None, ()
    try:
        truth = load_truth(record.config, measurements.image_shape[-1]).images
    except InvprobError as error:
        return None, (f"The true image is not shown: {error}.",)
    if len(truth) != len(measurements.values):
        return None, ("The true image is not shown: there are other pictures now.",)
    return truth, ()
