"""From the inputs of a synthesis network to its image."""

import torch
from torch import Tensor

from invprob.errors import PriorError
from invprob.priors.stylegan.differences import NONE
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.inputs import LayerInput, SynthesisInputs
from invprob.types import Images


def synthesise(generator: Generator, inputs: SynthesisInputs) -> Images:
    """The images (batch, 3, height, width) of some inputs.

    Args:
        generator: the network that draws them.
        inputs: style rows or scales, perhaps content, noise maps and weights.

    Raises:
        PriorError: the inputs hold neither style rows nor all scales, or weights that do not fit
            the generator.
        ShapeError: an input has a shape that does not fit the generator.
    """
    content = content_of(generator, inputs)
    scales, noise = scales_of(generator, inputs), noise_of(generator, inputs)
    return generator.synthesis_from(
        content.layer,
        content.features,
        scales,
        noise,
        skip=content.skip,
        weights=inputs.weights or NONE,
    )


def scales_of(generator: Generator, inputs: SynthesisInputs) -> list[Tensor]:
    """The input scales of all modulated convolutions, (batch, inputs) each.

    Raises:
        PriorError: the inputs hold neither style rows nor all scales, or weights that do not fit
            the generator.
        ShapeError: a weight has a shape that does not fit the generator.
    """
    weights = inputs.weights or NONE
    if inputs.styles is not None:
        return generator.scales(inputs.styles, weights)
    idle = next((name for name in weights if ".affine." in name), None)
    if idle is not None:
        raise PriorError(
            f"weights {idle} turns style rows into scales, which are given: leave it out, or give "
            "styles"
        )
    scales, count = list(inputs.scales or ()), len(generator.modulations())
    if len(scales) < count:
        names = ", ".join(inputs.to_tensors()) or "nothing"
        raise PriorError(f"neither styles nor scales.{len(scales)} is among {names}")
    return scales[:count]


def noise_of(generator: Generator, inputs: SynthesisInputs) -> list[Tensor]:
    """A noise map for each synthesis layer: that of the inputs, else the generator's own."""
    noise = inputs.noise or {}
    return [noise.get(layer, own) for layer, own in enumerate(generator.noise_maps())]


def content_of(generator: Generator, inputs: SynthesisInputs) -> LayerInput:
    """What enters the network: that of the inputs, else the learned constant for each image."""
    if inputs.content is not None:
        return inputs.content
    styled = inputs.styles if inputs.styles is not None else next(iter(inputs.scales or ()), None)
    batch = 1 if styled is None else styled.shape[0]
    return LayerInput(generator.constant.expand(batch, -1, -1, -1))


@torch.no_grad()
def features_at(generator: Generator, layer: int, inputs: SynthesisInputs) -> tuple[Tensor, Images]:
    """What the inputs make of the image below a synthesis layer.

    Args:
        generator: the network.
        layer: index of the layer.
        inputs: what enters the network, at `layer` or below it.

    Returns:
        The features (batch, C, h, w) that enter the layer, and the RGB image made below it, which
        is black where there is none.

    Raises:
        PriorError: the inputs enter the network above `layer`.
    """
    content = content_of(generator, inputs)
    start, features, skip = content.layer, content.features, content.skip
    if start > layer:
        raise PriorError(f"layer {layer} lies below the features of layer {start}; go upwards")
    if start < layer:
        scales, noise = scales_of(generator, inputs), noise_of(generator, inputs)
        weights = inputs.weights or NONE
        features, skip = generator.partial(
            start, layer, features, scales, noise, skip=skip, weights=weights
        )
    if skip is None:
        # The last ToRGB below made it, at the size of the block below an even layer.
        size = generator.feature_shape(layer)[1] // (1 if layer % 2 else 2)
        skip = features.new_zeros(features.shape[0], 3, size, size)
    return features, skip
