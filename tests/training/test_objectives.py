"""The training losses against formulas that autograd took no part in."""

import numpy as np
import torch
from training.discriminator import Discriminator, minibatch_deviation, smooth_down
from training.objectives import discriminator_loss, generator_loss, path_lengths, r1_penalty

from invprob.errors import ArgumentError


class Quadratic(torch.nn.Module):
    """D(x) = <a, x> + b/2 <x, x>, whose gradient is a + b·x."""

    def __init__(self, linear: torch.Tensor, curvature: float) -> None:
        super().__init__()
        self.linear = linear
        self.curvature = torch.nn.Parameter(torch.tensor(curvature, dtype=linear.dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.linear * x + self.curvature / 2 * x.square()).sum((1, 2, 3))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_r1_of_a_quadratic_and_its_gradient() -> None:
    x = torch.randn(3, 2, 4, 5, generator=rng(), dtype=torch.float64)
    a = torch.randn(2, 4, 5, generator=rng(1), dtype=torch.float64)
    network = Quadratic(a, 0.7)
    penalty = r1_penalty(network, x)
    slope = (a + 0.7 * x).numpy()
    np.testing.assert_allclose(penalty.item(), (slope**2).sum((1, 2, 3)).mean(), rtol=1e-12)
    penalty.backward()
    assert network.curvature.grad is not None
    expected = (2 * slope * x.numpy()).sum((1, 2, 3)).mean()
    np.testing.assert_allclose(network.curvature.grad.item(), expected, rtol=1e-12)


def test_path_length_of_a_linear_map() -> None:
    """image = A · rows, so Jᵀy = Aᵀy, with y the stated draw over the image's side."""
    layers, width, side = 3, 5, 4
    a = torch.randn(3 * side * side, layers * width, generator=rng(), dtype=torch.float64)
    rows = torch.randn(2, layers, width, generator=rng(1), dtype=torch.float64, requires_grad=True)
    images = (rows.flatten(1) @ a.T).view(2, 3, side, side)
    lengths = path_lengths(images, rows, rng(2))
    y = torch.randn(2, 3, side, side, generator=rng(2)).double().flatten(1).numpy() / side
    pulled = (y @ a.numpy()).reshape(2, layers, width)
    expected = np.sqrt((pulled**2).sum(2).mean(1))
    np.testing.assert_allclose(lengths.detach().numpy(), expected, rtol=1e-12)


def test_path_length_can_be_differentiated_again() -> None:
    """With image = t² · A · rows the length is t² times that of A, its slope 2/t times itself."""
    a = torch.randn(12, 8, generator=rng(), dtype=torch.float64)
    t = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    rows = torch.randn(1, 2, 4, generator=rng(1), dtype=torch.float64, requires_grad=True)
    images = (t.square() * rows.flatten(1) @ a.T).view(1, 3, 2, 2)
    length = path_lengths(images, rows, rng(2)).sum()
    (slope,) = torch.autograd.grad(length, t)
    torch.testing.assert_close(slope, 2 / t.detach() * length.detach())


def test_logistic_losses() -> None:
    real, fake = np.array([0.3, -2.0]), np.array([1.5, -0.2, 40.0])
    loss = discriminator_loss(torch.from_numpy(real), torch.from_numpy(fake))
    expected = np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean()
    np.testing.assert_allclose(loss.item(), expected, rtol=1e-12)
    expected = np.log1p(np.exp(-fake)).mean()
    np.testing.assert_allclose(generator_loss(torch.from_numpy(fake)).item(), expected, rtol=1e-12)


def test_minibatch_deviation_against_numpy() -> None:
    x = torch.randn(8, 3, 4, 4, generator=rng(), dtype=torch.float64)
    out = minibatch_deviation(x).numpy()
    np.testing.assert_array_equal(out[:, :3], x.numpy())
    for image in range(8):
        group = x.numpy()[image % 2 :: 2]  # four images, two apart
        expected = np.sqrt(group.var(0) + 1e-8).mean()
        np.testing.assert_allclose(out[image, 3], expected, rtol=1e-12)


def test_minibatch_deviation_of_an_odd_batch_is_one_group() -> None:
    x = torch.randn(3, 2, 4, 4, generator=rng(), dtype=torch.float64)
    expected = np.sqrt(x.numpy().var(0) + 1e-8).mean()
    np.testing.assert_allclose(minibatch_deviation(x).numpy()[:, 2], expected, rtol=1e-12)


def test_smooth_down_against_scipy() -> None:
    from scipy.signal import convolve2d

    x = torch.randn(1, 2, 6, 8, generator=rng(), dtype=torch.float64)
    taps = np.array([1, 3, 3, 1]) / 8
    for channel in range(2):
        padded = np.pad(x.numpy()[0, channel], 1)
        expected = convolve2d(padded, np.outer(taps, taps), "valid")[::2, ::2]
        np.testing.assert_allclose(smooth_down(x).numpy()[0, channel], expected, atol=1e-12)


def test_discriminator_takes_its_own_size_only() -> None:
    network = Discriminator(32, (8, 8, 6, 4))
    assert network(torch.zeros(3, 3, 32, 32)).shape == (3,)
    try:
        Discriminator(64, (8, 8, 6, 4))
    except ArgumentError as error:
        assert "channels" in str(error)
    else:
        raise AssertionError("four channel counts were taken for 64 px")
