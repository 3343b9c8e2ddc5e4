"""Whether what draws images and what measured them fit together."""

from typing import Literal

from invprob.errors import ShapeError
from invprob.types import Shape


def check_image_shapes(
    drawn: Shape, measured: Shape, what: Literal["prior", "generator"], name: str = ""
) -> None:
    """Refuse a prior that draws images of another shape than those that were measured.

    Args:
        drawn: the shape of its images.
        measured: the shape of the images that the operator reads.
        what: what draws them, for the message.
        name: how it is called.

    Raises:
        ShapeError: the shapes differ; the message says which side to change.
    """
    if drawn == measured:
        return
    who = f"the {what} {name}".strip()
    if drawn[1:] == measured[1:] and measured[0] == 1:
        raise ShapeError(
            f"{who} draws {drawn[0]} channels, but the measurements are of images of 1; compose "
            f"with luminance, which makes colour images grey: operator @ Luminance({drawn}), on "
            "the command line --operator … --operator luminance"
        )
    raise ShapeError(
        f"{who} draws {drawn}, but the measurements are of images of shape {measured}; measure at "
        f"the {what}'s size"
    )
