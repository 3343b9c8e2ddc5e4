"""The critic of classifier features: shapes, and the hinge losses against NumPy."""

import numpy as np
import pytest
import torch
from training.critic import FeatureCritic, critic_loss, deceiving_loss


def test_one_map_of_logits_a_layer() -> None:
    critic = FeatureCritic([4, 6], 8, seed=0)
    logits = critic([torch.randn(2, 4, 9, 7), torch.randn(2, 6, 5, 5)])
    assert [tuple(x.shape) for x in logits] == [(2, 1, 9, 7), (2, 1, 5, 5)]


def test_hinge_losses_against_numpy() -> None:
    rng = np.random.default_rng(0)
    real, fake = ([rng.standard_normal((3, 1, s, s)) * 2 for s in (4, 2)] for _ in range(2))
    expected = np.mean(
        [
            np.maximum(1 - r, 0).mean() + np.maximum(1 + f, 0).mean()
            for r, f in zip(real, fake, strict=True)
        ]
    )
    tensors = [[torch.from_numpy(x) for x in xs] for xs in (real, fake)]
    assert critic_loss(*tensors).item() == pytest.approx(expected)
    assert deceiving_loss(tensors[1]).item() == pytest.approx(-np.mean([f.mean() for f in fake]))


def test_a_critic_learns_to_tell_two_kinds_apart() -> None:
    critic = FeatureCritic([3], 8, seed=0)
    optimiser = torch.optim.Adam(critic.parameters(), 1e-2)
    rng = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(60):
        real = torch.randn(8, 3, 6, 6, generator=rng) + 1
        fake = torch.randn(8, 3, 6, 6, generator=rng) - 1
        loss = critic_loss(critic([real]), critic([fake]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > 1.5
    assert losses[-1] < 0.5
