"""A converter is a table. Each row has our tensor, theirs, and the bijection between the two."""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from invprob.errors import GeneratorFileError
from invprob.priors.checkpoints.reading import RawCheckpoint
from invprob.priors.stylegan.shapes import GeneratorConfig

MAPPING_RATE = 0.01  # the mapping network's weights are stored 100 times too large
_LINE = torch.tensor([1.0, 3, 3, 1], dtype=torch.float32, device="cpu")
FILTER = torch.outer(_LINE, _LINE) / 64


@dataclass(frozen=True)
class Fold:
    """An arrangement of axes.

    Args:
        read: Makes our view of their tensor.
        write: Makes their view of our tensor.
    """

    read: Callable[[Tensor], Tensor]
    write: Callable[[Tensor], Tensor]

    def then(self, other: "Fold") -> "Fold":
        """The arrangement that reads by this one first, then by `other`."""
        return Fold(
            lambda theirs: other.read(self.read(theirs)),
            lambda ours: self.write(other.write(ours)),
        )


def _flipped(kernel: Tensor) -> Tensor:
    """A kernel turned by 180°. On the meta device, where flips take seconds, it stays as it is."""
    return kernel if kernel.is_meta else kernel.flip(2, 3)


SAME = Fold(lambda theirs: theirs, lambda ours: ours)
FIRST = Fold(lambda theirs: theirs[0], lambda ours: ours[None])  # a leading axis of one
TURNED = Fold(lambda theirs: theirs.T, lambda ours: ours.T)
FLIPPED = Fold(_flipped, _flipped)
MAP = Fold(lambda theirs: theirs[None, None], lambda ours: ours[0, 0])  # (h, w) -> (1, 1, h, w)
COLUMN = Fold(lambda theirs: theirs[0, :, 0, 0], lambda ours: ours[None, :, None, None])
# TensorFlow's kernels are (h, w, inputs, outputs).
KERNEL = Fold(lambda theirs: theirs.permute(3, 2, 0, 1), lambda ours: ours.permute(2, 3, 1, 0))
GREY = Fold(lambda theirs: theirs.expand(3, *theirs.shape[1:]), lambda ours: ours[:1])


@dataclass(frozen=True)
class Row:
    """A line of the table: ours = gain · (theirs with its axes arranged) + offset.

    Args:
        ours: The name of our tensor.
        theirs: The name of their tensor.
        fold: The arrangement of axes.
        gain: A factor.
        offset: A summand.
    """

    ours: str
    theirs: str
    fold: Fold = SAME
    gain: float = 1.0
    offset: float = 0.0

    def their_shape(self, ours: Tensor) -> tuple[int, ...]:
        """The shape that their tensor must have."""
        return tuple(self.fold.write(ours).shape)

    def read(self, theirs: Tensor) -> Tensor:
        """Our tensor, contiguous; where possible it reuses the memory of theirs."""
        ours = self.fold.read(theirs).contiguous()
        if self.gain != 1:
            ours.mul_(self.gain)
        return ours if self.offset == 0 else ours.add_(self.offset)

    def write(self, ours: Tensor) -> Tensor:
        """Their tensor, contiguous, in new memory."""
        theirs = ours if self.offset == 0 else ours - self.offset
        return self.fold.write(theirs / self.gain).contiguous()


class Layout(ABC):
    """How one program names, arranges and scales a generator's tensors."""

    mean_w: str  # name of the mean of w, which may be missing in a file
    unused: frozenset[str] = frozenset()  # tensors without effect on an image

    @abstractmethod
    def config(self, raw: RawCheckpoint) -> GeneratorConfig:
        """The structure of the network, from shapes and attributes.

        Raises:
            GeneratorFileError: It is another network than we have.
        """

    @abstractmethod
    def rows(self, raw: RawCheckpoint, config: GeneratorConfig) -> list[Row]:
        """The table, with a row for each of our tensors except the mean of w."""

    @abstractmethod
    def filters(self, config: GeneratorConfig) -> Mapping[str, float]:
        """Names under which a file may hold the low-pass filter (1, 3, 3, 1), with their gains."""


@dataclass(frozen=True)
class Shapes:
    """The shapes of a checkpoint's tensors."""

    tensors: Mapping[str, Tensor]

    def of(self, name: str, axes: int) -> tuple[int, ...]:
        """The shape of a tensor that must exist and have `axes` axes (`GeneratorFileError`)."""
        if name not in self.tensors:
            raise GeneratorFileError(f"{name} is missing")
        shape = tuple(self.tensors[name].shape)
        if len(shape) != axes:
            raise GeneratorFileError(f"{name} is {shape}, not of {axes} axes")
        return shape

    def embedding(self, name: str) -> tuple[int, int]:
        """The two axes of the embedding of labels; (0, 0) where there is none."""
        if name not in self.tensors:
            return 0, 0
        first, second = self.of(name, 2)
        return first, second

    def numbers(self, pattern: str) -> list[int]:
        """The numbers that stand in names in place of `{}`, ascending."""
        expression = re.compile(re.escape(pattern).replace(r"\{\}", r"(\d{1,4})"))
        found = (expression.fullmatch(name) for name in self.tensors)
        return sorted(int(match[1]) for match in found if match)


def structure(
    channels: Sequence[int],
    depth: int,
    first: tuple[int, ...],
    last: tuple[int, ...],
    *,
    labels: int = 0,
    label_width: int = 0,
    clamp: float | None = None,
) -> GeneratorConfig:
    """The structure of a network, from what the shapes of its tensors say.

    Args:
        channels: The channels of each block.
        depth: The number of layers of the mapping network.
        first: The shape of the first of their weights, (outputs, inputs).
        last: That of the last.
        labels: The number of classes; 0 for a network without labels.
        label_width: The width of what a label becomes before the mapping network.
        clamp: The bound of features, if there is one.
    """
    return GeneratorConfig(
        resolution=2 << len(channels),
        channels=tuple(channels),
        mapping_layers=depth,
        z_width=first[1] - label_width,
        hidden_width=first[0],
        style_width=last[0],
        labels=labels,
        label_width=label_width,
        clamp=clamp,
    )


def inputs_of(config: GeneratorConfig, layer: int) -> int:
    """Input channels of a synthesis layer."""
    return config.channels[layer // 2]


def fan_in(*factors: int) -> float:
    """1 / sqrt(fan-in), the gain of an equalised learning rate."""
    return 1 / math.sqrt(math.prod(factors))


def attribute(raw: RawCheckpoint, module: str, name: str, default: Any) -> Any:
    """An attribute of one of their modules, or `default` where it has none."""
    return raw.attributes.get(module, {}).get(name, default)
