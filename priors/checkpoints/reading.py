"""What a generator file of any program holds, as plain tensors and numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

Format = Literal["native", "rosinality", "nvidia", "nvidia-tf", "genforce", "psp"]


@dataclass(frozen=True)
class RawCheckpoint:
    """Tensors by the names of their own program, and the attributes that shapes do not tell."""

    format: Format
    tensors: Mapping[str, Tensor]
    attributes: Mapping[str, Any]
    notes: tuple[str, ...]
