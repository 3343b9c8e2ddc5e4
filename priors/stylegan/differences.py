"""Weights of the synthesis network that an image has for itself, as differences from the trained.

A difference has the name of its tensor in the generator, such as "layers.3.weight", and the shape
(batch, *shape). A tensor without a difference is the trained one.
"""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from invprob.errors import PriorError, ShapeError, suggest

NONE: Mapping[str, Tensor] = MappingProxyType({})


def no_difference(own: Tensor, batch: int, dtype: torch.dtype | None = None) -> Tensor:
    """Zeros to start from.

    They lie in memory as the trained tensor does, with the images outermost. So their gradients do,
    and a step copies neither.

    Args:
        own: the trained tensor.
        batch: number of images.
        dtype: type of the differences; None takes that of the trained tensor.

    Returns:
        (batch, *shape).
    """
    order = sorted(range(own.ndim), key=own.stride, reverse=True)
    found = torch.empty_permuted(
        (batch, *own.shape),
        (0, *(1 + axis for axis in order)),
        dtype=own.dtype if dtype is None else dtype,
        device=own.device,
    )
    return found.zero_()


def check_weights(weights: Mapping[str, Tensor], batch: int, own: Mapping[str, Tensor]) -> None:
    """Check that differences suit a generator.

    Args:
        weights: the differences.
        batch: number of images.
        own: the trained weights that an image may have for itself, by name.

    Raises:
        PriorError: a name is unknown.
        ShapeError: a difference is not (batch, *shape).
    """
    for name, difference in weights.items():
        if name not in own:
            raise PriorError(
                f"weights must have names of the synthesis network, such as layers.0.weight, "
                f"not {name!r}.{suggest(name, own)}"
            )
        expected = (batch, *own[name].shape)
        if tuple(difference.shape) != expected:
            raise ShapeError(f"weights {name} must be {expected}, not {tuple(difference.shape)}")


def within(weights: Mapping[str, Tensor], module: str) -> dict[str, Tensor]:
    """The differences of one module, by their names in it."""
    prefix = f"{module}."
    return {
        name.removeprefix(prefix): difference
        for name, difference in weights.items()
        if name.startswith(prefix)
    }


def moved(own: Tensor, difference: Tensor | None) -> Tensor:
    """The tensors (batch or 1, *shape) of some images, in the type of the trained one."""
    return own[None] if difference is None else own + difference.to(own.dtype)
