"""Weights of the synthesis network that an image has for itself, as differences from the trained.

A difference has the name of its tensor in the generator, such as "layers.3.weight", and the shape
(batch, *shape). A tensor without a difference is the trained one.
"""

from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor, nn

from invprob.errors import PriorError, ShapeError, suggest

NONE: Mapping[str, Tensor] = MappingProxyType({})


def weights_of(generator: nn.Module) -> dict[str, Tensor]:
    """The trained weights that an image may have for itself: those of the synthesis network.

    Returns:
        The generator's own tensors by name, which are those of its layers and ToRGBs.
    """
    return {
        name: value
        for name, value in generator.named_parameters()
        if name.startswith(("layers.", "to_rgb."))
    }


def check_weights(weights: Mapping[str, Tensor], batch: int, own: Mapping[str, Tensor]) -> None:
    """Check that differences suit a generator.

    Args:
        weights: the differences.
        batch: number of images.
        own: what `weights_of` returns.

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


def moved(own: Tensor, difference: Tensor | None, batch: int) -> Tensor:
    """The tensors (batch, *shape) of some images, in the type of the trained one."""
    if difference is None:
        return own.expand(batch, *own.shape)
    return own + difference.to(own.dtype)
