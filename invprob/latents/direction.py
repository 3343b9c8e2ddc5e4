"""A direction D in latents: w+ = w* + αD (SPHInX, section 4.2)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import torch
from torch import Tensor

from invprob.calls import checked
from invprob.errors import ArgumentError, ShapeError
from invprob.kinds import remedy
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.inputs import SynthesisInputs
from invprob.priors.stylegan.synthesis import scales_of


@remedy("find_direction('smile', generator)")
class Direction(ABC):
    """What an edit adds to the latents of an image, for a strength of 1.

    Attributes:
        name: what it is called.
        unit: what a strength of 1 is, in words.
        facts: what else is known of it, as JSON values.
    """

    name: str
    unit: str
    facts: Mapping[str, Any]

    @abstractmethod
    def check(self, generator: Generator) -> None:
        """Check that the direction has the depth and the width of a generator.

        Raises:
            ShapeError: it is of a generator of another width or depth.
        """

    @abstractmethod
    def move(
        self, generator: Generator, inputs: SynthesisInputs, strengths: Tensor
    ) -> SynthesisInputs:
        """The inputs of some images, moved along the direction.

        Args:
            generator: the network that draws them.
            inputs: of the images.
            strengths: how far each image moves, (batch,).

        Raises:
            ShapeError: the direction is of a generator of another width or depth.
        """

    @abstractmethod
    def within(self, rows: Sequence[int]) -> "Direction":
        """The direction in some style rows alone.

        Args:
            rows: numbers of style rows, from 0.

        Raises:
            ArgumentError: there is no such row, or the direction is nothing there.
        """


@final
@checked
@dataclass(frozen=True, eq=False)
class StyleDirection(Direction):
    """A direction in W+.

    Args:
        name: what it is called.
        rows: what is added to each style row, (layers, width); 0 in rows that it leaves alone.
        unit: what a strength of 1 is, in words.
        facts: what else is known of it, as JSON values.
    """

    name: str
    rows: Tensor
    unit: str = "the length of the vector"
    facts: Mapping[str, Any] = field(default_factory=dict)

    def check(self, generator: Generator) -> None:
        """Check that it has a row of the right width for each of the generator's."""
        expected = (generator.num_layers, generator.style_width)
        if tuple(self.rows.shape) != expected:
            raise ShapeError(
                f"the direction {self.name!r} is of {self.rows.shape[0]} style rows of width "
                f"{self.rows.shape[-1]}, but the generator {generator.source!r} has {expected[0]} "
                f"of width {expected[1]}; take a direction of this generator"
            )

    def move(
        self, generator: Generator, inputs: SynthesisInputs, strengths: Tensor
    ) -> SynthesisInputs:
        """w+ + αD; of scales (W++) what αD makes of them, as they are linear in w."""
        self.check(generator)
        rows = self.rows.to(generator.mean_w)
        steps = strengths.to(rows).view(-1, 1, 1) * rows
        if inputs.styles is not None:
            return replace(inputs, styles=inputs.styles + steps)
        moved = generator.scales(steps)
        still = generator.scales(torch.zeros_like(rows)[None])
        scales = scales_of(generator, inputs)
        each = zip(scales, moved, still, strict=True)
        return replace(inputs, scales=[scale + new - old for scale, new, old in each])

    def within(self, rows: Sequence[int]) -> "StyleDirection":
        """The direction in some rows; it is 0 in the others."""
        _check_rows(rows, len(self.rows))
        kept = torch.zeros_like(self.rows)
        kept[list(rows)] = self.rows[list(rows)]
        if not bool(kept.any()):
            raise ArgumentError(f"the direction {self.name!r} is 0 in the rows {list(rows)}")
        return replace(self, rows=kept)


@final
@checked
@dataclass(frozen=True, eq=False)
class ScaleDirection(Direction):
    """A direction in the space S of channel scales (StyleSpace), as StyleCLIP has global ones.

    Args:
        name: what it is called.
        scales: what is added to the scales of each modulated convolution, (inputs,) each, in the
            order of `Generator.modulations`.
        unit: what a strength of 1 is, in words.
        facts: what else is known of it, as JSON values.
    """

    name: str
    scales: Sequence[Tensor]
    unit: str = "the length of the vector"
    facts: Mapping[str, Any] = field(default_factory=dict)

    def check(self, generator: Generator) -> None:
        """Check that it has a scale for each of the generator's."""
        expected = [module.weight.shape[1] for _, module in generator.modulations()]
        found = [scale.numel() for scale in self.scales]
        if found != expected:
            raise ShapeError(
                f"the direction {self.name!r} has scales of {found}, but the generator "
                f"{generator.source!r} has {expected}; take a direction of this generator"
            )

    def move(
        self, generator: Generator, inputs: SynthesisInputs, strengths: Tensor
    ) -> SynthesisInputs:
        """s + αD. The images have scales from then on, in place of style rows."""
        self.check(generator)
        column = strengths.view(-1, 1)
        scales = [
            own + column.to(own) * step.to(own)
            for own, step in zip(scales_of(generator, inputs), self.scales, strict=True)
        ]
        # Weights that turn style rows into scales have done their work.
        weights = {
            name: value for name, value in (inputs.weights or {}).items() if ".affine." not in name
        }
        return replace(inputs, styles=None, scales=scales, weights=weights or None)

    def within(self, rows: Sequence[int]) -> "ScaleDirection":
        """The direction in the convolutions that use some style rows."""
        owners = _row_of_modulation(len(self.scales))
        _check_rows(rows, owners[-1] + 1)
        scales = [
            scale if row in rows else torch.zeros_like(scale)
            for row, scale in zip(owners, self.scales, strict=True)
        ]
        if not any(bool(scale.any()) for scale in scales):
            raise ArgumentError(f"the direction {self.name!r} is 0 in the rows {list(rows)}")
        return replace(self, scales=scales)


@final
@checked
@dataclass(frozen=True, eq=False)
class Together(Direction):
    """Several directions at once, each with the same strength; `together` makes it.

    Args:
        name: what it is called.
        parts: the directions.
        unit: what a strength of 1 is, in words.
        facts: what else is known of it, as JSON values.
    """

    name: str
    parts: Sequence[Direction]
    unit: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def check(self, generator: Generator) -> None:
        """Check each part."""
        for part in self.parts:
            part.check(generator)

    def move(
        self, generator: Generator, inputs: SynthesisInputs, strengths: Tensor
    ) -> SynthesisInputs:
        """Move along each part."""
        for part in self.parts:
            inputs = part.move(generator, inputs, strengths)
        return inputs

    def within(self, rows: Sequence[int]) -> "Together":
        """Each part in some rows."""
        return replace(self, parts=[part.within(rows) for part in self.parts])


@checked
def together(parts: Sequence[Direction]) -> Direction:
    """One direction that moves along several at once.

    Args:
        parts: the directions, at least one.

    Raises:
        ArgumentError: there is none.
    """
    if not parts:
        raise ArgumentError("parts must be one direction or more, not none")
    units = "; ".join(dict.fromkeys(part.unit for part in parts))
    return Together(" + ".join(part.name for part in parts), parts, units)


def _row_of_modulation(count: int) -> list[int]:
    """The style row of each modulated convolution; see `Generator.modulations`.

    Two of every three are synthesis layers, and after each even one comes a ToRGB.
    """
    rows: list[int] = []
    layer = 0
    while len(rows) < count:
        rows.append(layer)
        if layer % 2 == 0:
            rows.append(layer + 1)
        layer += 1
    return rows[:count]


def _check_rows(rows: Sequence[int], count: int) -> None:
    if not rows:
        raise ArgumentError("rows must be one style row or more, not none")
    for row in rows:
        if not 0 <= row < count:
            raise ArgumentError(f"rows must be from 0 to {count - 1}, not {row}")
