"""How the synthesis layers of a generator are run: block by block, sparing memory if asked to."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from invprob.fast.filters import upsample
from invprob.priors.stylegan.differences import within
from invprob.priors.stylegan.fused_layer import Features

Memory = Literal["normal", "low"]
Precision = Literal["float32", "bf16"]


def run_layers(
    layers: nn.ModuleList,
    to_rgb: nn.ModuleList,
    indices: range,
    features: Tensor,
    image: Tensor | None,
    scales: Sequence[Tensor],
    maps: Sequence[Tensor],
    weights: Mapping[str, Tensor],
    *,
    memory: Memory,
    precision: Precision,
) -> tuple[Features, Tensor | None]:
    """Run some synthesis layers; each ToRGB's image is added to the doubled one before it.

    Args:
        layers: all synthesis layers.
        to_rgb: one ToRGB after each even layer.
        indices: the layers to run, in a row.
        features: (batch, C, h, w) that enter the first of them.
        image: RGB image made below, if any.
        scales: input scales of all modulated convolutions.
        maps: noise maps of all layers.
        weights: differences from the trained weights, by the generator's names.
        memory: "low" computes each block again during the backward pass, for the same numbers.
        precision: "bf16" keeps features in bfloat16 while gradients are recorded.

    Returns:
        The features behind the last layer, and the image made so far.
    """
    current = Features.of(features)
    if precision == "bf16" and torch.is_grad_enabled():
        current = current._replace(values=features.bfloat16())
    for _, block in itertools.groupby(indices, key=lambda index: (index + 1) // 2):
        arguments = (layers, to_rgb, list(block), current, image, scales, maps, weights)
        if memory == "low" and torch.is_grad_enabled():
            current, image = checkpoint(
                _run_block, *arguments, use_reentrant=False, preserve_rng_state=False
            )
        else:
            current, image = _run_block(*arguments)
    return current, image


def _run_block(
    layers: nn.ModuleList,
    to_rgb: nn.ModuleList,
    indices: Sequence[int],
    features: Features,
    image: Tensor | None,
    scales: Sequence[Tensor],
    maps: Sequence[Tensor],
    weights: Mapping[str, Tensor],
) -> tuple[Features, Tensor | None]:
    """Run the layers of one size.

    Scale 3(i // 2) + 2(i % 2) is that of layer i, the one after an even layer's that of its ToRGB.
    """
    for index in indices:
        place = 3 * (index // 2) + 2 * (index % 2)
        own = within(weights, f"layers.{index}")
        features = layers[index](features, scales[place], maps[index], own)
        if index % 2 == 0:
            own = within(weights, f"to_rgb.{index // 2}")
            rgb: Tensor = to_rgb[index // 2](features, scales[place + 1], own)
            image = rgb if image is None else upsample(image) + rgb
    return features, image
