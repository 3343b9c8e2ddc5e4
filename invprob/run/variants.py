"""Variants of a picture that differ in one attribute: one operator, one option, several values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.registry import Option, options_of, register, suggest
from invprob.run.build import build_operator
from invprob.run.config import Named
from invprob.types import Images, Shape

# What registration can measure of the variants of an operator's option.
MEASURES = {
    ("rotate", "degrees"): "rotation",
    ("scale", "factor"): "zoom",
    ("brightness", "factor"): "brightness",
}


@dataclass(frozen=True)
class Varied:
    """An operator of which one option varies.

    Args:
        operator: its name, and its other options.
        option: the option that varies.
    """

    operator: Named
    option: str

    @property
    def attribute(self) -> str | None:
        """The attribute that registration measures in its pictures; None if there is none."""
        return MEASURES.get((self.operator.name, self.option))

    def at(self, value: float) -> Named:
        """The operator with a value.

        Raises:
            ArgumentError: the option takes whole numbers, and this is none.
        """
        option = numeric_options(self.operator.name)[self.option]
        number = int(value) if option.type is int and value == int(value) else value
        return replace(
            self.operator,
            settings={**self.operator.settings, self.option: option.read(number)},
        )


def numeric_options(operator: str) -> dict[str, Option]:
    """The options of an operator that are numbers.

    Raises:
        UnknownNameError: there is no such operator.
    """
    found = options_of(register.operator[operator])
    return {one.name: one for one in found if one.type in (int, float) and not one.choices}


def varied(operator: Named, option: str | None = None) -> Varied:
    """The option of an operator that varies: the one that is asked for, or else its only number.

    Args:
        operator: the operator, with options that do not vary.
        option: the name of the option that varies.

    Raises:
        UnknownNameError: there is no such operator.
        ArgumentError: it has no such option, none that is a number, or several.
    """
    numbers = numeric_options(operator.name)
    free = [name for name in numbers if name not in operator.settings]
    if option is None:
        required = [name for name in free if numbers[name].required]
        chosen = required if len(required) == 1 else free
        if len(chosen) == 1:
            return Varied(operator, chosen[0])
        if not free:
            raise ArgumentError(
                f"the operator {operator.name!r} has no option that is a number, so that it makes "
                "no variants; take another one, such as rotate"
            )
        forms = " or ".join(f"--by {operator.name}:{name}" for name in free)
        raise ArgumentError(
            f"the operator {operator.name!r} has several options that are numbers; say which one "
            f"varies: {forms}"
        )
    if option not in free:
        raise ArgumentError(
            f"the operator {operator.name!r} has no option {option!r} that is a number and is not "
            f"set.{suggest(option, free)} Known: {', '.join(free) or 'none'}."
        )
    return Varied(operator, option)


@torch.no_grad()
def make_variants(picture: Images, by: Varied, values: Sequence[float], *, seed: int = 0) -> Tensor:
    """Make variants of a picture.

    Args:
        picture: (1, channel, height, width) in [-1, 1].
        by: what makes them.
        values: one for each variant.
        seed: what a random operator draws from.

    Returns:
        The variants, (values, channel, height, width) in [-1, 1].

    Raises:
        ArgumentError: a value makes no sense.
        ShapeError: the operator does not fit the picture.
    """
    shape: Shape = tuple(picture.shape[1:])
    made = []
    for value in values:
        operator = build_operator([by.at(value)], shape, seed=seed)
        if operator.measurement_shape != shape:
            raise ArgumentError(
                f"the operator {by.operator.name!r} makes {operator.measurement_shape} of pictures "
                f"of shape {shape}, which are no variants of them; take one that keeps the shape, "
                "such as rotate"
            )
        made.append(operator(picture).clamp(-1, 1))
    return torch.cat(made)
