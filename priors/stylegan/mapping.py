"""The mapping network of StyleGAN2, z -> w."""

import itertools

import torch
from torch import Tensor, nn

from invprob.contracts import Contract
from invprob.draws import normal
from invprob.errors import ArgumentError, ShapeError
from invprob.priors.stylegan.layers import Affine, activate, blank, normalise
from invprob.priors.stylegan.shapes import GeneratorConfig
from invprob.streams import stream
from invprob.types import Vectors

MEAN_DRAWS = 10_000  # draws of w for a mean w that a file does not hold


class MappingNetwork(Contract, nn.Module):
    """The part of a generator from z to w; a `Generator` adds the synthesis network to it.

    Args:
        config: number and widths of the layers, and the number of classes.

    Attributes:
        mean_w: mean of w, (width,).
        source: name or path from which it was loaded; "memory" if it was not loaded.
    """

    mean_w: Tensor
    source: str

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.source = "memory"
        if config.labels:
            self.label_embedding = Affine(config.labels, config.label_width)
        self.mapping_layers = nn.ModuleList(
            Affine(before, here) for before, here in itertools.pairwise(config.mapping_widths)
        )
        self.register_buffer("mean_w", blank(config.style_width))

    @property
    def z_width(self) -> int:
        """Width of z, usually that of w."""
        return self.config.z_width

    @property
    def style_width(self) -> int:
        """Width of w, which is that of each style row."""
        return self.config.style_width

    def mapping(self, z: Vectors, label: Vectors | None = None) -> Vectors:
        """Map z ~ N(0, I) to w: normalisation, then fully connected layers.

        Args:
            z: (batch, z width).
            label: for a conditional generator, (batch or 1, labels), one-hot for a class.

        Returns:
            w, (batch, width).

        Raises:
            ShapeError: `z` or `label` has another shape.
            ArgumentError: a label is missing, or the generator is not conditional.
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
        """The message where a conditional generator has no class: a mean over classes is none."""
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

    @torch.no_grad()
    def measured_mean_w(self) -> Tensor:
        """The mean of w over 10,000 draws of a fixed seed, (width,)."""
        rng = stream(0, "mean w")
        total = torch.zeros(self.style_width, dtype=torch.float64, device="cpu")
        for _ in range(0, MEAN_DRAWS, 1000):
            z = normal((1000, self.z_width), rng).to(self.mean_w)
            total += self.mapping(z).double().sum(0).cpu()
        return (total / MEAN_DRAWS).to(self.mean_w)
