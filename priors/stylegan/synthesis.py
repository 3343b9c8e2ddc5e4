"""From a solution's tensors to the image: which layer is entered, with what."""

from collections.abc import Mapping

import torch
from torch import Tensor

from invprob.errors import PriorError
from invprob.priors.stylegan.generator import Generator
from invprob.types import Images


def synthesise(generator: Generator, drawn: Mapping[str, Tensor]) -> Images:
    """Draw the image of style rows or scales, content or features, and noise maps, by name."""
    layer, features = entering(generator, drawn)
    scales, noise = scales_of(generator, drawn), noise_of(generator, drawn)
    return generator.synthesis_from(layer, features, scales, noise, skip=drawn.get("skip"))


def scales_of(generator: Generator, drawn: Mapping[str, Tensor]) -> list[Tensor]:
    """The input scales of all modulated convolutions."""
    if "styles" in drawn:
        return generator.scales(drawn["styles"])
    count = len(generator.modulations())
    missing = [index for index in range(count) if f"scales.{index}" not in drawn]
    if missing:
        raise PriorError(f"neither styles nor scales.{missing[0]} is among {', '.join(drawn)}")
    return [drawn[f"scales.{index}"] for index in range(count)]


def noise_of(generator: Generator, drawn: Mapping[str, Tensor]) -> list[Tensor]:
    """The noise maps; the generator's own where none is named."""
    return [drawn.get(f"noise.{index}", own) for index, own in enumerate(generator.noise_maps())]


def entering(generator: Generator, drawn: Mapping[str, Tensor]) -> tuple[int, Tensor]:
    """The layer that is entered and what enters it; the constant where nothing is named."""
    for name, tensor in drawn.items():
        if name.startswith("features."):
            return int(name.removeprefix("features.")), tensor
    if "content" in drawn:
        return 0, drawn["content"]
    named = drawn.get("styles", drawn.get("scales.0"))
    batch = 1 if named is None else named.shape[0]
    return 0, generator.constant.expand(batch, -1, -1, -1)


@torch.no_grad()
def drawn_below(
    generator: Generator, layer: int, drawn: Mapping[str, Tensor]
) -> tuple[Tensor, Images]:
    """The features that enter `layer` and the RGB image made below it, zero where there is none.

    Raises `PriorError` where `drawn` enters above `layer`.
    """
    start, features = entering(generator, drawn)
    if start > layer:
        raise PriorError(f"layer {layer} lies below the features of layer {start}; go upwards")
    skip = drawn.get("skip")
    if start < layer:
        scales, noise = scales_of(generator, drawn), noise_of(generator, drawn)
        features, skip = generator.partial(start, layer, features, scales, noise, skip=skip)
    if skip is None:
        # What is carried was made by the last ToRGB, at the size of the block below an even layer.
        size = generator.feature_shape(layer)[1] // (1 if layer % 2 else 2)
        skip = features.new_zeros(features.shape[0], 3, size, size)
    return features, skip
