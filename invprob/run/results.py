"""The end of a run: scores, pictures and files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from invprob.measurements import Measurements
from invprob.perceptual.distance import PerceptualDistance
from invprob.run import folder as files
from invprob.run.derived import Derived
from invprob.run.folder import RunFolder
from invprob.run.images import save_image
from invprob.run.job import Job
from invprob.run.measured_view import is_steep, logarithmic_images, picture_of_numbers
from invprob.run.paste import pasted
from invprob.run.score import Grading, Scores, Views, mean_scores, score, view
from invprob.solver.solution import Solution
from invprob.types import Images


@dataclass(frozen=True)
class Panel:
    """One picture (channel, height, width) in [-1, 1] and what it shows."""

    title: str
    image: torch.Tensor


@dataclass(frozen=True)
class Comparison:
    """What a comparison of one restored image shows.

    Args:
        name: what the image is called.
        truth: the true image, (channel, height, width) in [-1, 1]. None: it is not known.
        measured: the measurement, its pseudo-inverse, or both; empty where neither is an image.
        result: the restored image.
        scores: its scores by name.
        caption: how it was measured and restored, in one line.
        numbers: a picture of a measurement that is no image, for reports. None: it is an image.
    """

    name: str
    truth: torch.Tensor | None
    measured: Sequence[Panel]
    result: torch.Tensor
    scores: Mapping[str, Any]
    caption: str
    numbers: Panel | None = None


Draw = Callable[[Comparison, Path], None]


@dataclass(frozen=True)
class Finished:
    """A run at its end.

    Args:
        path: the folder.
        scores: the scores, of several images their means.
        images: the scores of each image by name; empty where there was but one.
        choices: what was chosen for the user, and why (`Choices.to_json`).
        diverged: whether the objective became NaN or infinite.
        again: whether the run had been finished before, so that nothing was left to do.
        comparisons: of each image; empty where the run had been finished before.
    """

    path: Path
    scores: Scores
    images: Mapping[str, Scores]
    choices: Mapping[str, Any]
    diverged: bool = False
    again: bool = False
    comparisons: Sequence[Comparison] = ()


def write_results(
    job: Job, folder: RunFolder, solution: Solution, seconds: float, draw: Draw | None
) -> Finished:
    """Write the solution, scores and pictures: those of one image flat, else in subfolders.

    Args:
        job: what was solved.
        folder: where to write; checkpoints are removed from it in the end.
        solution: how the solve ended.
        seconds: how long it took.
        draw: writes a comparison picture to a path. None: there will be none.

    Returns:
        The scores, and where they lie.
    """
    solution.save(folder.path / files.SOLUTION)
    operator, grading = job.operator.to("cpu"), job.grading
    if isinstance(job.network, PerceptualDistance):
        job.network.to("cpu")
    image = solution.image.cpu().nan_to_num()
    mean = job.recipe.prior.mean_image()
    with torch.no_grad():
        views = view(job.measurements, operator, mean)
        rows = score(image, job.truth, views, job.measurements, operator, job.network, grading)
    ends = {"steps": solution.steps, "seconds": seconds, "outcome": str(solution.outcome)}
    rows = [{**row, **ends, **_restarts(solution, index)} for index, row in enumerate(rows)]
    graded = grading(image)
    truth = None if job.truth is None else grading(job.truth)
    shown = panels(views, grading, known=truth is not None)
    several = len(rows) > 1
    derived = Derived(job.config, job.measurements, operator)
    comparisons: list[Comparison] = []
    for index, (name, row) in enumerate(zip(job.names, rows, strict=True)):
        prefix = f"{name}/" if several else ""
        save_image(graded[index], folder.place(prefix + files.IMAGE))
        whole = None
        if job.config.paste:
            whole = pasted(graded[index : index + 1], job.config, job.operator, index)
            save_image(whole, folder.place(prefix + files.PASTED))
        derived.write(folder, prefix, index, graded[index], whole)
        comparisons.append(
            Comparison(
                name=name,
                truth=None if truth is None else truth[index],
                measured=[Panel(title, images[index]) for title, images in shown.items()],
                result=graded[index],
                scores=row,
                caption=job.caption(solution, seconds),
                numbers=numbers_of(job.measurements, index, views),
            )
        )
        if draw is not None:
            draw(comparisons[-1], folder.place(prefix + files.COMPARISON))
        if several:
            folder.write_json(prefix + files.SCORES, row)
    images = dict(zip(job.names, rows, strict=True))
    means = mean_scores(rows)
    if several:  # which of its restarts an image kept is its own affair
        means = {name: value for name, value in means.items() if not name.startswith("restart")}
    folder.write_json(files.SCORES, {**means, "images": images} if several else means)
    folder.drop_progress()  # not before: what is interrupted here begins again from there
    return Finished(
        path=folder.path,
        scores=means,
        images=images if several else {},
        choices=folder.choices(),
        diverged=solution.outcome.status == "diverged",
        comparisons=comparisons,
    )


def _restarts(solution: Solution, index: int) -> Scores:
    """The data misfit that each restart of an image ended with, and which restart was kept."""
    if solution.restarts is None:
        return {}
    misfits = solution.restarts[:, index]
    kept = int(misfits.nan_to_num(torch.inf).argmin())
    listed = [float(one) if one.isfinite() else None for one in misfits]
    return {"restart": kept, "restart_misfits": listed}


def numbers_of(measurements: Measurements, index: int, views: Views) -> Panel | None:
    """A picture of the numbers that were measured of an image, where they are no image."""
    if views.measured is not None:
        return None
    return Panel(*picture_of_numbers(measurements.values[index]))


def _looks_like(image: Images, measured: Images | None) -> bool:
    """Whether an image shows no more than the pixels of a measurement, perhaps as larger blocks."""
    if measured is None:
        return False
    blocks = functional.interpolate(measured, image.shape[2:], mode="nearest-exact")
    return bool((blocks - image).abs().max() < 1 / 255)


def panels(views: Views, grading: Grading, *, known: bool = True) -> dict[str, Images]:
    """What was measured, by its title: y where it is like an image, else A⁺y.

    Where y has a range of its own, as the sums along the rays of CT have, it is drawn as a share of
    what a white image would give, and A⁺y beside it. Where a few values of y are far larger than
    all others, as at low frequencies, their logarithms are drawn. Where the truth is not known, A⁺y
    is drawn beside every y that differs from it, because there is nothing else to compare with.

    Args:
        views: what can be shown.
        grading: which images are grey ones.
        known: whether the truth is known.
    """
    of_images = views.like_image
    shown = {}
    if views.measured is not None and of_images:
        shown["measurement y"] = views.measured
    elif views.measured is not None and all(map(is_steep, views.measured)):
        shown["measurement y, logarithmic"] = logarithmic_images(views.measured)
    elif views.measured is not None and views.white:
        shown[f"measurement y / {views.white:.3g}"] = views.measured / views.white
    back = None if views.pinv is None else grading(views.pinv)
    if back is not None and not (of_images and (known or _looks_like(back, views.measured))):
        shown["pseudo-inverse of y"] = back
    return shown
