"""Our own names in a file without our header, as `torch.save(generator.state_dict())` writes it."""

from collections.abc import Mapping
from typing import final

import torch

from invprob.priors.checkpoints.reading import RawCheckpoint
from invprob.priors.checkpoints.table import Layout, Row, Shapes, structure
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.shapes import GeneratorConfig


@final
class Bare(Layout):
    """Every tensor as it is."""

    mean_w = "mean_w"

    def config(self, raw: RawCheckpoint) -> GeneratorConfig:
        """The number of `to_rgb` is that of blocks."""
        shapes = Shapes(raw.stand_ins)
        depth = len(shapes.numbers("mapping_layers.{}.weight"))
        blocks = len(shapes.numbers("to_rgb.{}.weight"))
        label_width, labels = shapes.embedding("label_embedding.weight")
        first = shapes.of("mapping_layers.0.weight", 2)
        last = shapes.of(f"mapping_layers.{depth - 1}.weight", 2)
        names = [f"layers.{2 * block}.weight" for block in range(blocks)]
        channels = [shapes.of(name, 4)[0] for name in names]
        return structure(channels, depth, first, last, labels=labels, label_width=label_width)

    def rows(self, raw: RawCheckpoint, config: GeneratorConfig) -> list[Row]:
        """A row for each tensor of such a network."""
        del raw
        with torch.device("meta"):
            names = Generator(config).state_dict()
        return [Row(name, name) for name in names if name != self.mean_w]

    def filters(self, config: GeneratorConfig) -> Mapping[str, float]:
        """Our files hold no filter."""
        del config
        return {}
