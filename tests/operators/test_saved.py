"""What earlier versions saved: specs and fingerprints must stay, or their files are lost.

`saved_operators.json` and `saved_measurements.safetensors` were written at commit 4a8dc33.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from invprob.measurements import Measurements, measure
from invprob.operators import (
    JPEG,
    BoxMask,
    DenseGaussian,
    Gamma,
    GaussianNoise,
    LinearStack,
    Luminance,
    Mask,
    Operator,
    PartialCirculant,
    Rotate,
    each,
    stack,
)
from invprob.registry import register

HERE = Path(__file__).parent
SHAPE = (3, 8, 8)


def _saved() -> dict[str, dict[str, Any]]:
    saved: dict[str, dict[str, Any]] = json.loads((HERE / "saved_operators.json").read_text())
    return saved


def _built(name: str) -> Operator:
    """The operator that was saved under this name, as an author builds it."""
    circulants = [PartialCirculant(SHAPE, ratio=0.3, seed=seed) for seed in range(3)]
    turn = Rotate(SHAPE, degrees=20.0)
    structures: dict[str, Operator] = {
        "chain": PartialCirculant(SHAPE, ratio=0.2) @ turn,
        "curved chain": JPEG((1, 8, 8), quality=30) @ Luminance(SHAPE) @ BoxMask(SHAPE),
        "linear stack": stack([circulants[0], BoxMask(SHAPE)]),
        "curved stack": stack(
            [Gamma(SHAPE, exponent=2.0), circulants[1] @ Rotate(SHAPE, degrees=10.0)]
        ),
        "linear each": each(circulants),
        "curved each": each([JPEG((1, 8, 8), quality=quality) for quality in (30, 50)]),
        "adjoint": circulants[0].H,
        "nested": stack([each(circulants) @ turn, circulants[0].H @ circulants[0]]),
    }
    return structures[name] if name in structures else register.operator[name].example()


@pytest.mark.parametrize("name", _saved())
def test_specs_and_fingerprints_are_those_of_earlier_versions(name: str) -> None:
    saved, built = _saved()[name], _built(name)
    assert built.spec() == saved["spec"]
    if name == "dense-gaussian" and torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        pytest.skip("without AVX2 PyTorch draws normal numbers of float32 with other last digits")
    assert built.fingerprint() == saved["fingerprint"]
    assert Operator.from_spec(saved["spec"]).fingerprint() == saved["fingerprint"]


def test_a_drawn_matrix_is_that_of_earlier_versions_up_to_rounding() -> None:
    """PyTorch draws r cos φ with r = √(-2 log u) < 6 and φ = 2π v < 7.

    Sets of instructions have logarithms and cosines of their own. In float32, where numbers are
    rounded by shares of 2^-24, φ and hence the cosine may err by 7 such shares, r by one.
    """
    drawn = DenseGaussian.example().matrix.flatten()
    first = [-1.12583983, -1.15236020, -0.25057858, -0.43387881, 0.84871036]
    last = [-0.59499079, 0.29369488, 1.10237026]
    expected = torch.tensor([*first, *last])
    found = torch.cat((drawn[:5], drawn[-3:]))
    torch.testing.assert_close(found, expected, rtol=0, atol=6 * (7 + 1) * 2**-24)


def test_a_file_of_an_earlier_version_is_loaded() -> None:
    measurements = Measurements.load(HERE / "saved_measurements.safetensors")
    rng = torch.Generator().manual_seed(1)
    image = torch.rand(3, *SHAPE, generator=rng) * 2 - 1
    circulants = [PartialCirculant(SHAPE, ratio=0.3, seed=seed) for seed in range(3)]
    stripes = [[int((row + column) % 3 > 0) for column in range(8)] for row in range(8)]
    operator = stack([each(circulants) @ Rotate(SHAPE, degrees=20.0), Mask(SHAPE, mask=stripes)])
    assert isinstance(measurements.operator(), LinearStack)
    again = measure(image, operator, GaussianNoise(sigma=0.1))
    seen = operator.observed().expand(again.values.shape)  # earlier versions drew noise everywhere
    apart = again.values - measurements.values
    torch.testing.assert_close(apart[seen], torch.zeros(int(seen.sum())), rtol=0, atol=1e-5)
    assert not again.values[~seen].any()
