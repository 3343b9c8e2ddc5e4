"""The choice among the ways to convolve by a frozen weight."""

from typing import final

from torch import Tensor, nn

from invprob.fast.convolutions import Direct, DirectDoubling, Packed, PackedDoubling, Way, Winograd


@final
class FrozenWeight:
    """Chooses how to convolve by a weight that does not change, and keeps what is derived from it.

    Args:
        ways: Ways to compute the same convolution, the fastest first. The last can serve anything.
    """

    def __init__(self, *ways: Way) -> None:
        self._ways = ways

    @classmethod
    def unit_stride(cls, size: int, padding: int) -> "FrozenWeight":
        """For convolutions of stride 1.

        Args:
            size: Height and width of the kernels.
            padding: Zeros added on each side.
        """
        ways: list[Way] = [Packed(size, padding), Direct(padding)]
        return cls(Winograd(), *ways) if (size, padding) == (3, 1) else cls(*ways)

    @classmethod
    def doubling(cls) -> "FrozenWeight":
        """For StyleGAN2's 3x3 convolutions to twice the height and width."""
        return cls(PackedDoubling(), DirectDoubling())

    def way(self, weight: Tensor, x: Tensor) -> Way:
        """Choose the way for features like x.

        This is the only place where invprob decides how to convolve by a frozen weight. The rule is
        fixed: the first way that can and pays. A measured trial for each shape would replace it.

        Args:
            weight: (outputs, inputs, k, k); it must need no gradient.
            x: Features (batch, inputs, h, w), of which only shape, type and device are read.
        """
        return next(way for way in self._ways if way.can(x, weight) and way.pays(x, weight))


@final
class FrozenConv2d(nn.Conv2d):
    """PyTorch's convolution layer with square kernels, faster where its weights are frozen.

    While weight or bias need a gradient, or with a stride above 1, it is PyTorch's layer. Otherwise
    its result has a gradient to the input, but perhaps no second derivative.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        size: Height and width of the kernels.
        stride: Pixels from one output to the next.
        padding: Zeros added on each side.
    """

    def __init__(
        self, inputs: int, outputs: int, size: int, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__(inputs, outputs, size, stride, padding)
        self._frozen = FrozenWeight.unit_stride(size, padding)

    def forward(self, input: Tensor) -> Tensor:
        """(batch, inputs, h, w) -> (batch, outputs, H, W)."""
        weight, bias = self.weight, self.bias
        trained = weight.requires_grad or (bias is not None and bias.requires_grad)
        if bias is None or trained or self.stride != (1, 1):
            return super().forward(input)
        return self._frozen.way(weight, input).differentiable(input, weight, bias)
