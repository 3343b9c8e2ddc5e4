"""Small random networks for tests."""

import math

import torch
from torch import Tensor, nn

from invprob.priors.encoders import BASE_LAYER, Encoder
from invprob.priors.stylegan.generator import Generator, GeneratorConfig

SMALL = GeneratorConfig(resolution=32, channels=(12, 10, 8, 6), style_width=16, mapping_layers=2)


def random_generator(
    config: GeneratorConfig = SMALL, *, seed: int = 0, dtype: torch.dtype = torch.float32
) -> Generator:
    """A generator whose every tensor is random, noise strengths and mean w included."""
    rng = torch.Generator().manual_seed(seed)
    generator = Generator(config)
    state = generator.state_dict()
    for name, value in state.items():
        fan_in = value[0].numel() if value.ndim > 1 else 1
        scale = 0.1 if name.endswith(("bias", "noise_strength")) else fan_in**-0.5
        if name.endswith("noise"):
            scale = 1.0
        state[name] = torch.randn(value.shape, generator=rng, dtype=torch.float64) * scale
        if name.endswith("affine.bias"):
            state[name] += 1.0
    generator.load_state_dict(state)
    return generator.to(dtype)


class LinearEncoder(Encoder):
    """An encoder that is one random matrix for each kind, fixed and small."""

    def __init__(self, generator: Generator, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.finds = "styles" if kind == "toolkit" else f"features.{BASE_LAYER}"
        self.shape = (generator.num_layers, generator.style_width)
        if kind == "base-code":
            self.shape = generator.feature_shape(BASE_LAYER)
        inputs, outputs = math.prod(generator.image_shape), math.prod(self.shape)
        rng = torch.Generator().manual_seed(6)
        matrix = torch.randn(inputs, outputs, generator=rng, dtype=torch.float64)
        self.matrix = nn.Parameter((matrix / inputs**0.5).to(generator.mean_w))

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 3, h, w) to style rows or features."""
        found: Tensor = (images.flatten(1) @ self.matrix).view(-1, *self.shape)
        return found
