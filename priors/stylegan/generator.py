"""The StyleGAN2 generator: a mapping network z -> w and a synthesis network w+ -> image."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from invprob.errors import ArgumentError, ShapeError
from invprob.fast.filters import upsample
from invprob.priors.stylegan.fused_layer import Features
from invprob.priors.stylegan.layers import Affine, SynthesisLayer, ToRGB, activate, normalise
from invprob.priors.stylegan.shapes import SIZES
from invprob.priors.stylegan.shapes import GeneratorConfig as GeneratorConfig
from invprob.streams import stream
from invprob.types import Content, Images, NoiseMap, Shape, Styles, Vectors

MEAN_DRAWS = 10_000  # draws of w behind a mean w that a file does not hold
Memory = Literal["normal", "low"]
Precision = Literal["float32", "bf16"]


class Generator(nn.Module):
    """A StyleGAN2 generator with skip connections (Karras et al., CVPR 2020).

    It is frozen: gradients flow to its inputs only. Weights are stored as they act (learning-rate
    equalisation folded in), which is what every checkpoint format can be brought to. Constant,
    convolutions and noise maps of a new one are zeros, to be loaded or initialised.
    """

    constant: Tensor
    mean_w: Tensor
    source: str  # the name or path it was loaded from; "memory" where there is none
    options: dict[str, int]  # what `load_generator` needs beside the source, and
    dropped: tuple[str, ...]  # which parts of the source it leaves out then
    memory: Memory  # "low": backward draws each block again, for the same numbers
    precision: Precision  # "bf16": features in bfloat16 while gradients are recorded

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.source = "memory"
        self.options = {}
        self.dropped = ()
        self.memory = "normal"
        self.precision = "float32"
        width, channels, clamp = config.style_width, config.channels, config.clamp
        if config.labels:
            self.label_embedding = Affine(config.labels, config.label_width)
        self.mapping_layers = nn.ModuleList(
            Affine(before, here) for before, here in itertools.pairwise(config.mapping_widths)
        )
        self.register_buffer("mean_w", torch.zeros(width))
        self.constant = nn.Parameter(torch.zeros(channels[0], 4, 4))
        shape: Any = {"width": width, "clamp": clamp}
        layers = [SynthesisLayer(channels[0], channels[0], size=4, doubling=False, **shape)]
        for block in range(1, config.num_blocks):
            before, here, size = channels[block - 1], channels[block], 4 << block
            layers.append(SynthesisLayer(before, here, size=size, doubling=True, **shape))
            layers.append(SynthesisLayer(here, here, size=size, doubling=False, **shape))
        self.layers = nn.ModuleList(layers)
        self.to_rgb = nn.ModuleList(ToRGB(count, width, clamp=clamp) for count in channels)
        self.requires_grad_(False)

    @property
    def resolution(self) -> int:
        """Height and width of the images."""
        return self.config.resolution

    @property
    def style_width(self) -> int:
        """Width of w, of each style row."""
        return self.config.style_width

    @property
    def z_width(self) -> int:
        """Width of z, mostly that of w."""
        return self.config.z_width

    @property
    def num_layers(self) -> int:
        """Number of style rows."""
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
        """The stored noise maps, each (1, 1, h, w), in synthesis order."""
        return [layer.noise for layer in self.synthesis_layers()]

    def synthesis_layers(self) -> list[SynthesisLayer]:
        """The modulated 3x3 convolutions, in synthesis order."""
        return [layer for layer in self.layers if isinstance(layer, SynthesisLayer)]

    def mapping(self, z: Vectors, label: Vectors | None = None) -> Vectors:
        """Map z ~ N(0, I) to w: normalisation, then fully connected layers.

        A conditional generator also takes a label, (batch or 1, labels), one-hot for a class.
        Raises `ShapeError`, or `ArgumentError` for a label too few or too many.
        """
        if z.ndim != 2 or z.shape[1] != self.z_width:
            raise ShapeError(f"z must be (batch, {self.z_width}), not {tuple(z.shape)}")
        x = normalise(z)
        if self.config.labels:
            embedded = self._embed(label)
            x = torch.cat((x, embedded.expand(x.shape[0], -1)), 1)
        elif label is not None:
            raise ArgumentError("this generator is not conditional: it takes no label")
        for layer in self.mapping_layers:
            x = activate(layer(x))
        return x

    def ask_for_label(self) -> str:
        """What to do where a conditional generator has no class: a mean over classes is none."""
        count = self.config.labels
        return (
            f"the generator {self.source!r} draws one of {count} classes: choose one, --label N "
            f"from 0 to {count - 1} (or `with_label(N)`)"
        )

    def _embed(self, label: Tensor | None) -> Tensor:
        """A label's embedding, normalised like z."""
        count = self.config.labels
        if label is None:
            raise ArgumentError(self.ask_for_label())
        if label.ndim != 2 or label.shape[1] != count:
            raise ShapeError(f"label must be (batch, {count}), not {tuple(label.shape)}")
        return normalise(self.label_embedding(label))

    def synthesis(
        self,
        styles: Styles,
        content: Content | None = None,
        noise: Sequence[NoiseMap] | None = None,
    ) -> Images:
        """Draw images, about [-1, 1] and not clipped, from style rows, content and noise maps.

        `content` None takes the learned constant, `noise` None the stored maps; a map is
        (batch or 1, 1, h, w), in the order of `noise_shapes`. Raises `ShapeError`.
        """
        self._check_styles(styles, content)
        x = self.constant.expand(styles.shape[0], -1, -1, -1) if content is None else content
        return self.synthesis_from(0, x, self.scales(styles), noise)

    def scales(self, styles: Styles) -> list[Tensor]:
        """The input scales, (batch, inputs) each, of `modulations` that style rows give."""
        rows = styles.unbind(1)
        return [module.affine(rows[row]) for row, module in self.modulations()]

    def modulations(self) -> list[tuple[int, SynthesisLayer | ToRGB]]:
        """The modulated convolutions in the order they are used, each with its style row.

        Synthesis layer i takes row i; after an even one comes the ToRGB of its size, with row
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
        """(C, h, w) of the features that enter synthesis layer `layer`; raises `ArgumentError`."""
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
    ) -> Images:
        """Draw images from the features (batch, C, h, w) that enter a synthesis layer.

        `scales` are those of `scales(styles)` or, for W++, free ones; what lies below `layer` is
        not used. `skip` is the RGB image that the blocks below have made, None drops it. Raises
        `ArgumentError` for the layer, `ShapeError`.
        """
        self._check_features(layer, features, noise)
        maps = self.noise_maps() if noise is None else noise
        _, image = self._run(layer, self.num_layers - 1, features, skip, scales, maps)
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
    ) -> tuple[Tensor, Images | None]:
        """The features that enter layer `stop`, and the RGB image made below it, if any.

        Runs the synthesis layers from `start` to before `stop` (see `synthesis_from`). Raises
        `ArgumentError` for the layers, `ShapeError`.
        """
        self.feature_shape(stop)
        self._check_features(start, features, noise)
        maps = self.noise_maps() if noise is None else noise
        left, image = self._run(start, stop, features, skip, scales, maps)
        return left.plain(), image

    def _run(
        self,
        start: int,
        stop: int,
        x: Tensor,
        image: Tensor | None,
        scales: Sequence[Tensor],
        maps: Sequence[Tensor],
    ) -> tuple[Features, Tensor | None]:
        """Layers `start` to before `stop`, each ToRGB's image added to the doubled one."""
        features = Features.of(x)
        if self.precision == "bf16" and torch.is_grad_enabled():
            features = features._replace(values=x.bfloat16())
        for _, block in itertools.groupby(range(start, stop), key=lambda index: (index + 1) // 2):
            arguments = (list(block), features, image, scales, maps)
            if self.memory == "low" and torch.is_grad_enabled():
                features, image = checkpoint(
                    self._block, *arguments, use_reentrant=False, preserve_rng_state=False
                )
            else:
                features, image = self._block(*arguments)
        return features, image

    def _block(
        self,
        indices: Sequence[int],
        features: Features,
        image: Tensor | None,
        scales: Sequence[Tensor],
        maps: Sequence[Tensor],
    ) -> tuple[Features, Tensor | None]:
        """The layers of one size.

        Scale 3(i // 2) + 2(i % 2) belongs to layer i, the one after an even layer's to its ToRGB.
        """
        for index in indices:
            place = 3 * (index // 2) + 2 * (index % 2)
            features = self.layers[index](features, scales[place], maps[index])
            if index % 2 == 0:
                rgb: Tensor = self.to_rgb[index // 2](features, scales[place + 1])
                image = rgb if image is None else upsample(image) + rgb
        return features, image

    def forward(self, z: Vectors) -> Images:
        """Draw images from z with one w for all layers and the stored noise maps."""
        return self.synthesis(self.mapping(z).unsqueeze(1).expand(-1, self.num_layers, -1))

    def truncate(self, resolution: int) -> "Generator":
        """The same network up to `resolution` pixels: what its blocks have drawn by then.

        Its images are the sum of the lower colour layers, which StyleGAN2 trains to be a picture;
        style rows and noise maps are the first ones, W and its mean are the same. Tensors are
        shared. Raises `ArgumentError` for a resolution that it does not have.
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

        Its mean w is that of the class, over 10,000 draws of a fixed seed. Raises `ArgumentError`
        for a label that there is not.
        """
        count, width = self.config.labels, self.z_width
        if not count:
            raise ArgumentError(
                f"the generator {self.source!r} is not conditional: leave --label out"
            )
        if not 0 <= label < count:
            raise ArgumentError(f"label must be from 0 to {count - 1}, not {label}")
        tensors = dict(self.state_dict())
        embedded = self._embed(torch.eye(count).to(self.constant)[label : label + 1])
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

    @torch.no_grad()
    def measured_mean_w(self) -> Tensor:
        """The mean of w over 10,000 draws of a fixed seed, (width,)."""
        rng, total = stream(0, "mean w"), torch.zeros(self.style_width, dtype=torch.float64)
        for _ in range(0, MEAN_DRAWS, 1000):
            z = torch.randn(1000, self.z_width, generator=rng).to(self.constant)
            total += self.mapping(z).double().sum(0).cpu()
        return (total / MEAN_DRAWS).to(self.constant)

    def _derived(
        self,
        config: GeneratorConfig,
        tensors: dict[str, Tensor],
        options: dict[str, int],
        dropped: tuple[str, ...],
    ) -> "Generator":
        """A generator of this one's tensors, of which it takes those it has."""
        with torch.device("meta"):
            derived = Generator(config)
        own = {name: tensors[name] for name in derived.state_dict()}
        derived.load_state_dict(own, assign=True)
        derived.requires_grad_(False)
        derived.source, derived.options, derived.dropped = self.source, options, dropped
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

    def _check_features(self, layer: int, features: Tensor, noise: Sequence[Tensor] | None) -> None:
        expected = self.feature_shape(layer)
        if tuple(features.shape[1:]) != expected:
            raise ShapeError(
                f"the features that enter layer {layer} must be (batch, *{expected}), "
                f"not {tuple(features.shape)}"
            )
        if noise is None:
            return
        batch, shapes = features.shape[0], self.noise_shapes
        if len(noise) != len(shapes):
            raise ShapeError(f"noise must hold {len(shapes)} maps, not {len(noise)}")
        for index, (given, (height, width)) in enumerate(zip(noise, shapes, strict=True)):
            if given.shape[0] not in (1, batch) or tuple(given.shape[1:]) != (1, height, width):
                raise ShapeError(
                    f"noise map {index} must be ({batch} or 1, 1, {height}, {width}), "
                    f"not {tuple(given.shape)}"
                )
