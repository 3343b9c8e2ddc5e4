"""The generator against its independent double, in values and gradients."""

import dataclasses
import math

import networks
import pytest
import reference_stylegan2
import torch
from torch import Tensor

from invprob.errors import ArgumentError, ShapeError
from invprob.fast.filters import upsample
from invprob.priors.stylegan.generator import Generator, GeneratorConfig

CONFIGS = [
    networks.SMALL,
    GeneratorConfig(resolution=64, channels=(6, 7, 5, 4, 3), style_width=9, mapping_layers=5),
    # Many channels, for which frozen layers take another algorithm.
    GeneratorConfig(resolution=32, channels=(64, 70, 66, 64), style_width=12, mapping_layers=1),
]
IDS = ["32px", "64px", "32px, many channels"]


def inputs(generator: Generator, batch: int) -> tuple[Tensor, Tensor, list[Tensor]]:
    rng = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=rng, dtype=torch.float64)

    styles = draw(batch, generator.num_layers, generator.style_width)
    content = draw(batch, *generator.content_shape)
    return styles, content, [draw(batch, 1, h, w) for h, w in generator.noise_shapes]


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_images_agree_with_the_reference(config: GeneratorConfig) -> None:
    generator = networks.random_generator(config, dtype=torch.float64)
    styles, content, noise = inputs(generator, 3)
    tensors = generator.state_dict()
    expected = reference_stylegan2.synthesis(tensors, styles, content, noise)
    torch.testing.assert_close(
        generator.synthesis(styles, content, noise), expected, rtol=1e-9, atol=1e-10
    )
    z = styles[:, 0]
    torch.testing.assert_close(
        generator.mapping(z),
        reference_stylegan2.mapping(tensors, config.mapping_layers, z),
        rtol=1e-11,
        atol=1e-12,
    )


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_gradients_agree_with_the_reference(config: GeneratorConfig) -> None:
    generator = networks.random_generator(config, dtype=torch.float64)
    styles, content, noise = inputs(generator, 2)
    variables = [styles, content, *noise]
    for variable in variables:
        variable.requires_grad_()
    weights = torch.randn(2, *generator.image_shape, dtype=torch.float64)
    ours = torch.autograd.grad(
        (generator.synthesis(styles, content, noise) * weights).sum(), variables
    )
    tensors = generator.state_dict()
    image = reference_stylegan2.synthesis(tensors, styles, content, noise)
    theirs = torch.autograd.grad((image * weights).sum(), variables)
    for mine, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-8, atol=1e-9)


def test_float32_stays_close_to_float64() -> None:
    generator = networks.random_generator(CONFIGS[1], dtype=torch.float64)
    styles, content, noise = inputs(generator, 2)
    exact = generator.synthesis(styles, content, noise)
    single = generator.float().synthesis(
        styles.float(), content.float(), [value.float() for value in noise]
    )
    assert (single - exact).norm() / exact.norm() < 1e-5


def test_defaults_are_the_stored_constant_and_noise() -> None:
    generator = networks.random_generator()
    styles = torch.randn(2, generator.num_layers, generator.style_width)
    explicit = generator.synthesis(
        styles, generator.constant.expand(2, -1, -1, -1), generator.noise_maps()
    )
    assert torch.equal(generator.synthesis(styles), explicit)
    z = torch.randn(2, generator.style_width)
    rows = generator.mapping(z)[:, None].repeat(1, generator.num_layers, 1)
    torch.testing.assert_close(generator(z), generator.synthesis(rows))


def test_each_style_row_matters_from_its_layer_on() -> None:
    """Changing a row changes the image; the last one only by a colour map of the last features."""
    generator = networks.random_generator()
    styles = torch.randn(1, generator.num_layers, generator.style_width)
    image = generator.synthesis(styles)
    for row in range(generator.num_layers):
        other = styles.clone()
        other[0, row] += 1
        assert not torch.allclose(generator.synthesis(other), image)


@pytest.mark.parametrize("size", [32, 64, 128, 256, 512, 1024])
def test_shapes_at_every_resolution(size: int) -> None:
    blocks = int(math.log2(size)) - 1
    config = GeneratorConfig(size, (4,) * (blocks - 2) + (2, 1), 6, 1)
    generator = Generator(config)
    assert generator.num_layers == 2 * math.log2(size) - 2
    expected = [(4, 4)] + [(4 << k, 4 << k) for k in range(1, blocks) for _ in range(2)]
    assert generator.noise_shapes == expected
    assert generator(torch.randn(1, 6)).shape == (1, 3, size, size)


def test_frozen_until_asked_and_what_is_kept_follows_the_weights() -> None:
    generator = networks.random_generator()
    assert not any(value.requires_grad for value in generator.parameters())
    z = torch.randn(1, generator.z_width)
    generator(z)  # keeps what follows from these weights
    generator.double()
    fresh = networks.random_generator(seed=7).double()
    generator.load_state_dict(fresh.state_dict())
    assert torch.equal(generator(z.double()), fresh(z.double()))


def test_upsampling_keeps_constants_and_means() -> None:
    flat = torch.full((1, 2, 4, 4), 3.0)
    assert torch.allclose(upsample(flat)[:, :, 2:-2, 2:-2], torch.tensor(3.0))
    image = torch.zeros(1, 1, 8, 8)
    image[0, 0, 4, 3] = 1.0
    doubled = upsample(image)
    row = torch.tensor([0.25, 0.75, 0.75, 0.25])
    torch.testing.assert_close(doubled[0, 0, 7:11, 5:9], torch.outer(row, row))
    assert math.isclose(doubled.sum().item(), 4.0, rel_tol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (5, 8), (32, 32), (7, 40), (34, 33)], ids=str)
def test_upsampling_is_a_transposed_convolution_with_its_gradients(size: tuple[int, int]) -> None:
    rng = torch.Generator().manual_seed(1)
    image = torch.randn(2, 3, *size, generator=rng, dtype=torch.float64, requires_grad=True)
    line = torch.tensor([0.25, 0.75, 0.75, 0.25], dtype=torch.float64)
    kernel = torch.outer(line, line).expand(3, 1, 4, 4)
    expected = torch.nn.functional.conv_transpose2d(image, kernel, stride=2, padding=1, groups=3)
    found = upsample(image)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    slope = torch.randn(found.shape, generator=rng, dtype=torch.float64)
    mine, theirs = (
        torch.autograd.grad((whole**3 * slope).sum(), image, create_graph=True)[0]
        for whole in (found, expected)
    )
    torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)
    again, exact = (torch.autograd.grad(one.square().sum(), image)[0] for one in (mine, theirs))
    torch.testing.assert_close(again, exact, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resolution": 48}, "power of two"),
        ({"channels": (4, 4)}, "must hold 4 positive numbers"),
        ({"channels": (4, 4, 0, 4)}, "positive"),
        ({"style_width": 0}, "at least 1"),
        ({"mapping_layers": 0}, "at least 1"),
    ],
)
def test_bad_configurations_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        GeneratorConfig.from_json({**networks.SMALL.to_json(), **_listed(change)})


def _listed(change: dict[str, object]) -> dict[str, object]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in change.items()}


def test_misshapen_inputs_are_named() -> None:
    generator = networks.random_generator()
    styles = torch.randn(2, generator.num_layers, generator.style_width)
    maps = [torch.zeros(1, 1, h, w) for h, w in generator.noise_shapes]
    with pytest.raises(ShapeError, match=r"styles must be \(batch, 8, 16\)"):
        generator.synthesis(styles[:, 1:])
    with pytest.raises(ShapeError, match="content must be"):
        generator.synthesis(styles, torch.zeros(1, 12, 4, 4))
    with pytest.raises(ShapeError, match="7 maps, not 6"):
        generator.synthesis(styles, None, maps[1:])
    maps[3] = torch.zeros(3, 1, 16, 16)
    with pytest.raises(ShapeError, match=r"noise map 3 must be \(2 or 1, 1, 16, 16\)"):
        generator.synthesis(styles, None, maps)
    with pytest.raises(ShapeError, match="z must be"):
        generator.mapping(styles)


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
@pytest.mark.parametrize("shared_noise", [False, True])
def test_frozen_and_trainable_weights_draw_and_learn_alike(
    config: GeneratorConfig, shared_noise: bool
) -> None:
    """A frozen generator takes the fused layers, a trainable one the plain ones."""
    generator = networks.random_generator(config, dtype=torch.float64)
    styles, content, noise = inputs(generator, 3)
    if shared_noise:
        noise = [value[:1] for value in noise]
    variables = [styles, content, *noise]
    for variable in variables:
        variable.requires_grad_()
    weights = torch.randn(3, *generator.image_shape, dtype=torch.float64)

    def run() -> list[Tensor]:
        image = generator.synthesis(styles, content, noise)
        return [image, *torch.autograd.grad((image * weights).sum(), variables)]

    fused = run()
    generator.requires_grad_(True)
    for mine, expected in zip(fused, run(), strict=True):
        assert (mine - expected).norm() < 1e-9 * expected.norm()


def test_only_what_is_asked_for_gets_a_gradient() -> None:
    generator = networks.random_generator(dtype=torch.float64)
    styles, content, noise = inputs(generator, 2)

    def gradient(which: Tensor) -> Tensor:
        which.requires_grad_()
        (found,) = torch.autograd.grad(
            generator.synthesis(styles, content, noise).square().sum(), which
        )
        which.requires_grad_(False)
        return found

    alone = [gradient(which) for which in (styles, content, noise[3])]
    for which in (styles, content, noise[3]):
        which.requires_grad_()
    together = torch.autograd.grad(
        generator.synthesis(styles, content, noise).square().sum(), [styles, content, noise[3]]
    )
    for mine, expected in zip(alone, together, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-10, atol=1e-12)


def test_trainable_generator_can_be_differentiated_twice() -> None:
    """What path-length regularisation needs: the gradient of a gradient's norm."""
    generator = networks.random_generator(dtype=torch.float64).requires_grad_(True)
    styles, content, noise = inputs(generator, 1)
    styles.requires_grad_()
    weight = generator.synthesis_layers()[3].weight

    def norm() -> Tensor:
        image = generator.synthesis(styles, content, noise)
        (slope,) = torch.autograd.grad(image.square().sum(), styles, create_graph=True)
        return slope.square().sum()

    (exact,) = torch.autograd.grad(norm(), weight)
    direction = torch.randn(weight.shape, dtype=torch.float64)
    step = 1e-8  # small enough that no unit passes the kink of its leaky ReLU, where norm jumps
    with torch.no_grad():
        weight += step * direction
    upper = norm().item()
    with torch.no_grad():
        weight -= 2 * step * direction
    slope = (upper - norm().item()) / (2 * step)
    assert math.isclose(slope, (exact * direction).sum().item(), rel_tol=1e-4)


def test_convolution_weights_lie_as_convolutions_read_them() -> None:
    """From the first drawing with loaded weights on; loading itself copies nothing."""
    generator = networks.random_generator().requires_grad_(False)
    state = {name: value.contiguous() for name, value in generator.state_dict().items()}
    generator.load_state_dict(state, assign=True)
    generator.synthesis(torch.randn(1, generator.num_layers, generator.style_width))
    for layer in generator.synthesis_layers():
        weight = layer.weight.transpose(0, 1) if layer.doubling else layer.weight
        assert weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("trainable", [False, True])
def test_gradients_after_a_first_drawing_in_inference_mode(trainable: bool) -> None:
    """What is computed once and kept must not be kept as tensors that autograd refuses."""
    config = dataclasses.replace(networks.SMALL, channels=(12, 10, 8, 7))  # no filter in the cache
    generator = networks.random_generator(config).requires_grad_(trainable)
    state = {name: value.contiguous() for name, value in generator.state_dict().items()}
    generator.load_state_dict(state)
    styles = torch.randn(1, generator.num_layers, 16)
    with torch.inference_mode():
        drawn = generator.synthesis(styles)
    styles.requires_grad_()
    image = generator.synthesis(styles)
    image.sum().backward()
    assert styles.grad is not None and torch.equal(image, drawn)


def test_low_memory_draws_blocks_twice_for_the_same_numbers() -> None:
    generator = networks.random_generator()
    styles = torch.randn(2, generator.num_layers, 16, requires_grad=True)
    noise = [torch.randn(2, 1, h, w, requires_grad=True) for h, w in generator.noise_shapes]
    calls = 0

    def count(*about: object) -> None:
        nonlocal calls
        calls += 1

    for layer in generator.synthesis_layers():
        layer.register_forward_hook(count)

    def run() -> list[Tensor]:
        image = generator.synthesis(styles, None, noise)
        return [image, *torch.autograd.grad(image.square().sum(), [styles, *noise])]

    normal, once = run(), calls
    generator.memory = "low"
    for mine, expected in zip(run(), normal, strict=True):
        assert torch.equal(mine, expected)
    assert calls == 3 * once


def test_half_precision_is_near_and_only_for_steps() -> None:
    generator = networks.random_generator(CONFIGS[1])
    styles, content, noise = inputs(generator, 2)
    styles, content = styles.float(), content.float()
    maps = [value.float().requires_grad_() for value in noise]

    def run() -> list[Tensor]:
        image = generator.synthesis(styles.requires_grad_(), content, maps)
        return [image, *torch.autograd.grad(image.square().sum(), [styles, *maps])]

    exact = run()
    generator.precision = "bf16"
    # 0.4 % a rounding and a dozen of them; gradients also differ where an activation changes sign.
    for place, (mine, expected) in enumerate(zip(run(), exact, strict=True)):
        assert mine.dtype == torch.float32
        assert 1e-4 < (mine - expected).norm() / expected.norm() < (0.15 if place else 0.02)
    with torch.no_grad():
        assert torch.equal(generator.synthesis(styles, content, maps), exact[0])


def test_autocast_reaches_the_layers_and_their_gradients() -> None:
    """Within 2 % of float32 in the image; images and gradients stay float32."""
    generator = networks.random_generator(CONFIGS[1]).float()
    styles, content, noise = inputs(generator, 2)
    variables = [styles.float(), content.float(), *(value.float() for value in noise)]
    for variable in variables:
        variable.requires_grad_()

    def run(half: bool) -> list[Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            image = generator.synthesis(variables[0], variables[1], variables[2:])
        return [image, *torch.autograd.grad(image.square().sum(), variables)]

    for place, (mine, expected) in enumerate(zip(run(True), run(False), strict=True)):
        assert mine.dtype == torch.float32
        assert 1e-4 < (mine - expected).norm() / expected.norm() < (0.15 if place else 0.02)
