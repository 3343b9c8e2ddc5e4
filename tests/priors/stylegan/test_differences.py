"""Images with weights of their own, against networks whose weights are these."""

from collections.abc import Callable, Mapping

import networks
import pytest
import reference_stylegan2
import torch
from torch import Tensor

from invprob.errors import InvprobError, PriorError, ShapeError
from invprob.priors.stylegan.blocks import Precision
from invprob.priors.stylegan.differences import no_difference
from invprob.priors.stylegan.generator import Generator, GeneratorConfig
from invprob.priors.stylegan.inputs import LayerInput, SynthesisInputs
from invprob.priors.stylegan.synthesis import features_at, synthesise

CONFIGS = [
    networks.SMALL,
    # Many channels, for which the convolutions take another algorithm.
    GeneratorConfig(resolution=32, channels=(64, 70, 66, 64), style_width=12, mapping_layers=1),
    GeneratorConfig(16, (6, 5, 4), style_width=8, mapping_layers=1, clamp=2.0),
]
IDS = ["32px", "many channels", "clamped"]


def differences(generator: Generator, batch: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """A tenth of each weight, about."""
    rng = torch.Generator().manual_seed(3)
    found = {}
    for name, own in generator.synthesis_weights().items():
        noise = torch.randn(batch, *own.shape, generator=rng, dtype=torch.float64)
        found[name] = (0.1 * noise * own.detach().square().mean().sqrt().double()).to(dtype)
    return found


def inputs(generator: Generator, batch: int, dtype: torch.dtype) -> SynthesisInputs:
    rng = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=rng, dtype=torch.float64).to(dtype)

    return SynthesisInputs(
        styles=draw(batch, generator.num_layers, generator.style_width),
        content=LayerInput(draw(batch, *generator.content_shape)),
        noise={i: draw(batch, 1, h, w) for i, (h, w) in enumerate(generator.noise_shapes)},
        weights=differences(generator, batch, dtype),
    )


def of_image(index: int, whole: SynthesisInputs) -> SynthesisInputs:
    tensors = {name: value[index : index + 1] for name, value in whole.to_tensors().items()}
    return SynthesisInputs.from_tensors(tensors)


def run(generator: Generator, given: SynthesisInputs) -> dict[str, Tensor]:
    """The images, and the gradient of some sum of them to each input."""
    tensors = {name: value.detach().clone() for name, value in given.to_tensors().items()}
    for value in tensors.values():
        value.requires_grad_()
    image = synthesise(generator, SynthesisInputs.from_tensors(tensors))
    return {"image": image.detach(), **gradients(image, tensors)}


def gradients(image: Tensor, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    slope = torch.linspace(-1, 1, image[0].numel()).view(image.shape[1:]).to(image)
    found = torch.autograd.grad((image * slope).sum(), list(tensors.values()))
    return dict(zip(tensors, found, strict=True))


def assert_near(mine: dict[str, Tensor], expected: dict[str, Tensor], share: float) -> None:
    assert set(mine) == set(expected)
    for name, value in expected.items():
        assert mine[name].shape == value.shape and value.norm() > 0, name
        assert (mine[name] - value).norm() <= share * value.norm(), name


@pytest.mark.parametrize("config", CONFIGS[:2], ids=IDS[:2])
def test_images_and_gradients_are_those_of_the_reference(config: GeneratorConfig) -> None:
    """The reference draws each image by the tensors that are trained + difference."""
    generator = networks.random_generator(config, dtype=torch.float64)
    given = inputs(generator, 2, torch.float64)
    found = run(generator, given)
    for index in range(2):
        one = {
            name: value.requires_grad_()
            for name, value in of_image(index, given).to_tensors().items()
        }
        tensors = dict(generator.state_dict())
        for name in generator.synthesis_weights():
            tensors[name] = tensors[name] + one[f"weights.{name}"][0]
        noise = [one[f"noise.{layer}"] for layer in range(len(generator.noise_shapes))]
        image = reference_stylegan2.synthesis(tensors, one["styles"], one["content"], noise)
        expected = {"image": image.detach(), **gradients(image, one)}
        assert_near(
            {name: value[index : index + 1] for name, value in found.items()}, expected, 1e-9
        )


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_images_are_those_of_a_network_with_these_weights(config: GeneratorConfig) -> None:
    generator = networks.random_generator(config)
    given = inputs(generator, 2, torch.float32)
    drawn = synthesise(generator, given)
    for index in range(2):
        one = of_image(index, given)
        changed = networks.random_generator(config)
        with torch.no_grad():
            for name, own in changed.synthesis_weights().items():
                own += (one.weights or {})[name][0]
        image = synthesise(
            changed, SynthesisInputs(one.styles, content=one.content, noise=one.noise)
        )
        torch.testing.assert_close(drawn[index : index + 1], image, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("config", CONFIGS[1:], ids=IDS[1:])
def test_an_image_of_a_batch_is_what_it_is_alone(
    config: GeneratorConfig, dtype: torch.dtype
) -> None:
    generator = networks.random_generator(config, dtype=dtype)
    given = inputs(generator, 3, dtype)
    whole = run(generator, given)
    share = 1e-6 if dtype == torch.float32 else 1e-14
    for index in range(3):
        alone = run(generator, of_image(index, given))
        assert_near({name: value[index : index + 1] for name, value in whole.items()}, alone, share)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_low_memory_gives_the_same_numbers(precision: Precision) -> None:
    generator = networks.random_generator()
    generator.precision = precision
    given = inputs(generator, 2, torch.float32)
    normal = run(generator, given)
    generator.memory = "low"
    low = run(generator, given)
    assert set(low) == set(normal)
    assert all(torch.equal(low[name], value) for name, value in normal.items())


def test_gradients_are_those_of_small_steps() -> None:
    config = GeneratorConfig(8, (2, 2), style_width=2, mapping_layers=1)
    generator = networks.random_generator(config, dtype=torch.float64)
    given = inputs(generator, 2, torch.float64)
    tensors = given.to_tensors()
    for value in tensors.values():
        value.requires_grad_()

    def image(*values: Tensor) -> Tensor:
        named = dict(zip(tensors, values, strict=True))
        return synthesise(generator, SynthesisInputs.from_tensors(named))

    assert torch.autograd.gradcheck(image, tuple(tensors.values()), fast_mode=True)


def test_only_what_is_asked_for_gets_a_gradient() -> None:
    generator = networks.random_generator(dtype=torch.float64)
    given = inputs(generator, 2, torch.float64)
    whole = run(generator, given)
    tensors = given.to_tensors()
    for names in (["styles"], ["weights.layers.2.weight"], ["weights.layers.1.noise_strength"]):
        asked = {name: tensors[name].clone().requires_grad_() for name in names}
        image = synthesise(generator, SynthesisInputs.from_tensors({**tensors, **asked}))
        assert_near(gradients(image, asked), {name: whole[name] for name in names}, 1e-12)


def test_a_trainable_generator_learns_beside_the_differences() -> None:
    """Each difference adds to its weight, so that the weight's gradient is the sum of theirs."""
    generator = networks.random_generator(dtype=torch.float64).requires_grad_(True)
    given = inputs(generator, 2, torch.float64)
    own = generator.synthesis_weights()
    names = ["layers.1.weight", "layers.2.bias", "layers.3.noise_strength", "to_rgb.1.weight"]
    weights = {name: (given.weights or {})[name].requires_grad_() for name in names}
    image = synthesise(generator, SynthesisInputs(given.styles, weights=weights))
    found = gradients(image, {**own, **{f"d.{name}": value for name, value in weights.items()}})
    zeros = {name: torch.zeros(2, *value.shape, dtype=torch.float64) for name, value in own.items()}
    every = {name: weights.get(name, zero).requires_grad_() for name, zero in zeros.items()}
    image = synthesise(generator, SynthesisInputs(given.styles, weights=every))
    for name, value in gradients(image, every).items():
        torch.testing.assert_close(found[name], value.sum(0), rtol=1e-9, atol=1e-10)
        if name in weights:
            torch.testing.assert_close(found[f"d.{name}"], value, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("batch", [1, 3])
def test_differences_start_where_gradients_need_no_copy(batch: int) -> None:
    generator = networks.random_generator(CONFIGS[1])
    for name, own in generator.synthesis_weights().items():
        start = no_difference(own, batch)
        assert start.shape == (batch, *own.shape) and start.dtype == own.dtype, name
        assert start.stride()[1:] == own.stride() and start.count_nonzero() == 0, name
        assert no_difference(own, batch, torch.float16).dtype == torch.float16, name


def test_the_generator_stays_as_it_is() -> None:
    generator = networks.random_generator()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    given = inputs(generator, 1, torch.float32)
    plain = SynthesisInputs(given.styles, content=given.content, noise=given.noise)
    drawn = synthesise(generator, plain)
    found = run(generator, given)
    assert not torch.allclose(found["image"], drawn, atol=1e-2)
    assert torch.equal(synthesise(generator, plain), drawn)
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    assert all(value.grad is None for value in generator.parameters())


@pytest.mark.parametrize("name", ["layers.3.weight", "layers.0.bias", "to_rgb.1.weight"])
def test_one_weight_alone_moves_and_the_rest_is_trained(name: str) -> None:
    generator = networks.random_generator(dtype=torch.float64)
    given = inputs(generator, 2, torch.float64)
    whole = given.weights or {}
    rest = {other: torch.zeros_like(value) for other, value in whole.items()}
    styles = given.styles
    alone = run(generator, SynthesisInputs(styles, weights={name: whole[name]}))
    among = run(generator, SynthesisInputs(styles, weights={**rest, name: whole[name]}))
    assert_near(alone, {key: among[key] for key in alone}, 1e-9)


def test_differences_of_half_precision_move_single_weights() -> None:
    generator = networks.random_generator()
    given = inputs(generator, 2, torch.float32)
    half = {name: value.half() for name, value in (given.weights or {}).items()}
    single = {name: value.float() for name, value in half.items()}
    styles = given.styles
    mine = run(generator, SynthesisInputs(styles, weights=half))
    expected = run(generator, SynthesisInputs(styles, weights=single))
    assert torch.equal(mine["image"], expected["image"])
    for name in half:
        found = mine[f"weights.{name}"]
        assert found.dtype == torch.float16
        assert torch.equal(found, expected[f"weights.{name}"].half())


def strengths_together(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The gradients to the noise strengths as one vector.

    Each alone is a single sum over all pixels, of either sign. Its error has no bound relative to
    the sum itself, which may be near 0.
    """
    strengths = [name for name in values if name.endswith("noise_strength")]
    rest = {name: value for name, value in values.items() if name not in strengths}
    return {**rest, "strengths": torch.cat([values[name].flatten() for name in strengths])}


def near_exact(change: Callable[[Generator], None], half: bool) -> None:
    generator = networks.random_generator(CONFIGS[1])
    given = inputs(generator, 2, torch.float32)
    exact = run(generator, given)
    change(generator)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        found = run(generator, given)
    assert all(value.dtype == torch.float32 for value in found.values())
    # 0.4 % a rounding and a dozen of them; gradients also differ where an activation changes sign.
    for name, value in strengths_together(exact).items():
        error = (strengths_together(found)[name] - value).norm() / value.norm()
        assert error < (0.02 if name == "image" else 0.15), name
    assert not torch.allclose(found["image"], exact["image"], rtol=1e-4)


def test_half_precision_of_features_is_near() -> None:
    def bf16(generator: Generator) -> None:
        generator.precision = "bf16"

    near_exact(bf16, half=False)


def test_autocast_is_near() -> None:
    near_exact(lambda generator: None, half=True)


def test_layers_below_and_above_are_those_of_the_whole() -> None:
    generator = networks.random_generator()
    given = inputs(generator, 2, torch.float32)
    features, skip = features_at(generator, 3, given)
    above = SynthesisInputs(
        given.styles,
        content=LayerInput(features, 3, skip),
        noise=given.noise,
        weights=given.weights,
    )
    torch.testing.assert_close(synthesise(generator, above), synthesise(generator, given))
    trained, _ = features_at(generator, 3, SynthesisInputs(given.styles, content=given.content))
    assert not torch.allclose(features, trained, atol=1e-2)


@pytest.mark.parametrize(
    ("name", "shape", "error", "message"),
    [
        ("layers.9.weight", (2, 8, 8, 3, 3), PriorError, r"not 'layers\.9\.weight'\. Did you mean"),
        ("mean_w", (2, 16), PriorError, r"such as layers\.0\.weight, not 'mean_w'"),
        ("layers.0.bias", (12,), ShapeError, r"layers\.0\.bias must be \(2, 12\), not \(12,\)"),
        ("layers.0.bias", (1, 12), ShapeError, r"layers\.0\.bias must be \(2, 12\), not \(1, 12\)"),
        ("to_rgb.0.affine.bias", (2, 3), ShapeError, r"must be \(2, 12\), not \(2, 3\)"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    name: str, shape: tuple[int, ...], error: type[InvprobError], message: str
) -> None:
    generator = networks.random_generator()
    styles = torch.randn(2, generator.num_layers, 16)
    weights = {name: torch.zeros(shape)}
    scales = generator.scales(styles)
    with pytest.raises(error, match=message):
        synthesise(generator, SynthesisInputs(styles, weights=weights))
    with pytest.raises(error, match=message):
        generator.synthesis_from(
            0, generator.constant.expand(2, -1, -1, -1), scales, weights=weights
        )


def test_affine_weights_need_style_rows() -> None:
    generator = networks.random_generator()
    scales = generator.scales(torch.randn(1, generator.num_layers, 16))
    weights = {"layers.1.affine.bias": torch.zeros(1, 12)}
    with pytest.raises(PriorError, match=r"weights layers\.1\.affine\.bias turns style rows"):
        synthesise(generator, SynthesisInputs(scales=scales, weights=weights))
