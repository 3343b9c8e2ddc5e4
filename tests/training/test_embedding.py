"""The embedding of factors, its importance, and the mapping that is fitted to it."""

import networks
import numpy as np
import torch
from training.embedding import (
    FactorEmbedding,
    fit_mapping,
    fold_offset,
    importance_of,
    start_mapping,
)

from invprob.priors.stylegan.generator import GeneratorConfig


def test_an_embedding_begins_with_the_weighed_features() -> None:
    importance = torch.tensor([2.0, 1.0, 0.5])
    features = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    w = FactorEmbedding(importance, 5, seed=0)(features)
    torch.testing.assert_close(w[:, :3], features * importance)
    assert not w[:, 3:].any()


def test_importance_is_the_root_of_what_a_regression_gives() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((400, 3))
    effect = np.array([40.0, 20.0, 10.0])
    pixels = np.zeros((400, 3, 32, 32))
    for k in range(3):  # each feature shows in a place of its own
        pixels[:, :, 8 * k : 8 * k + 8] += (features[:, k] * effect[k])[:, None, None, None]
    images = torch.from_numpy(np.clip(pixels + 127, 0, 255)).byte()
    importance = importance_of(torch.from_numpy(features).float(), images)
    np.testing.assert_allclose(importance, np.sqrt(effect / 20), rtol=0.06)


def test_the_mapping_starts_as_the_best_linear_map() -> None:
    generator = networks.random_generator(GeneratorConfig(32, (8, 8, 8, 8), 64, 4))
    rng = torch.Generator().manual_seed(1)
    z, mixing = torch.randn(2000, 64, generator=rng), torch.randn(64, 64, generator=rng)
    w = z @ mixing + 7
    offset = start_mapping(generator, z, w, seed=0)
    torch.testing.assert_close(offset, 4 * w.std(0))
    missed = (generator.mapping(z) - offset - w).square().sum() / (w - w.mean(0)).square().sum()
    # The length of z, 1 ± 0.09 in 64 dimensions, is what normalising takes away.
    assert missed < 0.03


def test_folding_the_offset_changes_nothing_that_is_drawn() -> None:
    generator = networks.random_generator(dtype=torch.float64)
    embedding = FactorEmbedding(torch.ones(6), 16, seed=0).double()
    embedding.offset.copy_(torch.arange(16.0) - 5)
    rng = torch.Generator().manual_seed(0)
    styles = torch.randn(2, 8, 16, generator=rng, dtype=torch.float64)
    folded = fold_offset(generator, embedding)
    torch.testing.assert_close(
        folded.synthesis(styles + embedding.offset), generator.synthesis(styles)
    )


def test_a_mapping_learns_an_embedding_that_it_can_express() -> None:
    generator = networks.random_generator(GeneratorConfig(32, (8, 8, 8, 8), 16, 3))
    embedding = FactorEmbedding(torch.ones(6), 16, seed=0)
    rng = torch.Generator().manual_seed(0)

    def pairs(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        z = torch.randn(count, 16, generator=rng)
        return z, torch.cat([z[:, :4], z[:, 4:6].relu()], 1)

    missed = fit_mapping(generator, embedding, pairs, steps=800, batch=64)
    # Sixteen coordinates scaled to a common length still tell all but a few per cent.
    assert missed < 0.1
    z, features = pairs(2000)
    wanted, got = embedding(features), generator.mapping(z) - embedding.offset
    share = (got - wanted).square().sum() / (wanted - wanted.mean(0)).square().sum()
    assert share < 0.12
