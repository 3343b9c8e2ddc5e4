"""Interpolation: θ = αθ1 + (1 - α)θ2, whose ends are the two solutions."""

import numpy as np
import pytest
import torch
from networks import random_generator
from solved import KINDS, prior_of, small_generator, solution_of, solved

from invprob.errors import ArgumentError, PriorError, ShapeError
from invprob.latents import Latents, interpolate
from invprob.latents.distance import Distance, smoothness
from invprob.latents.heads import interpolate_heads
from invprob.latents.interpolate import spherical
from invprob.priors import Sphinx, StyleGANPrior
from invprob.streams import stream


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_the_ends_are_the_two_solutions(kind: str, path) -> None:
    one, other = solved(kind, 0, batch=2), solved(kind, 1, batch=2)
    latents = Latents.of(one), Latents.of(other)
    strip = interpolate(*latents, [1.0, 0.5, 0.0], path=path, images=(one.image, other.image))
    for number in range(2):
        assert torch.equal(strip.of_image(number)[0], one.image[number])
        assert torch.equal(strip.of_image(number)[2], other.image[number])
    for name, tensor in strip.latents.tensors().items():
        for end, column in ((0, 0), (1, 2)):
            own = latents[end].tensors()[name]
            assert torch.equal(tensor[[column, 3 + column]], own)


@pytest.mark.parametrize("kind", KINDS)
def test_all_latents_are_mixed_by_the_formula(kind: str) -> None:
    one, other = Latents.of(solved(kind, 0)), Latents.of(solved(kind, 1))
    strip = interpolate(one, other, [0.25])
    for name, tensor in strip.latents.tensors().items():
        expected = 0.25 * one.tensors()[name] + 0.75 * other.tensors()[name]
        torch.testing.assert_close(tensor, expected, rtol=1e-6, atol=1e-6)


def test_a_batch_agrees_with_single_paths() -> None:
    one, other = Latents.of(solved("w-plus-s-b", 0, 2)), Latents.of(solved("w-plus-s-b", 1, 2))
    strip = interpolate(one, other, [0.8, 0.3])
    for number in range(2):
        single = interpolate(one.chosen([number]), other.chosen([number]), [0.8, 0.3])
        torch.testing.assert_close(strip.of_image(number), single.images, rtol=0, atol=1e-5)


def test_the_great_circle_of_two_vectors_in_the_plane() -> None:
    """From (2, 0) to (0, 4): a third from the far end, at 60 degrees and of length 10 / 3."""
    one, other = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 4.0]])
    found = spherical(one, other, 1 / 3).double().numpy()[0]
    length = 2 / 3 + 4 * 2 / 3
    expected = length * np.array([np.cos(np.pi / 3), np.sin(np.pi / 3)])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_noise_maps_keep_their_power_on_the_great_circle() -> None:
    one, other = Latents.of(solved("w-plus-s-b", 0)), Latents.of(solved("w-plus-s-b", 1))
    finest = "noise.6"
    own = one.tensors()[finest].square().mean()
    round_ = interpolate(one, other, [0.5], path="spherical").latents.tensors()
    straight = interpolate(one, other, [0.5]).latents.tensors()
    assert abs(float(round_[finest].square().mean() / own) - 1) < 0.1
    assert float(straight[finest].square().mean() / own) < 0.6
    assert torch.equal(round_["styles"], straight["styles"])


def test_equal_and_opposite_tensors_have_a_path_too() -> None:
    one = torch.tensor([[1.0, 2.0, 3.0]])
    torch.testing.assert_close(spherical(one, one.clone(), 0.3), one)
    assert bool(spherical(one, -one, 0.3).isfinite().all())


def test_a_tensor_of_zeros_has_a_path_too() -> None:
    one = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    for ends in ((one, one.flip(0)), (one.flip(0), one), (0 * one, 0 * one)):
        assert bool(spherical(*ends, 0.3).isfinite().all())
    # The length, 2.5, goes linearly; half of the right angle is passed.
    half = spherical(one[:1], 0 * one[:1], 0.5)
    torch.testing.assert_close(half, one[:1] * 0.5 * np.sqrt(0.5))


def test_solutions_that_do_not_match_are_refused() -> None:
    plain, noisy = Latents.of(solved("w-plus")), Latents.of(solved("weights"))
    with pytest.raises(PriorError, match=r"only the second solution holds weights\."):
        interpolate(plain, noisy, [0.5])
    with pytest.raises(PriorError, match=r"only the first solution holds weights\."):
        interpolate(noisy, plain, [0.5])
    other = Latents.of(solution_of(prior_of("w-plus", random_generator(seed=9))))
    with pytest.raises(PriorError, match="the solutions are of different generators"):
        interpolate(plain, other, [0.5])
    same = Latents.of(solution_of(prior_of("w-plus", random_generator())))
    assert interpolate(plain, same, [0.5]).images.shape == (1, 3, 32, 32)
    with pytest.raises(ArgumentError, match="shares must be finite numbers"):
        interpolate(plain, plain, [])
    with pytest.raises(ShapeError, match="as many images each, not 1 and 2"):
        interpolate(plain, Latents.of(solved("w-plus", batch=2)), [0.5])
    image, two = solved("w-plus").image, solved("w-plus", batch=2).image
    with pytest.raises(ShapeError, match=r"images must be \(1, 3, 32, 32\)"):
        interpolate(plain, plain, [1.0], images=(image, two))


# ----------------------------------------------------------------------------------------- heads


def test_heads_are_mixed_by_their_parameters() -> None:
    prior = Sphinx(small_generator(), d=4)
    one, other = solution_of(prior, 0), solution_of(prior, 1)
    strip = interpolate_heads(prior, one, other, [1.0, 0.5, 0.0], seed=3)
    code = prior.start(1, torch.Generator().manual_seed(0))
    mean = {name: (value + other.code[name]) / 2 for name, value in one.code.items()}
    code.load_state_dict(mean)
    with torch.no_grad():
        expected = prior.realise(code, stream(3, "heads"))
    for name, tensor in strip.latents.tensors().items():
        torch.testing.assert_close(tensor[1:2], expected[name], rtol=1e-5, atol=1e-5)
    far = (strip.images[0] - strip.images[2]).square().mean()
    assert float(far) > 0


def test_only_heads_of_one_shape_are_mixed() -> None:
    prior = Sphinx(small_generator(), d=4)
    one, other = solution_of(prior), solution_of(Sphinx(small_generator(), d=6))
    with pytest.raises(PriorError, match="the second solution has other heads"):
        interpolate_heads(prior, one, other, [0.5])
    plain = StyleGANPrior(small_generator())
    with pytest.raises(PriorError, match="have no heads"):
        interpolate_heads(plain, solution_of(plain), solution_of(plain, 1), [0.5])


# ------------------------------------------------------------------------------------ smoothness


def test_the_length_of_a_straight_path_is_that_of_its_steps() -> None:
    one, other = torch.zeros(3, 8, 8), torch.full((3, 8, 8), 0.6)
    images = torch.stack([one.lerp(other, share) for share in (0, 0.25, 0.5, 0.75, 1)])
    found = smoothness(images, Distance())
    assert found.length == pytest.approx(0.6) and found.straight == pytest.approx(0.6)
    assert found.jump == pytest.approx(1)
    jumping = torch.stack([one, one, one, other])
    assert smoothness(jumping, Distance()).jump == pytest.approx(3)
    with pytest.raises(ShapeError, match="images must be two or more"):
        smoothness(jumping[:1], Distance())
