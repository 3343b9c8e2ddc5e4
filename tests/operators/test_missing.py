"""Measurements of which some are missing."""

import numpy as np
import pytest
import torch

from invprob.errors import ArgumentError, ShapeError
from invprob.measurements import Measurements
from invprob.operators import CT, ElementMask, MulticoilMRI, Operator, RandomMask, without_missing

SHAPE = (1, 12, 12)
OPERATORS = [CT(SHAPE, views=5, detectors=14), MulticoilMRI(SHAPE, coils=2, acceleration=2)]


@pytest.mark.parametrize("operator", OPERATORS)
def test_what_is_missing_is_not_observed_and_the_rest_is_as_before(operator: Operator) -> None:
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.uniform(-1, 1, (2, *SHAPE)))
    values = operator(image)
    gone = torch.from_numpy(rng.uniform(size=operator.measurement_shape) < 0.2)
    damaged = torch.where(gone, torch.nan, values)
    filled, behind = without_missing(damaged, operator)
    assert torch.equal(behind.observed()[0], ~gone)
    torch.testing.assert_close(behind(image), torch.where(gone, 0.0, values))
    assert torch.equal(filled, torch.where(gone, 0.0, values))
    measurements = Measurements.from_array(filled, behind)
    again = measurements.operator()
    assert torch.equal(again.observed(), behind.observed())
    assert again.measured == int((~gone).sum())
    masked = np.ma.masked_array(values[0].numpy(), gone.numpy())
    alike, same = without_missing(masked, operator)
    assert torch.equal(alike, filled[:1]) and same.fingerprint() == behind.fingerprint()


def test_nothing_is_added_where_nothing_is_missing() -> None:
    values = np.zeros((1, *OPERATORS[0].measurement_shape))
    _, behind = without_missing(values, OPERATORS[0])
    assert behind is OPERATORS[0]
    hidden = RandomMask(SHAPE, ratio=0.5)
    holes = np.where(hidden.observed()[0].numpy(), 0.5, np.nan)
    filled, behind = without_missing(holes, hidden)
    assert behind is hidden and bool(filled.isfinite().all())


def test_what_cannot_be_left_out() -> None:
    operator = OPERATORS[0]
    values = np.zeros((2, *operator.measurement_shape))
    with pytest.raises(ArgumentError, match="all of them are missing"):
        without_missing(values * np.nan, operator)
    values[0, 0, 0, 0] = np.nan
    with pytest.raises(ArgumentError, match=r"each image misses other.*operators\.each"):
        without_missing(values, operator)
    with pytest.raises(ShapeError, match=r"not those of the operator, \(batch, 1, 5, 14\)"):
        without_missing(values[:, :, 1:], operator)
    with pytest.raises(ArgumentError, match=r"must be \(1, 2, 2\)"):
        ElementMask((1, 2, 2), mask=[[1, 0, 1]])
    with pytest.raises(ArgumentError, match="zeros"):
        ElementMask((1, 2, 2), mask=[1, 0, 1, 0.5])
    with pytest.raises(ArgumentError, match="no element"):
        ElementMask((1, 2, 2), mask=[0, 0, 0, 0])
    with pytest.raises(ValueError, match="without_missing"):
        Measurements.from_array(values[:1], operator)
