"""Numbers that the original public programs computed once, on weights drawn from a seed.

`golden_images.json` says, for each program, which code at which commit, the names and shapes of its
tensors, and the recipe: standard normal draws of NumPy's frozen `RandomState(seed)` in that order,
in float32, each tensor times the first scale and plus the first offset whose key is in its name.
Codes come from `RandomState(99)`: z, then style rows. Of the images a few pixels, norm and mean are
kept. No code of those programs is here.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from invprob.priors.checkpoints.convert import to_generator
from invprob.priors.checkpoints.reading import RawCheckpoint

GOLDEN: dict[str, Any] = json.loads(
    Path(__file__).with_name("golden_images.json").read_text("utf-8")
)
FIR = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64


def first_of(table: list[list[Any]], name: str, otherwise: float) -> np.float32:
    return np.float32(next((value for key, value in table if key in name), otherwise))


def tensors_of(golden: dict[str, Any]) -> dict[str, Tensor]:
    rng = np.random.RandomState(golden["seed"])
    tensors = {}
    for name, shape in golden["shapes"]:
        value = np.asarray(rng.standard_normal(shape), dtype=np.float32)
        value = value * first_of(golden["scales"], name, 1) + first_of(golden["offsets"], name, 0)
        tensors[name] = torch.from_numpy(np.asarray(value)).reshape(shape)
    gain = 4 if golden["filters"] and golden["filters"][0].endswith("kernel") else 1
    return {**tensors, **dict.fromkeys(golden["filters"], gain * FIR)}


def codes(golden: dict[str, Any]) -> tuple[Tensor, Tensor]:
    rng = np.random.RandomState(99)
    shapes = (2, golden["z_width"]), (2, golden["rows"], golden["style_width"])
    z, styles = (torch.from_numpy(rng.standard_normal(s).astype(np.float32)) for s in shapes)
    return z, styles


def check(image: Tensor, golden: dict[str, Any]) -> None:
    assert list(image.shape) == golden["shape"]
    image = image.double()
    size = golden["norm"] / image.numel() ** 0.5
    assert float(image.norm()) == pytest.approx(golden["norm"], rel=1e-5)
    assert float(image.mean()) == pytest.approx(golden["mean"], abs=1e-5 * size)
    for *place, value in golden["pixels"]:
        assert float(image[tuple(place)]) == pytest.approx(value, abs=1e-4 * size)


@pytest.mark.parametrize("name", GOLDEN)
def test_images_are_those_that_the_original_program_drew(name: str) -> None:
    golden = GOLDEN[name]
    raw = RawCheckpoint(name, tensors_of(golden), golden["attributes"], ())  # type: ignore[arg-type]
    generator = to_generator(raw, source=name)
    z, styles = codes(golden)
    check(generator.synthesis(styles), golden["image_of_styles"])
    labels = golden["labels"]
    w = generator.mapping(z, None if labels is None else torch.eye(5)[labels])
    torch.testing.assert_close(w[0, :4], torch.tensor(golden["w"]), rtol=1e-4, atol=1e-5)
    rows = w[:, None].expand(-1, generator.num_layers, -1)
    check(generator.synthesis(rows), golden["image_of_z"])
    for index, label in enumerate(labels or ()):  # the class folded in draws the same
        chosen = generator.with_label(label)
        torch.testing.assert_close(chosen.mapping(z)[index], w[index], rtol=1e-4, atol=1e-5)
