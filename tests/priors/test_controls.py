"""Priors without a generator: pixels with total variation, the deep image prior."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import invprob
from invprob.callbacks import Callback, Iterate
from invprob.errors import ArgumentError, PriorError
from invprob.methods import make, needs_generator, restore
from invprob.operators import DenseGaussian, Gamma, GaussianNoise, Identity, PartialCirculant
from invprob.priors import DeepImagePrior, Pixels, Prior
from invprob.priors.deep_image_prior import SHAKE, HourglassCode
from invprob.priors.pixels import SMOOTHING, total_variation
from invprob.solver.stages import solve_stages
from invprob.streams import stream
from invprob.testing import check_prior, dense


@pytest.mark.parametrize(
    "prior",
    [
        Pixels((3, 6, 7)),
        Pixels((1, 5, 5), weight=0.3),
        DeepImagePrior((3, 16, 24)),
        DeepImagePrior((1, 9, 9)),
        DeepImagePrior((3, 16, 24), width=8, average=0.5),
    ],
)
def test_laws(prior: Prior) -> None:
    check_prior(prior)
    again = Prior.from_spec(prior.spec())
    assert type(again) is type(prior) and again.spec() == prior.spec()


def test_total_variation_of_known_images() -> None:
    """An edge counts its length times its height, a constant nothing, a slope its gradient."""
    edge = torch.zeros(1, 8, 10)
    edge[:, :, 4:] = 0.5
    corner = torch.zeros(1, 4, 4)
    corner[0, 2, 2] = 1  # right and down from it -1 each, one pixel left and one above +1
    down, right = torch.meshgrid(torch.arange(5.0), torch.arange(7.0), indexing="ij")
    slope = (0.3 * down + 0.4 * right)[None]
    # Inside, |∇| = 0.5; the last column lacks ∂x and the last row ∂y, their corner both.
    expected = {"edge": 8 * 0.5, "slope": 4 * 6 * 0.5 + 4 * 0.3 + 6 * 0.4, "corner": 2**0.5 + 2}
    for name, image in (("edge", edge), ("slope", slope), ("corner", corner)):
        found = total_variation(torch.stack([image, image + 3]))
        torch.testing.assert_close(found, torch.full((2,), expected[name]))
    smooth = total_variation(edge[None], 0.5)
    assert smooth.item() == pytest.approx(8 * ((0.5**2 + 0.5**2) ** 0.5 - 0.5))
    colours = torch.stack([edge[0], edge[0], 0 * edge[0]])
    assert total_variation(colours[None]).item() == pytest.approx(8.0)


def test_tv_denoising_reaches_the_minimum() -> None:
    """A step edge: summed over a half, w columns wide, all but the flux through the edge cancels.

    0 = 2 Σ (x - y) ± λ J / sqrt(J² + ε²) a row, with J the jump of x at the edge.
    """
    height, width, weight = 4, 8, 0.2
    y = torch.zeros(1, 1, height, width)
    y[..., width // 2 :] = 0.8
    operator = Identity((1, height, width))
    made = make("tv-descent", None, (1, height, width), weight=weight, steps=200)
    found = solve_stages(made.task(invprob.measure(y, operator), operator))
    rows = found.image[0, 0]
    jump = rows[:, width // 2] - rows[:, width // 2 - 1]
    assert (jump > 0.7).all()
    loss = weight / 2 / (width // 2) * jump / (jump.square() + SMOOTHING**2).sqrt()
    torch.testing.assert_close(rows[:, : width // 2].mean(1), loss, atol=1e-4, rtol=0)
    torch.testing.assert_close(rows[:, width // 2 :].mean(1), 0.8 - loss, atol=1e-4, rtol=0)
    assert (rows.diff(dim=1) >= -1e-4).all()


def test_tv_starts_at_the_pseudo_inverse_where_there_is_one() -> None:
    shape = (3, 8, 8)
    truth = 2 * torch.rand(2, *shape, generator=stream(1, "truth")) - 1
    operator = PartialCirculant(shape, ratio=0.5, seed=1)
    measurements = invprob.measure(truth, operator)
    made = make("tv", None, shape, measurement_shape=operator.measurement_shape)
    assert made.initial is not None
    found = made.initial(measurements, operator)["image"]
    torch.testing.assert_close(found, operator.pinv(measurements.values).clamp(-1, 1))
    assert make("tv-descent", None, shape, begin="zero").initial is None
    curved = Gamma(shape, exponent=2.0)
    assert made.initial(invprob.measure(truth, curved), curved) == {}


def test_tv_by_descent_takes_operators_that_are_not_linear() -> None:
    curved = Gamma((3, 8, 8), exponent=2.0)
    truth = torch.rand(1, 3, 8, 8, generator=stream(1, "truth"))
    measurements = invprob.measure(truth, curved)
    found = restore(measurements, "tv-descent", steps=200)
    first, last = found.trace["misfit"][0], found.trace["misfit"][-1]
    assert last < 0.05 * first
    with pytest.raises(ArgumentError, match=r"needs a linear operator.*--method tv-descent"):
        restore(measurements, "tv", steps=2)


def test_the_weight_of_tv_follows_the_noise() -> None:
    shape = (3, 8, 8)

    def weight(**more: Any) -> float:
        prior = make("tv-descent", None, shape, **more).prior
        assert isinstance(prior, Pixels)
        return prior.weight

    clean, some, much = (
        weight(noise=None if sigma is None else GaussianNoise(sigma=sigma))
        for sigma in (None, 0.2, 0.4)
    )
    assert clean < some < much and much == pytest.approx(2 * some)
    likely = weight(noise=GaussianNoise(sigma=0.2), data_term="likelihood")
    assert likely == pytest.approx(some / (2 * 0.2**2))
    with pytest.raises(ArgumentError, match="weight must be finite"):
        weight(weight=-1.0)
    with pytest.raises(ArgumentError, match="smoothness must be finite and at least 0, not -1"):
        make("tikhonov", None, shape, smoothness=-1.0)


def _network(code: HourglassCode, image: int, given: Tensor) -> Tensor:
    """One image's hourglass, with PyTorch's functions on weights of its own."""

    def convolve(name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight, bias = (
            dict(code.named_parameters())[f"{name}.{what}"][image] for what in ("weight", "bias")
        )
        margin = weight.shape[-1] // 2
        return functional.conv2d(
            functional.pad(x, [margin] * 4, mode="reflect"), weight, bias, stride
        )

    def block(name: str, x: Tensor, stride: int = 1) -> Tensor:
        x = convolve(f"{name}.convolution", x, stride)
        mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, unbiased=False)
        parameters = dict(code.named_parameters())
        x = (x - mean) / (variance + 1e-5).sqrt()
        x = x * parameters[f"{name}.gain"][image] + parameters[f"{name}.shift"][image]
        return torch.where(x > 0, x, 0.2 * x)

    def level(name: str, x: Tensor, deeper: int) -> Tensor:
        deep = block(f"{name}.more", block(f"{name}.down", x, 2))
        if deeper:
            deep = level(f"{name}.below", deep, deeper - 1)
        deep = functional.interpolate(deep, x.shape[2:], mode="bilinear")
        joined = torch.cat((block(f"{name}.skip", x), deep), 1)
        return block(f"{name}.mix", block(f"{name}.up", joined))

    deeper = sum(name.endswith("down.gain") for name, _ in code.named_parameters()) - 1
    return convolve("last", level("body", given, deeper)).tanh()


def test_each_image_of_the_deep_image_prior_has_its_own_network() -> None:
    prior = DeepImagePrior((3, 32, 40)).double()
    code = prior.start(3, stream(0, "start"))
    assert isinstance(code, HourglassCode)
    with torch.no_grad():
        for number, value in enumerate(code.parameters()):
            value.add_(0.1 * torch.randn(value.shape, generator=stream(number, "move")).double())
        found = prior.decode(code, stream(1, "shake"))
        shake = torch.randn(code.fixed.shape, generator=stream(1, "shake")).double()
        for image in range(3):
            expected = _network(code, image, code.fixed + SHAKE * shake)
            torch.testing.assert_close(found[image : image + 1], expected)
        kept = prior.realise(code, stream(2, "last"))["image"]
        torch.testing.assert_close(kept[:1], _network(code, 0, code.fixed))


def test_the_solution_of_the_deep_image_prior_is_the_average_of_its_images() -> None:
    """Σ β^(n-k) x_k / Σ β^(n-k), in place of the recursion."""
    operator, seen = Identity((3, 16, 16)), list[Tensor]()

    class See(Callback):
        def on_step(self, iterate: Iterate) -> None:
            seen.append(iterate.image)

    truth = torch.rand(2, 3, 16, 16, generator=stream(3, "truth"))
    options = {"average": 0.8, "width": 8}
    measurements = invprob.measure(truth, operator)
    found = restore(measurements, "deep-image-prior", steps=6, callbacks=[See()], options=options)
    shares = 0.8 ** torch.arange(5.0, -1, -1)
    expected = torch.einsum("k,k...->...", shares / shares.sum(), torch.stack(seen))
    torch.testing.assert_close(found.image, expected)


def test_the_deep_image_prior_can_be_as_wide_as_published() -> None:
    prior = DeepImagePrior((3, 256, 256), width=128)
    assert prior.widths == (128,) * 5
    with pytest.raises(ArgumentError, match="width must be at least 1, not 0"):
        DeepImagePrior((3, 16, 16), width=0)
    with pytest.raises(ArgumentError, match=r"average must be in \[0, 1\), not 1"):
        DeepImagePrior((3, 16, 16), average=1.0)


def test_the_pseudo_inverse_is_a_method() -> None:
    operator = DenseGaussian((3, 4, 4), ratio=0.5, seed=1)
    truth = torch.rand(2, 3, 4, 4, generator=stream(1, "truth"))
    measurements = invprob.measure(truth, operator)
    found = restore(measurements, "pinv", steps=3)
    expected = measurements.values.flatten(1).double() @ np.linalg.pinv(dense(operator)).T
    torch.testing.assert_close(found.image.flatten(1).double(), expected, atol=1e-5, rtol=0)
    assert found.steps == 0 and not found.trace
    curved = Gamma((3, 8, 8), exponent=2.0)
    with pytest.raises(ArgumentError, match=r"needs a linear operator.*--method tv-descent"):
        restore(invprob.measure(torch.rand(1, 3, 8, 8), curved), "pinv")


def test_the_deep_image_prior_prefers_a_picture_to_noise() -> None:
    """Their figure 2: in as many steps a smooth picture is fitted better than white noise."""
    shape = (3, 32, 32)
    line = torch.linspace(-1, 1, 32)
    picture = torch.stack(
        [line[:, None] * line, line[:, None].expand(32, 32), 0.5 * line.expand(32, 32)]
    )
    noise = torch.randn(shape, generator=stream(3, "noise"))
    noise = noise / noise.std() * picture.std()
    operator = Identity(shape)
    measurements = invprob.measure(torch.stack([picture, noise]), operator)
    found = restore(measurements, "deep-image-prior", steps=60)
    assert found.trace["misfit"][-1, 0] < 0.2 * found.trace["misfit"][-1, 1]


def test_methods_say_whether_they_need_a_generator() -> None:
    assert needs_generator("sphinx") and not needs_generator("tv")
    assert not needs_generator("deep-image-prior")
    with pytest.raises(ArgumentError, match="'w-plus' searches a generator"):
        make("w-plus", None, (3, 8, 8))


def test_pixels_go_on_from_an_image_and_from_nothing_else() -> None:
    prior = Pixels((3, 6, 6))
    code = prior.start(2, stream(0, "start"))
    image = torch.rand(2, 3, 6, 6)
    prior.adopt_(code, {"image": image})
    assert torch.equal(prior.decode(code, stream(0, "x")), image)
    with pytest.raises(PriorError, match="cannot start from styles"):
        prior.adopt_(code, {"styles": image})
