"""Small random generators for tests."""

import torch

from invprob.priors.stylegan2 import Generator, GeneratorConfig

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
