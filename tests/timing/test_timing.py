"""What the benchmark compares with: the same images, and the work that is really there."""

import networks
import torch
from timing.floors import bare, perceptual_convolutions, synthesis_convolutions
from timing.moving import Descent, convolution_weights
from timing.published import published

from invprob.perceptual.distance import PerceptualDistance
from invprob.perceptual.trunks import NETWORKS
from invprob.priors.stylegan.generator import GeneratorConfig


def test_the_baseline_draws_the_same_images_with_weight_gradients() -> None:
    generator = networks.random_generator(dtype=torch.float64)
    styles = torch.randn(2, generator.num_layers, 16, dtype=torch.float64)
    image = published(generator).synthesis(styles)
    torch.testing.assert_close(image, generator.synthesis(styles), rtol=1e-9, atol=1e-10)
    assert image.requires_grad


def test_multiplications_of_a_generator_by_hand() -> None:
    config = GeneratorConfig(32, (8, 6, 4, 2), 5, 1)
    counted = [one.multiplications for one in synthesis_convolutions(_generator(config))]
    assert counted == [
        *(9 * 8 * 8 * 16, 9 * 8 * 6 * 16, 9 * 6 * 6 * 64, 9 * 6 * 4 * 64),
        *(9 * 4 * 4 * 256, 9 * 4 * 2 * 256, 9 * 2 * 2 * 1024),
    ]


def test_multiplications_of_alexnet_by_hand() -> None:
    """Krizhevsky's layers on 64 px: 15, 7 and 3 pixels a side come out of stride and pooling."""
    network = NETWORKS["alex"]
    heads = [torch.ones(1, width, 1, 1) for width in (64, 192, 384, 256, 256)]
    distance = PerceptualDistance(network, network.trunk(), heads, {"sha256": ""})
    counted = [
        one.multiplications for one in perceptual_convolutions(distance, torch.zeros(1, 3, 64, 64))
    ]
    assert counted == [
        121 * 3 * 64 * 225,
        25 * 64 * 192 * 49,
        *(9 * 192 * 384 * 9, 9 * 384 * 256 * 9, 9 * 256 * 256 * 9),
    ]


def test_bare_convolutions_run_in_both_orders() -> None:
    for last in (False, True):
        work = synthesis_convolutions(_generator(networks.SMALL))
        bare(work, 2, torch.device("cpu"), last)()


def test_steps_bring_the_images_nearer_and_weights_help() -> None:
    generator = _generator(networks.SMALL)
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    names = convolution_weights(generator)
    assert len(names) == 7 + 4
    target = torch.zeros(2, *generator.image_shape)
    ends = []
    for moving in ([], names):
        step = Descent(generator, target, moving)
        start = step.misfits()
        for _ in range(4):
            step()
        ends.append(step.misfits())
        assert (ends[-1] < start).all()
    assert (ends[1] < ends[0]).all()
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())


def _generator(config: GeneratorConfig) -> networks.Generator:
    return networks.random_generator(config)
