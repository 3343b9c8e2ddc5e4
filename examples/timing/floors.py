"""What a step cannot be faster than: its convolutions, its arithmetic, its traffic."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from invprob.perceptual.distance import PerceptualDistance
from invprob.priors import Generator
from invprob.priors.stylegan.layers import SynthesisLayer

Job = Callable[[], object]


@dataclass(frozen=True)
class Convolution:
    """The shapes of one convolution: input (channels, h, w), kernel (outputs, inputs, k, k)."""

    given: tuple[int, int, int]
    kernel: tuple[int, int, int, int]
    output: tuple[int, int, int]
    stride: int
    padding: int
    doubling: bool = False

    @property
    def multiplications(self) -> int:
        """Multiply-adds for one image, forward."""
        outputs, inputs, height, width = self.kernel
        places = self.given if self.doubling else self.output
        return outputs * inputs * height * width * places[1] * places[2]

    @property
    def elements(self) -> int:
        """Elements read and written for one image, forward."""
        return sum(shape[0] * shape[1] * shape[2] for shape in (self.given, self.output))


def synthesis_convolutions(generator: Generator) -> list[Convolution]:
    """The 3x3 convolutions of a generator."""
    return [_synthesis(layer) for layer in generator.synthesis_layers()]


def _synthesis(layer: SynthesisLayer) -> Convolution:
    outputs, inputs, *_ = layer.weight.shape
    size = layer.noise.shape[2]
    before, after = (size // 2, size + 1) if layer.doubling else (size, size)
    return Convolution(
        (inputs, before, before),
        (outputs, inputs, 3, 3),
        (outputs, after, after),
        stride=2 if layer.doubling else 1,
        padding=0 if layer.doubling else 1,
        doubling=layer.doubling,
    )


def perceptual_convolutions(network: PerceptualDistance, image: Tensor) -> list[Convolution]:
    """The convolutions of a perceptual network on an image of these measures."""
    found: list[Convolution] = []

    def note(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        outputs, inputs, height, width = module.weight.shape
        found.append(
            Convolution(
                _three(given[0]),
                (outputs, inputs, height, width),
                _three(output),
                stride=module.stride[0],
                padding=int(module.padding[0]),
            )
        )

    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    with torch.no_grad():
        network.features(image)
    for hook in hooks:
        hook.remove()
    return found


def _three(x: Tensor) -> tuple[int, int, int]:
    return x.shape[1], x.shape[2], x.shape[3]


def bare(convolutions: list[Convolution], batch: int, device: torch.device, last: bool) -> Job:
    """Each convolution alone, forward and backward to its input; channels first or `last`."""
    order = torch.channels_last if last else torch.contiguous_format
    work: list[tuple[Convolution, Tensor, Tensor, Tensor]] = []
    for one in convolutions:
        x = torch.randn(batch, *one.given, device=device).contiguous(memory_format=order)
        g = torch.randn(batch, *one.output, device=device).contiguous(memory_format=order)
        weight = torch.randn(one.kernel, device=device) / one.kernel[1] ** 0.5
        if one.doubling:
            weight = weight.transpose(0, 1)
        work.append((one, x, g, weight.contiguous(memory_format=order)))

    def run() -> None:
        for one, x, g, weight in work:
            if one.doubling:
                F.conv_transpose2d(x, weight, stride=2)
                F.conv2d(g, weight, stride=2)
            else:
                F.conv2d(x, weight, stride=one.stride, padding=one.padding)
                conv2d_input(x.shape, weight, g, stride=one.stride, padding=one.padding)

    return run


@dataclass(frozen=True)
class Machine:
    """What the machine was measured to do: float32 matrix products and copies."""

    flops: float  # a second
    bandwidth: float  # bytes read and written a second

    def floor(self, convolutions: list[Convolution], batch: int) -> float:
        """Seconds for the arithmetic or the traffic of a step, whichever takes longer.

        Forward each convolution reads its input and writes its output; backward to the input it
        reads both again (the slopes and the scales' gradients) with the output's gradient, and
        writes the input's: three times the forward traffic at twice the forward arithmetic.
        """
        work = 2 * 2 * batch * sum(one.multiplications for one in convolutions)
        traffic = 3 * 4 * batch * sum(one.elements for one in convolutions)
        return max(work / self.flops, traffic / self.bandwidth)


def measure_machine(device: torch.device, size: int) -> Machine:
    """Time matrix products of `size` and copies of 64 `size` x `size`."""
    a = torch.randn(size, size, device=device)
    source = torch.randn(64, size, size, device=device)
    target = torch.empty_like(source)
    product = fastest(lambda: a @ a, device)
    copy = fastest(lambda: target.copy_(source), device)
    return Machine(2 * size**3 / product, 2 * 4 * source.numel() / copy)


def fastest(job: Job, device: torch.device, repeats: int = 8) -> float:
    """Seconds of the fastest of some calls."""
    times = []
    for _ in range(repeats):
        wait(device)
        begin = time.perf_counter()
        job()
        wait(device)
        times.append(time.perf_counter() - begin)
    return min(times)


def wait(device: torch.device) -> None:
    """Let a device that works by itself come to its end."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
