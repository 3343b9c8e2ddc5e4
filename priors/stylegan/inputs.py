"""What a synthesis network is given: style, content and noise, with their names in files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from torch import Tensor

from invprob.errors import PriorError
from invprob.types import Images, NoiseMap, Styles


@dataclass(frozen=True, eq=False)
class LayerInput:
    """The features at which a synthesis network is entered.

    Attributes:
        features: (batch, C, h, w), the input of synthesis layer `layer`.
        layer: index of a synthesis layer. Layer 0 has 4x4 content, in place of the learned
            constant.
        skip: RGB image (batch, 3, h', w') that the blocks below `layer` have made, to which the
            rest is added; None stands for black.
    """

    features: Tensor
    layer: int = 0
    skip: Images | None = None


@dataclass(frozen=True, eq=False)
class SynthesisInputs:
    """The inputs of a synthesis network. An input that is None is left to the generator.

    Attributes:
        styles: style rows, one for each layer.
        scales: the input scales of every modulated convolution, (batch, inputs) each, which style
            rows would give. They are used where `styles` is None (W++).
        content: what enters the network. If None, the learned constant enters.
        noise: noise maps by synthesis layer. A layer without one uses the generator's own.
        weights: differences (batch, *shape) of each image's weights from the trained ones, by the
            generator's names, such as "layers.3.weight". A weight without one is the trained one.
    """

    styles: Styles | None = None
    scales: Sequence[Tensor] | None = None
    content: LayerInput | None = None
    noise: Mapping[int, NoiseMap] | None = None
    weights: Mapping[str, Tensor] | None = None

    def to_tensors(self) -> dict[str, Tensor]:
        """The inputs by the names that files use.

        Returns:
            "styles"; "scales.{i}" in the order of use; "content" for layer 0, "features.{layer}"
            for a higher one, with "skip"; "noise.{layer}"; "weights.{name}".
        """
        tensors: dict[str, Tensor] = {}
        if self.styles is not None:
            tensors["styles"] = self.styles
        for index, scale in enumerate(self.scales or ()):
            tensors[f"scales.{index}"] = scale
        if self.content is not None:
            layer = self.content.layer
            tensors[f"features.{layer}" if layer else "content"] = self.content.features
            if self.content.skip is not None:
                tensors["skip"] = self.content.skip
        for layer, noise in (self.noise or {}).items():
            tensors[f"noise.{layer}"] = noise
        for name, difference in (self.weights or {}).items():
            tensors[f"weights.{name}"] = difference
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "SynthesisInputs":
        """The inverse of `to_tensors`; other names are ignored.

        Raises:
            PriorError: scales are missing between others.
        """
        scales = _numbered("scales", tensors)
        missing = [index for index in range(len(scales)) if index not in scales]
        if missing:
            raise PriorError(f"scales.{missing[0]} is not among {', '.join(tensors)}")
        content = None
        if "content" in tensors:
            content = LayerInput(tensors["content"])
        for layer, features in _numbered("features", tensors).items():
            content = LayerInput(features, layer, tensors.get("skip"))
        return cls(
            styles=tensors.get("styles"),
            scales=[scales[index] for index in range(len(scales))] or None,
            content=content,
            noise=_numbered("noise", tensors) or None,
            weights=_named("weights", tensors) or None,
        )


def joined(pieces: Iterable[SynthesisInputs]) -> SynthesisInputs:
    """All inputs that some piece has; a later piece replaces an earlier one."""
    given = {
        field.name: getattr(piece, field.name)
        for piece in pieces
        for field in fields(piece)
        if getattr(piece, field.name) is not None
    }
    return SynthesisInputs(**given)


def _numbered(kind: str, tensors: Mapping[str, Tensor]) -> dict[int, Tensor]:
    """The tensors called "{kind}.{number}", by number."""
    return {int(number): tensor for number, tensor in _named(kind, tensors).items()}


def _named(kind: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors called "{kind}.{name}", by name."""
    prefix = f"{kind}."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
