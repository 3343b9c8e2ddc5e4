"""Equalised learning rates against the usual parametrisation, c·v with v ~ N(0, 1)."""

import math

import networks
import pytest
import torch
from torch import nn
from training.equalised import adam, gain, initialise

RATE, MAPPING_RATE = 2e-3, 0.01


class Mapping(nn.Module):
    """Names as in a generator: `mapping_layers` learn slower."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping_layers = nn.ModuleList([nn.Linear(6, 6)])
        self.out = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.tanh(self.mapping_layers[0](x)))


def constants(network: nn.Module) -> dict[str, float]:
    """c of every parameter, written out for this network."""
    known = {
        "mapping_layers.0.weight": MAPPING_RATE / math.sqrt(6),
        "mapping_layers.0.bias": MAPPING_RATE,
        "out.weight": 1 / math.sqrt(6),
        "out.bias": 1.0,
    }
    assert set(known) == {name for name, _ in network.named_parameters()}
    return known


def test_training_equals_the_scaled_parametrisation() -> None:
    torch.manual_seed(0)
    network = Mapping().double()
    x = torch.randn(16, 6, dtype=torch.float64)
    y = torch.randn(16, 3, dtype=torch.float64)
    c = constants(network)
    free = {
        name: (value.detach() / c[name]).requires_grad_(True)
        for name, value in network.named_parameters()
    }
    # A large epsilon, so that forgetting to scale it would show.
    usual = torch.optim.Adam(free.values(), lr=RATE, betas=(0.0, 0.99), eps=1e-2)
    ours = adam(network, RATE, epsilon=1e-2, mapping_rate=MAPPING_RATE)
    for _ in range(20):
        ours.zero_grad()
        (network(x) - y).square().mean().backward()
        ours.step()
        usual.zero_grad()
        acting = {name: c[name] * v for name, v in free.items()}
        hidden = torch.tanh(
            x @ acting["mapping_layers.0.weight"].T + acting["mapping_layers.0.bias"]
        )
        (hidden @ acting["out.weight"].T + acting["out.bias"] - y).square().mean().backward()
        usual.step()
    for name, value in network.named_parameters():
        torch.testing.assert_close(value.detach(), c[name] * free[name].detach(), rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("layers.0.weight", (5, 4, 3, 3), 1 / 6),
        ("layers.0.affine.weight", (7, 16), 1 / 4),
        ("layers.0.bias", (5,), 1.0),
        ("constant", (5, 4, 4), 1.0),
        ("mapping_layers.1.weight", (16, 16), 0.01 / 4),
        ("mapping_layers.1.bias", (16,), 0.01),
    ],
)
def test_gain_is_one_over_the_root_of_the_fan_in(
    name: str, shape: tuple[int, ...], expected: float
) -> None:
    assert gain(name, nn.Parameter(torch.zeros(shape)), MAPPING_RATE) == pytest.approx(expected)


def test_initial_weights_have_the_variance_of_their_fan_in() -> None:
    generator = networks.random_generator()
    initialise(generator, torch.Generator().manual_seed(0))
    weight = dict(generator.named_parameters())["layers.1.weight"]
    assert weight.square().mean().item() == pytest.approx(1 / (12 * 9), rel=0.15)
    for name, value in generator.named_parameters():
        if name.endswith("affine.bias"):
            assert bool((value == 1).all())
        elif name.endswith(("bias", "noise_strength")):
            assert bool((value == 0).all())
    again = networks.random_generator(seed=3)
    initialise(again, torch.Generator().manual_seed(0))
    for one, other in zip(generator.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
