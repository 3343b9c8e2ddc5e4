"""A perceptual distance without weights, for tests that never compare images with it."""

from torch import nn

from invprob.perceptual.distance import PerceptualDistance


class FakeDistance(PerceptualDistance):  # type: ignore[misc]  # final for everybody else
    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.name = "fake"
