"""The trunks for which LPIPS has heads: AlexNet, SqueezeNet 1.1, VGG16 and a blurred VGG16.

The first three have torchvision's names and shapes (arXiv:1404.5997, 1602.07360, 1409.1556), the
last one those of ST-LPIPS (arXiv:2207.13686). Convolutions are `FrozenConv2d`, because the trunks
are never trained.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from invprob.errors import PerceptualError
from invprob.fast.frozen import FrozenConv2d
from invprob.weights.catalogue import published


def in_wheel(package: str, name: str) -> Path:
    """Find a data file of an installed package without importing the package."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise PerceptualError(f"package {package!r} is not installed; run: pip install {package}")
    return Path(next(iter(spec.submodule_search_locations)), name)


@final
@dataclass(frozen=True)
class Network:
    """A trunk for which LPIPS has heads.

    Args:
        name: What `--perceptual` calls it.
        label: What tables call the metric.
        layers: Builds all layers.
        taps: Indices of the layers that are compared.
        smallest: Pixels that each side of an image must have.
        pulled: The name under which `invprob pull` gets the weights, or None.
        wheel: The package that contains the weights, and the path inside it, or None.
        heads: The package that contains the heads, and the path inside it. None: they are in the
            same file as the trunk.
    """

    name: str
    label: str
    layers: Callable[[], list[nn.Module]]
    taps: tuple[int, ...]
    smallest: int
    pulled: str | None = None
    wheel: tuple[str, str] | None = None
    heads: tuple[str, str] | None = None

    def trunk(self) -> nn.Sequential:
        """The layers up to the last one compared, with uninitialised weights."""
        with torch.device("meta"):
            trunk = nn.Sequential(*self.layers()[: self.taps[-1] + 1])
        return trunk.to(torch.float32).to_empty(device="cpu")

    def fit(self, tensors: Mapping[str, Tensor]) -> int:
        """The number of tensors that have the name and shape of one of this network's."""
        own = self.trunk().state_dict()
        return sum(name in own and own[name].shape == at.shape for name, at in tensors.items())

    def places(self) -> Iterator[Path]:
        """The files in which the weights may be, in order of preference."""
        if self.wheel is not None and find_spec(self.wheel[0]) is not None:
            yield in_wheel(*self.wheel)
        if self.pulled is not None:
            ours = published()[self.pulled].path
            yield Path(torch.hub.get_dir(), "checkpoints", ours.name)
            yield ours

    @property
    def command(self) -> str:
        """The shell command that gets the weights."""
        if self.wheel is not None:
            return f"pip install {self.wheel[0]}"
        return f"invprob pull {self.pulled}"


@final
class Fire(nn.Module):
    """SqueezeNet's block: a 1x1 convolution to few channels, then 1x1 and 3x3 side by side."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = FrozenConv2d(channels, squeezed, 1)
        self.expand1x1 = FrozenConv2d(squeezed, expanded, 1)
        self.expand3x3 = FrozenConv2d(squeezed, expanded, 3, padding=1)

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, channels, h, w) -> (batch, 2 · expanded, h, w)."""
        hidden = self.squeeze(hidden).relu()
        return torch.cat((self.expand1x1(hidden), self.expand3x3(hidden)), 1).relu()


@final
class BlurPool(nn.Module):
    """Low-pass by a stored filter and keep every second pixel (arXiv:2207.13686)."""

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        # On the default device, like the layers beside it.
        taps = torch.empty(channels, 1, 3, 3, dtype=torch.float32, device=None)
        self.register_buffer("filt", taps)

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, channels, h, w) -> half the height and width; the border is mirrored."""
        mirrored = functional.pad(hidden, (2, 2, 2, 2), mode="reflect")
        return functional.conv2d(mirrored, self.filt, stride=2, groups=len(self.filt))


def _conv(
    channels: int, filters: int, size: int = 3, stride: int = 1, pad: int = 1
) -> list[nn.Module]:
    return [FrozenConv2d(channels, filters, size, stride, pad), nn.ReLU(inplace=True)]


def _alex() -> list[nn.Module]:
    return [
        *(*_conv(3, 64, 11, 4, 2), nn.MaxPool2d(3, 2)),
        *(*_conv(64, 192, 5, 1, 2), nn.MaxPool2d(3, 2)),
        *(*_conv(192, 384), *_conv(384, 256), *_conv(256, 256)),
    ]


def _squeeze() -> list[nn.Module]:
    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    return [
        *(*_conv(3, 64, 3, 2, 0), pool()),
        *(Fire(64, 16, 64), Fire(128, 16, 64), pool()),
        *(Fire(128, 32, 128), Fire(256, 32, 128), pool()),
        *(Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)),
    ]


def _vgg(pool: Callable[[int], list[nn.Module]]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for repeats, filters in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        if layers:
            layers += pool(channels)
        for _ in range(repeats):
            layers += [FrozenConv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True)]
            channels = filters
    return layers


NETWORKS: Mapping[str, Network] = {
    network.name: network
    for network in (
        Network(
            name="alex",
            label="LPIPS-AlexNet",
            layers=_alex,
            taps=(1, 4, 7, 9, 11),
            smallest=31,
            pulled="lpips-alex",
            heads=("lpips", "weights/v0.1/alex.pth"),
        ),
        Network(
            name="squeeze",
            label="LPIPS-SqueezeNet",
            layers=_squeeze,
            taps=(1, 4, 7, 9, 10, 11, 12),
            smallest=17,
            pulled="lpips-squeeze",
            heads=("lpips", "weights/v0.1/squeeze.pth"),
        ),
        Network(
            name="vgg",
            label="LPIPS-VGG16",
            layers=lambda: _vgg(lambda channels: [nn.MaxPool2d(2)]),
            taps=(3, 8, 15, 22, 29),
            smallest=16,
            pulled="lpips-vgg",
            heads=("lpips", "weights/v0.1/vgg.pth"),
        ),
        Network(
            name="st-vgg",
            label="ST-LPIPS-VGG16",
            layers=lambda: _vgg(lambda channels: [nn.MaxPool2d(2, 1), BlurPool(channels)]),
            taps=(3, 9, 17, 25, 33),
            smallest=18,
            wheel=("stlpips_pytorch", "weights/vST0.0/vgg_shift_tolerant.pth"),
        ),
    )
}
