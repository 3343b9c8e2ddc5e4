"""The shapes of a StyleGAN2 generator: its configuration, and checks of tensors against it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from invprob.calls import checked
from invprob.errors import ArgumentError, GeneratorFileError, ShapeError
from invprob.types import Spec

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)


@checked
@dataclass(frozen=True)
class GeneratorConfig:
    """The shape of a StyleGAN2 generator.

    Attributes:
        resolution: height and width of the images, a power of two from 8 to 1024.
        channels: feature channels at 4, 8, ..., `resolution` pixels.
        style_width: width of w.
        mapping_layers: number of layers of the mapping network.
        z_width: width of z; 0 stands for `style_width`.
        hidden_width: width of the mapping network's inner layers; 0 stands for `style_width`.
        labels: number of classes of a conditional generator, else 0.
        label_width: width of a label's embedding; 0 stands for `style_width`.
        clamp: bound of the absolute values of features and colours; None for no bound.

    Raises:
        ArgumentError: a value is out of range, or `channels` does not fit the resolution.
    """

    resolution: int
    channels: tuple[int, ...]
    style_width: int
    mapping_layers: int
    z_width: int = 0
    hidden_width: int = 0
    labels: int = 0
    label_width: int = 0
    clamp: float | None = None

    def __post_init__(self) -> None:
        size = self.resolution
        if size not in SIZES:
            raise ArgumentError(f"resolution must be a power of two from 8 to 1024, not {size}")
        if len(self.channels) != self.num_blocks or min(self.channels) < 1:
            raise ArgumentError(
                f"channels must hold {self.num_blocks} positive numbers for {size} px "
                f"(4, 8, ..., {size}), not {list(self.channels)}"
            )
        if self.style_width < 1 or self.mapping_layers < 1:
            raise ArgumentError(
                "style_width and mapping_layers must be at least 1, "
                f"not {self.style_width} and {self.mapping_layers}"
            )
        for name in ("z_width", "hidden_width", "labels", "label_width"):
            if getattr(self, name) < 0:
                raise ArgumentError(f"{name} must not be negative, not {getattr(self, name)}")
        if self.clamp is not None and not self.clamp > 0:
            raise ArgumentError(f"clamp must be positive, not {self.clamp}")
        # One spelling of each network, so that equal networks have equal configurations.
        inner = self.hidden_width if self.mapping_layers > 1 else 0
        object.__setattr__(self, "z_width", self.z_width or self.style_width)
        object.__setattr__(self, "hidden_width", inner or self.style_width)
        object.__setattr__(
            self, "label_width", (self.label_width or self.style_width) if self.labels else 0
        )

    @property
    def num_blocks(self) -> int:
        """Number of resolutions, 4 px included."""
        return int(math.log2(self.resolution)) - 1

    @property
    def num_layers(self) -> int:
        """Number of style rows, 2·log2(size) - 2."""
        return 2 * self.num_blocks

    @property
    def mapping_widths(self) -> list[int]:
        """Widths from the mapping network's input (z and a label's embedding) to w."""
        inner = [self.hidden_width] * (self.mapping_layers - 1)
        return [self.z_width + self.label_width, *inner, self.style_width]

    @property
    def extended(self) -> bool:
        """Whether one of the later five fields differs from its default."""
        return self != self._plain()

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values, without those of the later five that have their default."""
        usual = asdict(self._plain())
        first = ("resolution", "channels", "style_width", "mapping_layers")
        kept = {k: v for k, v in asdict(self).items() if k in first or v != usual[k]}
        return {**kept, "channels": list(self.channels)}

    @classmethod
    def from_json(cls, spec: Spec) -> "GeneratorConfig":
        """The inverse of `to_json`.

        Raises:
            ArgumentError: a field is missing, unknown or of another type.
        """
        known = [item.name for item in fields(cls)]
        expected, optional = set(known[:4]), set(known[4:])
        if not expected <= set(spec) <= expected | optional:
            raise ArgumentError(
                f"a generator config has the fields {sorted(expected)}, perhaps "
                f"{sorted(optional)}, not {sorted(spec)}"
            )
        channels, clamp = spec["channels"], spec.get("clamp")
        whole = [value for name, value in spec.items() if name not in ("channels", "clamp")]
        if not isinstance(channels, list) or not all(
            isinstance(value, int) for value in (*channels, *whole)
        ):
            raise ArgumentError(f"a generator config holds whole numbers, not {dict(spec)}")
        if clamp is not None and not isinstance(clamp, int | float):
            raise ArgumentError(f"clamp must be a number, not {clamp!r}")
        return cls(**{**spec, "channels": tuple(channels)})

    def _plain(self) -> "GeneratorConfig":
        return GeneratorConfig(
            self.resolution, self.channels, self.style_width, self.mapping_layers
        )


def check_noise(noise: Sequence[Tensor], batch: int, expected: Sequence[tuple[int, int]]) -> None:
    """Check that noise maps suit a generator.

    Args:
        noise: the maps.
        batch: number of images.
        expected: (h, w) of each map.

    Raises:
        ShapeError: one is missing, or is not (batch or 1, 1, h, w).
    """
    if len(noise) != len(expected):
        raise ShapeError(f"noise must hold {len(expected)} maps, not {len(noise)}")
    for index, (given, (height, width)) in enumerate(zip(noise, expected, strict=True)):
        if given.shape[0] not in (1, batch) or tuple(given.shape[1:]) != (1, height, width):
            raise ShapeError(
                f"noise map {index} must be ({batch} or 1, 1, {height}, {width}), "
                f"not {tuple(given.shape)}"
            )


def compare(
    path: str | Path, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> None:
    """Check that a file holds the tensors of a network.

    Args:
        path: the file, for the message.
        expected: shapes of the network's tensors, by name.
        found: shapes of the file's tensors, by name.

    Raises:
        GeneratorFileError: they differ. It names the first five differences.
    """
    problems = [f"{name} is missing" for name in expected if name not in found]
    problems += [f"{name} is not part of the network" for name in found if name not in expected]
    problems += [
        f"{name} is {found[name]}, not {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if problems:
        more = f", and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise GeneratorFileError(f"{path}: {'; '.join(problems[:5])}{more}")
