"""A word where a picture is unlike what the generator draws."""

from collections.abc import Sequence

from invprob.errors import EncoderError
from invprob.measurements import Measurements
from invprob.methods.likeness import Likeness, likeness
from invprob.methods.recipe import Recipe
from invprob.operators.base import Operator
from invprob.priors.encoder_files import load_encoder
from invprob.priors.encoders import ToolkitEncoder
from invprob.priors.stylegan.generator import Generator

MOST = 8  # images that are looked at


def unlike_notes(
    measurements: Measurements,
    operator: Operator,
    generator: Generator,
    names: Sequence[str],
    recipe: Recipe,
) -> list[str]:
    """Say which pictures the generator cannot draw.

    Args:
        measurements: the measurements.
        operator: the operator that measured them.
        generator: the generator that is searched.
        names: what the images are called.
        recipe: how they are restored.

    Returns:
        One line, or none: the generator can draw them, or has no encoder that could tell.
    """
    rows = slice(0, MOST)
    try:
        encoder = load_encoder(generator, "toolkit")
        assert isinstance(encoder, ToolkitEncoder)
        found = likeness(
            measurements.for_images(rows, operator), operator.for_images(rows), generator, encoder
        )
    except EncoderError:  # there is none, or nothing that it could look at
        return []
    which = found.unlike()
    return [_sentence(found, which, names, generator, recipe)] if which else []


def _sentence(
    found: Likeness,
    which: Sequence[int],
    names: Sequence[str],
    generator: Generator,
    recipe: Recipe,
) -> str:
    least = min(float(found.left[index]) for index in which)
    remedy = (
        "; its weights adapt to it"
        if recipe.choices.weights == "free" or recipe.contest is not None
        else "; expect a rough likeness, or take a method whose weights adapt, such as "
        "sphinx-adapted"
    )
    shown = ", ".join(names[index] for index in which[:3]) + (", ..." if len(which) > 3 else "")
    verb = "is" if len(which) == 1 else "are"
    return (
        f"{shown} {verb} unlike what {generator.source} draws: the nearest image that its encoder "
        f"finds leaves {least:.0%} of what the mean image leaves, of its own images at most "
        f"{found.own:.0%}{remedy}"
    )
