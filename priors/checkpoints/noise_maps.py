"""Noise maps for a file that has none, as rosinality's first files. They are always the same."""

from collections.abc import Mapping

import torch
from torch import Tensor

from invprob.draws import normal
from invprob.streams import stream

SEED = 0
NOTE = f"noise maps: none in the file; drawn from the fixed seed {SEED}"


def is_noise_map(name: str) -> bool:
    """Whether a tensor of a generator, by its name there, is a noise map."""
    return name.endswith(".noise")


def lacking(names: Mapping[str, str], found: Mapping[str, object]) -> set[str]:
    """The noise maps of a generator, if a file has none of them; nothing if it has some.

    Args:
        names: The names of the file's tensors, by those of the generator's.
        found: The file's tensors by name.
    """
    maps = {name for name in names if is_noise_map(name)}
    return set() if any(names[name] in found for name in maps) else maps


def draw_noise_maps(own: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Standard normal noise maps, drawn in float32 in synthesis order.

    Args:
        own: The generator's tensors by name, which give the shapes.
        dtype: The type of the maps.
    """
    rng = stream(SEED, "noise maps")
    return {
        name: normal(value.shape, rng).to(dtype)
        for name, value in own.items()
        if is_noise_map(name)
    }
