"""Training synthesis against the generator it trains."""

import networks
import pytest
import torch
from training.synthesis import default_channels, fresh_noise, synthesise, weights_of

from invprob.priors.stylegan.generator import Generator


def inputs(generator: Generator) -> tuple[torch.Tensor, list[torch.Tensor]]:
    rng = torch.Generator().manual_seed(5)
    styles = torch.randn(
        2, generator.num_layers, generator.style_width, generator=rng, dtype=torch.float64
    )
    return styles, fresh_noise(generator, 2, rng, styles)


def test_images_are_those_of_the_generator() -> None:
    generator = networks.random_generator(dtype=torch.float64)
    styles, noise = inputs(generator)
    drawn = synthesise(generator, weights_of(generator, torch.float64), styles, noise)
    torch.testing.assert_close(
        drawn, generator.synthesis(styles, None, noise), rtol=1e-10, atol=1e-12
    )


def test_gradients_are_those_of_the_generator() -> None:
    generator = networks.random_generator(dtype=torch.float64).requires_grad_(True)
    styles, noise = inputs(generator)
    names = [name for name, _ in generator.named_parameters() if "mapping" not in name]
    parameters = [dict(generator.named_parameters())[name] for name in names]
    ours = synthesise(generator, weights_of(generator, torch.float64), styles, noise)
    theirs = generator.synthesis(styles, None, noise)
    for name, one, other in zip(
        names,
        torch.autograd.grad(ours.square().sum(), parameters),
        torch.autograd.grad(theirs.square().sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9, msg=name)


def test_second_derivatives_exist_for_the_path_length() -> None:
    """Directional second derivatives by autograd against central differences of the first."""
    generator = networks.random_generator(dtype=torch.float64)
    styles, noise = inputs(generator)
    weights = weights_of(generator, torch.float64)
    direction = torch.randn(
        styles.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64
    )

    def slope(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = rows.detach().requires_grad_(True)
        image = synthesise(generator, weights, rows, noise)
        (gradient,) = torch.autograd.grad(image.square().sum(), rows, create_graph=True)
        (twice,) = torch.autograd.grad((gradient * direction).sum(), rows)
        return gradient.detach(), twice

    step = 1e-6
    ahead, _ = slope(styles + step * direction)
    behind, _ = slope(styles - step * direction)
    _, twice = slope(styles)
    torch.testing.assert_close(twice, (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("size", "expected"), [(32, (256, 256, 256, 128)), (128, (256, 256, 256, 128, 64, 32))]
)
def test_default_channels_fit_the_size(size: int, expected: tuple[int, ...]) -> None:
    assert default_channels(size) == expected
