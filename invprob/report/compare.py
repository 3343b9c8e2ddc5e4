"""The comparison of a run folder, for a solution at hand."""

import torch
from PIL import Image

from invprob.ambient import undisturbed
from invprob.calls import checked
from invprob.errors import ShapeError
from invprob.measurements import Measurements
from invprob.perceptual.distance import Absent
from invprob.report.comparison import draw_comparison
from invprob.run.results import Comparison, Panel, panels
from invprob.run.score import Grading, score, view
from invprob.solver.solution import Solution
from invprob.types import Images


@checked
@undisturbed()
def compare(
    solution: Solution, measurements: Measurements, truth: Images | None = None
) -> Image.Image:
    """Draw what was measured and what was restored side by side, with the scores.

    Args:
        solution: what `restore` or `solve` returned.
        measurements: what it was restored from.
        truth: the true images, (batch, channel, height, width) in [-1, 1]; with them their errors
            are drawn and scored. None: they are not known.

    Returns:
        The picture, a row for each image. A notebook draws it below a cell; `.save("compared.png")`
        writes it.

    Raises:
        ShapeError: the truth has another shape than the images.
    """
    operator, grading = measurements.operator(), Grading.of(measurements)
    image = solution.image.cpu().nan_to_num()
    if truth is not None and truth.shape != image.shape:
        raise ShapeError(
            f"truth must be of the shape of the images, {tuple(image.shape)}, got "
            f"{tuple(truth.shape)}"
        )
    mean = None if solution.prior is None else solution.prior.mean_image()
    left_out = Absent("a comparison of a solution at hand has none")
    with torch.no_grad():
        views = view(measurements, operator, mean)
        rows = score(image, truth, views, measurements, operator, left_out, grading)
    graded = grading(image)
    known = None if truth is None else grading(truth)
    shown = panels(views, grading, known=truth is not None)
    return _stacked(
        [
            draw_comparison(
                Comparison(
                    name=f"image {index + 1}" if len(rows) > 1 else "",
                    truth=None if known is None else known[index],
                    measured=[Panel(title, images[index]) for title, images in shown.items()],
                    result=graded[index],
                    scores=row,
                    caption=f"{operator!r}; {solution.outcome}",
                )
            )
            for index, row in enumerate(rows)
        ]
    )


def _stacked(pictures: list[Image.Image]) -> Image.Image:
    """Pictures below each other."""
    size = (max(one.width for one in pictures), sum(one.height for one in pictures))
    whole = Image.new("RGB", size, "white")
    top = 0
    for picture in pictures:
        whole.paste(picture, (0, top))
        top += picture.height
    return whole
