"""The StyleGAN2 generator: a mapping network z -> w and a synthesis network w+ -> image."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from invprob.errors import ArgumentError, ShapeError
from invprob.kinds import remedy
from invprob.priors.stylegan.blocks import Memory as Memory
from invprob.priors.stylegan.blocks import Precision as Precision
from invprob.priors.stylegan.blocks import run_layers
from invprob.priors.stylegan.differences import NONE, check_weights, within
from invprob.priors.stylegan.fused_layer import Features
from invprob.priors.stylegan.layers import SynthesisLayer, ToRGB, blank
from invprob.priors.stylegan.mapping import MappingNetwork
from invprob.priors.stylegan.shapes import SIZES, check_noise
from invprob.priors.stylegan.shapes import GeneratorConfig as GeneratorConfig
from invprob.types import Content, Images, NoiseMap, Shape, Styles, Vectors


@remedy("load_generator('faces-128')")
class Generator(MappingNetwork):
    """A StyleGAN2 generator with skip connections (Karras et al., CVPR 2020).

    It is frozen: gradients flow to its inputs alone. Weights are stored as they act, with the
    equalised learning rate folded in, so that every checkpoint format can be converted to them. In
    a new generator the constant, convolutions and noise maps are zeros, to be loaded or
    initialised.

    Args:
        config: resolution and widths.

    Attributes:
        constant: learned input of the synthesis network, (C, 4, 4).
        options: arguments that `load_generator` needs beside the source.
        dropped: names of the source's tensors that it leaves out with these options.
        notes: what it has that the source does not hold, a sentence each.
        memory: "low" computes each block again during the backward pass, for the same numbers.
        precision: "bf16" keeps features in bfloat16 while gradients are recorded.
    """

    constant: Tensor
    options: dict[str, int]
    dropped: tuple[str, ...]
    notes: tuple[str, ...]
    memory: Memory
    precision: Precision

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self.options = {}
        self.dropped = ()
        self.notes = ()
        self.memory = "normal"
        self.precision = "float32"
        width, channels, clamp = config.style_width, config.channels, config.clamp
        self.constant = nn.Parameter(blank(channels[0], 4, 4))
        shape: Any = {"width": width, "clamp": clamp}
        layers = [SynthesisLayer(channels[0], channels[0], size=4, doubling=False, **shape)]
        for block in range(1, config.num_blocks):
            before, here, size = channels[block - 1], channels[block], 4 << block
            layers.append(SynthesisLayer(before, here, size=size, doubling=True, **shape))
            layers.append(SynthesisLayer(here, here, size=size, doubling=False, **shape))
        self.layers = nn.ModuleList(layers)
        self.to_rgb = nn.ModuleList(ToRGB(count, width, clamp=clamp) for count in channels)
        self.requires_grad_(False)

    def __repr__(self) -> str:
        """One line, fit for messages; the layers would fill a page."""
        return f"Generator({self.source!r}, resolution={self.resolution})"

    @property
    def resolution(self) -> int:
        """Height and width of the images."""
        return self.config.resolution

    @property
    def num_layers(self) -> int:
        """Number of style rows, 2·log2(resolution) - 2."""
        return self.config.num_layers

    @property
    def image_shape(self) -> Shape:
        """(3, resolution, resolution)."""
        return (3, self.resolution, self.resolution)

    @property
    def content_shape(self) -> Shape:
        """Shape of the learned constant, (C, 4, 4)."""
        return tuple(self.constant.shape)

    @property
    def noise_shapes(self) -> list[tuple[int, int]]:
        """(h, w) of each noise map, in synthesis order."""
        return [(noise.shape[2], noise.shape[3]) for noise in self.noise_maps()]

    def noise_maps(self) -> list[NoiseMap]:
        """The stored noise maps, (1, 1, h, w) each, in synthesis order."""
        return [layer.noise for layer in self.synthesis_layers()]

    def synthesis_layers(self) -> list[SynthesisLayer]:
        """The modulated 3x3 convolutions, in synthesis order."""
        return [layer for layer in self.layers if isinstance(layer, SynthesisLayer)]

    def synthesis_weights(self) -> dict[str, Tensor]:
        """The trained weights that an image may have for itself, by their names here.

        They are those of synthesis layers and ToRGBs, laid out in memory as drawing needs them.
        """
        for layer in self.synthesis_layers():
            layer.lay_out()
        return {
            name: value
            for name, value in self.named_parameters()
            if name.startswith(("layers.", "to_rgb."))
        }

    def synthesis(
        self,
        styles: Styles,
        content: Content | None = None,
        noise: Sequence[NoiseMap] | None = None,
        weights: Mapping[str, Tensor] = NONE,
    ) -> Images:
        """Draw images from style rows, content and noise maps.

        Args:
            styles: (batch, num_layers, width).
            content: (batch, C, 4, 4); None uses the learned constant.
            noise: a map (batch or 1, 1, h, w) for each of `noise_shapes`; None uses the stored
                ones.
            weights: differences (batch, *shape) of each image's weights from the trained ones, by
                the names of `synthesis_weights`.

        Returns:
            (batch, 3, resolution, resolution), in about [-1, 1] and not clipped.

        Raises:
            PriorError: the synthesis network has no weight of some name.
            ShapeError: an input has another shape.
        """
        self._check_styles(styles, content)
        x = self.constant.expand(styles.shape[0], -1, -1, -1) if content is None else content
        return self.synthesis_from(0, x, self.scales(styles, weights), noise, weights=weights)

    def scales(self, styles: Styles, weights: Mapping[str, Tensor] = NONE) -> list[Tensor]:
        """The input scales s that style rows give, (batch, inputs) for each of `modulations`.

        Args:
            styles: (batch, num_layers, width).
            weights: as in `synthesis`; only those of affine layers count.

        Raises:
            PriorError: the synthesis network has no weight of some name.
            ShapeError: a weight has another shape.
        """
        rows = styles.unbind(1)
        if not weights:
            return [module.affine(rows[row]) for row, module in self.modulations()]
        check_weights(weights, len(styles), self.synthesis_weights())
        names = {module: name for name, module in self.named_modules()}
        return [
            module.affine.moved(rows[row], within(weights, f"{names[module]}.affine"))
            for row, module in self.modulations()
        ]

    def modulations(self) -> list[tuple[int, SynthesisLayer | ToRGB]]:
        """The modulated convolutions in the order of use, each with its style row.

        Synthesis layer i uses row i. After an even layer comes the ToRGB of its size, with row
        i + 1.
        """
        found: list[tuple[int, SynthesisLayer | ToRGB]] = []
        for index, layer in enumerate(self.synthesis_layers()):
            found.append((index, layer))
            if index % 2 == 0:
                to_rgb = self.to_rgb[index // 2]
                assert isinstance(to_rgb, ToRGB)
                found.append((index + 1, to_rgb))
        return found

    def feature_shape(self, layer: int) -> Shape:
        """(C, h, w) of the features that enter a synthesis layer.

        Raises:
            ArgumentError: there is no such layer.
        """
        last = self.num_layers - 2
        if not 0 <= layer <= last:
            raise ArgumentError(
                f"layer must be a synthesis layer from 0 to {last} of this generator, not {layer}"
            )
        size = 4 << (layer // 2)
        return (self.synthesis_layers()[layer].weight.shape[1], size, size)

    def synthesis_from(
        self,
        layer: int,
        features: Tensor,
        scales: Sequence[Tensor],
        noise: Sequence[NoiseMap] | None = None,
        *,
        skip: Images | None = None,
        weights: Mapping[str, Tensor] = NONE,
    ) -> Images:
        """Draw images from the features that enter a synthesis layer.

        Args:
            layer: index of the layer; nothing below it is used.
            features: (batch, C, h, w) of `feature_shape(layer)`.
            scales: what `scales(styles)` returns, or free ones (W++).
            noise: as in `synthesis`.
            skip: RGB image that the blocks below have made; None is black.
            weights: as in `synthesis`; those of affine layers do not count here.

        Returns:
            (batch, 3, resolution, resolution), in about [-1, 1] and not clipped.

        Raises:
            ArgumentError: there is no such layer.
            PriorError: the synthesis network has no weight of some name.
            ShapeError: an input has another shape.
        """
        layers = range(layer, self.num_layers - 1)
        _, image = self._run(layers, features, scales, noise, skip, weights)
        assert image is not None  # the last layer is even, so that a ToRGB ran
        return image

    def partial(
        self,
        start: int,
        stop: int,
        features: Tensor,
        scales: Sequence[Tensor],
        noise: Sequence[NoiseMap] | None = None,
        *,
        skip: Images | None = None,
        weights: Mapping[str, Tensor] = NONE,
    ) -> tuple[Tensor, Images | None]:
        """Run some synthesis layers.

        Args:
            start: index of the first layer.
            stop: index of the layer before which to stop.
            features: those that enter layer `start`.
            scales: as in `synthesis_from`.
            noise: as in `synthesis`.
            skip: as in `synthesis_from`.
            weights: as in `synthesis_from`.

        Returns:
            The features that enter layer `stop`, and the RGB image made below it, if any.

        Raises:
            ArgumentError: there is no layer `start` or `stop`.
            PriorError: the synthesis network has no weight of some name.
            ShapeError: an input has another shape.
        """
        self.feature_shape(stop)
        left, image = self._run(range(start, stop), features, scales, noise, skip, weights)
        return left.plain(), image

    def _run(
        self,
        layers: range,
        features: Tensor,
        scales: Sequence[Tensor],
        noise: Sequence[NoiseMap] | None,
        skip: Images | None,
        weights: Mapping[str, Tensor],
    ) -> tuple[Features, Images | None]:
        """Features and RGB image behind some layers."""
        expected = self.feature_shape(layers.start)
        if tuple(features.shape[1:]) != expected:
            raise ShapeError(
                f"the features that enter layer {layers.start} must be (batch, *{expected}), "
                f"not {tuple(features.shape)}"
            )
        if noise is not None:
            check_noise(noise, features.shape[0], self.noise_shapes)
        if weights:
            check_weights(weights, features.shape[0], self.synthesis_weights())
        return run_layers(
            self.layers,
            self.to_rgb,
            layers,
            features,
            skip,
            scales,
            self.noise_maps() if noise is None else noise,
            weights,
            memory=self.memory,
            precision=self.precision,
        )

    def forward(self, z: Vectors) -> Images:
        """Draw images from z, with one w for all layers and the stored noise maps."""
        return self.synthesis(self.mapping(z).unsqueeze(1).expand(-1, self.num_layers, -1))

    def truncate(self, resolution: int) -> "Generator":
        """The same network up to a resolution, which shares its tensors.

        Its images are the sum of the lower ToRGB layers, which StyleGAN2 trains to be a picture.
        It has the first style rows and noise maps; W and its mean are the same.

        Args:
            resolution: a power of two from 8 to that of this generator.

        Raises:
            ArgumentError: it has no such resolution.
        """
        if resolution not in SIZES or resolution > self.resolution:
            raise ArgumentError(
                f"resolution must be a power of two from 8 to {self.resolution}, the size of the "
                f"generator {self.source!r}, not {resolution}"
            )
        if resolution == self.resolution:
            return self
        blocks = int(math.log2(resolution)) - 1
        config = replace(self.config, resolution=resolution, channels=self.config.channels[:blocks])
        layers = [f"layers.{index}" for index in range(2 * blocks - 1, len(self.layers))]
        colours = [f"to_rgb.{index}" for index in range(blocks, len(self.to_rgb))]
        return self._derived(
            config,
            dict(self.state_dict()),
            {**self.options, "resolution": resolution},
            (*layers, *colours, *self.dropped),
        )

    def with_label(self, label: int) -> "Generator":
        """The unconditional generator of one class: the label's embedding becomes a bias.

        Its mean w is that of the class, over 10,000 draws of a fixed seed.

        Args:
            label: number of the class, from 0.

        Raises:
            ArgumentError: there is no such class, or the generator is not conditional.
        """
        count, width = self.config.labels, self.z_width
        if not count:
            raise ArgumentError(
                f"the generator {self.source!r} is not conditional: leave --label out"
            )
        if not 0 <= label < count:
            raise ArgumentError(f"label must be from 0 to {count - 1}, not {label}")
        tensors = dict(self.state_dict())
        own = self.constant
        labels = torch.eye(count, dtype=own.dtype, device=own.device)
        embedded = self._embed(labels[label : label + 1])
        del tensors["label_embedding.weight"], tensors["label_embedding.bias"]
        first = tensors["mapping_layers.0.weight"]
        tensors["mapping_layers.0.weight"] = first[:, :width].clone()
        tensors["mapping_layers.0.bias"] = (
            tensors["mapping_layers.0.bias"] + first[:, width:] @ embedded[0]
        )
        config = replace(self.config, labels=0, label_width=0)
        chosen = self._derived(config, tensors, {**self.options, "label": label}, self.dropped)
        chosen.mean_w = chosen.measured_mean_w()
        return chosen

    def _derived(
        self,
        config: GeneratorConfig,
        tensors: dict[str, Tensor],
        options: dict[str, int],
        dropped: tuple[str, ...],
    ) -> "Generator":
        """A generator of those of the tensors that its configuration has."""
        with torch.device("meta"):
            derived = Generator(config)
        own = {name: tensors[name] for name in derived.state_dict()}
        derived.load_state_dict(own, assign=True)
        derived.requires_grad_(False)
        derived.source, derived.options, derived.dropped = self.source, options, dropped
        derived.notes = self.notes
        return derived.train(self.training)

    def _check_styles(self, styles: Tensor, content: Tensor | None) -> None:
        if styles.ndim != 3 or tuple(styles.shape[1:]) != (self.num_layers, self.style_width):
            raise ShapeError(
                f"styles must be (batch, {self.num_layers}, {self.style_width}), "
                f"not {tuple(styles.shape)}"
            )
        batch = styles.shape[0]
        if content is not None and tuple(content.shape) != (batch, *self.content_shape):
            raise ShapeError(
                f"content must be {(batch, *self.content_shape)}, not {tuple(content.shape)}"
            )
