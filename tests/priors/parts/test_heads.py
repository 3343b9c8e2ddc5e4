"""Projection heads: published sizes, and plain nn.Linear and conv2d as the double."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from invprob.errors import ArgumentError
from invprob.priors.parts.heads import ContentHead, HeadShape, StyleHead, count_parameters


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("preset", "d", "count"),
    [
        ("paper", None, 398_096 + 646_848),
        ("official", None, 168_352 + 18 * 76_480),
        ("official", 16, 813_000),
        ("official", 64, 3_285_000),
        ("official", 128, 7_870_000),
    ],
)
def test_style_head_sizes_at_1024_px(preset: str, d: int | None, count: int) -> None:
    """The counts published for 18 rows of width 512; the last three are known to 0.1 %."""
    shape = HeadShape.preset(preset, 512, d)  # type: ignore[arg-type]
    found = count_parameters(StyleHead(shape, 18, 512, 1, rng()))
    if d is None:
        assert found == count
    else:
        assert abs(found - count) < 1e-3 * count


@pytest.mark.parametrize(("code_channels", "count"), [(8, 70_048), (512, 86_176)])
def test_content_head_sizes(code_channels: int, count: int) -> None:
    assert count_parameters(ContentHead(code_channels, 512, 1, rng())) == count


def test_paper_and_official_widths() -> None:
    paper, official = (HeadShape.preset(name, 512) for name in ("paper", "official"))
    assert (paper.bottleneck, paper.decoder) == ((512, 256, 16), (32, 64, 512))
    assert (official.bottleneck, official.decoder) == ((256, 128, 32), (64, 128, 512))
    assert (paper.content_channels, official.content_channels) == (512, 8)


def test_style_head_is_an_mlp_shared_by_rows_then_one_for_each_row() -> None:
    """The same weights in plain nn.Linear modules, row by row."""
    layers, width = 4, 10
    head = StyleHead(HeadShape((9, 7, 3), (6, 8, width), 8), layers, width, 2, rng())
    with torch.no_grad():
        for value in head.parameters():  # make the two images differ
            value[1] += 0.1 * torch.randn(value[1].shape, generator=rng(5))
    z = torch.randn(1, layers, width, generator=rng(1))
    out = head(z)
    for image, row in itertools.product(range(2), range(layers)):
        x = z[0, row]
        for mlp, pick in ((head.encoder, (image,)), (head.decoders, (image, row))):
            for index in range(0, len(mlp), 2):
                weight, bias = mlp[index][pick], mlp[index + 1][pick]
                linear = nn.Linear(*weight.shape)
                linear.weight.data, linear.bias.data = weight.T.detach(), bias.detach().flatten()
                x = linear(x)
                x = F.relu(x) if index == 0 else x
        torch.testing.assert_close(out[image, row], x, rtol=1e-5, atol=1e-6)


def test_content_head_is_three_1x1_convolutions() -> None:
    head = ContentHead(5, 11, 2, rng())
    with torch.no_grad():
        for value in head.parameters():
            value[1] += 0.1 * torch.randn(value[1].shape, generator=rng(5))
    s = torch.randn(1, 5, 4, 4, generator=rng(1))
    out = head(s)
    for image in range(2):
        x = s
        for index, weight in enumerate(head.weights):
            kernel = weight[image].T[:, :, None, None] / weight.shape[1] ** 0.5
            x = F.conv2d(x, kernel)
            if index < 2:
                x = F.leaky_relu(x + head.biases[index][image].view(1, -1, 1, 1), 0.2) * 2**0.5
        torch.testing.assert_close(out[image : image + 1], x, rtol=1e-5, atol=1e-6)


def test_images_start_alike_and_do_not_mix() -> None:
    head = StyleHead(HeadShape.preset("official", 16), 3, 16, 2, rng())
    out = head(torch.randn(1, 3, 16, generator=rng(1)))
    assert torch.equal(out[0], out[1])
    out[0].sum().backward()
    for value in head.parameters():
        assert value.grad is not None
        assert value.grad[0].abs().sum() > 0
        assert value.grad[1].abs().sum() == 0


def test_start_has_the_spread_of_pytorch_linear_layers() -> None:
    """At the start w has std 0.072 in the published code (512 wide, d = 32)."""
    head = StyleHead(HeadShape.preset("official", 512), 18, 512, 1, rng())
    w = head(torch.randn(1, 18, 512, generator=rng(1)))
    assert 0.060 < w.std().item() < 0.085


def test_unknown_presets_and_widths_are_refused() -> None:
    with pytest.raises(ArgumentError, match="preset must be"):
        HeadShape.preset("papier", 512)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="d must be at least 1, not 0"):
        HeadShape.preset("paper", 512, 0)
