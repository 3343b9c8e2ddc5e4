"""A term of pictures, as the mean over the pictures of a series."""

from collections.abc import Sequence

import torch
from torch import nn

from invprob.errors import ArgumentError
from invprob.losses.base import BoundTerm, Term
from invprob.operators.base import Operator
from invprob.operators.series import Series
from invprob.types import Images, Measured, PerImage


class MeanOfPictures(Term):
    """Another term of each picture of a series, and the mean of these.

    Args:
        term: what compares a picture with its measurement.
    """

    def __init__(self, term: Term) -> None:
        super().__init__(term.name, term.weight)
        self.term = term

    def seeded(self, seed: int) -> "MeanOfPictures":
        """The mean of the other term with that seed; the pictures share its draws."""
        return MeanOfPictures(self.term.seeded(seed))

    def bind(self, target: Measured, operator: Operator) -> BoundTerm:
        """Bind the measurement of each picture; raises `ArgumentError` where there is no series."""
        if not isinstance(operator, Series):
            raise ArgumentError(
                f"the mean over pictures needs an operator of a series, not {operator!r}; write "
                "invprob.operators.series(operator, pictures)"
            )
        each = [self.term.bind(one, operator.of()) for one in target.unbind(1)]
        return _Mean(each, operator)


class _Mean(nn.Module):
    """The bound term; what the terms of the pictures remember is part of its state."""

    def __init__(self, each: Sequence[BoundTerm], operator: Series) -> None:
        super().__init__()
        self._each, self._operator = tuple(each), [operator]  # the operator is no part of the state
        self._memories = nn.ModuleList(one for one in each if isinstance(one, nn.Module))

    def forward(self, image: Images, prediction: Measured) -> PerImage:
        """The mean of the terms of the pictures."""
        pictures = self._operator[0].split(image)
        pairs = zip(self._each, pictures, prediction.unbind(1), strict=True)
        return torch.stack([one(picture, seen) for one, picture, seen in pairs]).mean(0)
