"""What shapes a StyleGAN2 generator takes, how a header says it, and what does not have them."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from invprob.errors import ArgumentError, GeneratorFileError
from invprob.types import Spec

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class GeneratorConfig:
    """What shapes a StyleGAN2 generator takes.

    `channels` lists the feature channels at 4, 8, ..., `resolution` pixels; `resolution` is a power
    of two from 8 to 1024. Of z, of a mapping network's inner layers and of a label's embedding the
    widths are `z_width`, `hidden_width` and `label_width`, 0 standing for `style_width`. A
    conditional generator draws one of `labels` classes. Features and colours are kept within
    ±`clamp`. Raises `ArgumentError` where they do not agree.
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
        """Widths from the mapping network's input to w; a label's embedding enters beside z."""
        inner = [self.hidden_width] * (self.mapping_layers - 1)
        return [self.z_width + self.label_width, *inner, self.style_width]

    @property
    def extended(self) -> bool:
        """Whether the first four fields do not say all."""
        return self != self._plain()

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values; of the later five only those that say something."""
        usual = asdict(self._plain())
        first = ("resolution", "channels", "style_width", "mapping_layers")
        told = {k: v for k, v in asdict(self).items() if k in first or v != usual[k]}
        return {**told, "channels": list(self.channels)}

    @classmethod
    def from_json(cls, spec: Spec) -> "GeneratorConfig":
        """The inverse of `to_json`; raises `ArgumentError` for missing, extra or wrong fields."""
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


def compare(
    path: str | Path, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise `GeneratorFileError` that names the first five tensors which do not match by shape."""
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
