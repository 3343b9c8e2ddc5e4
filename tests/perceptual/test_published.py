"""LPIPS of real pictures and of noise against published values."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from PIL import Image
from random_trunks import loaded, pair
from shared_files import shared
from torch import Tensor

from invprob.perceptual.distance import PerceptualDistance
from invprob.version import install_command

SHARED_TRUNKS = {"alex": "alexnet_features.pth", "squeeze": "squeezenet1_1_features.pth"}
NOISE_LAYERS = {
    "squeeze": [0.037301, 0.007675, 0.012229, 0.012685, 0.012535, 0.008398, 0.011558],
    "alex": [0.041878, 0.018495, 0.022087, 0.033232, 0.015477],
}
FACE_LAYERS = {
    "alex": [0.082990, 0.105355, 0.139004, 0.143177, 0.107227],
    "squeeze": [0.092199, 0.010043, 0.083655, 0.138820, 0.070526, 0.046233, 0.058382],
}


def per_layer(distance: PerceptualDistance, x: Tensor, y: Tensor) -> list[float]:
    pairs = zip(distance.features(x), distance.features(y), strict=True)
    return [float((a - b).square().sum((1, 2, 3))[0]) for a, b in pairs]


@pytest.mark.parametrize(
    ("name", "values"), [("squeeze", [0.10238, 0.09377]), ("alex", [0.13117, 0.14196])]
)
def test_published_values_of_noise(name: str, values: list[float]) -> None:
    distance = loaded(name, shared(f"weights/{SHARED_TRUNKS[name]}"))
    x, y = pair(100)
    assert distance(x, y).tolist() == pytest.approx(values, abs=1e-4)
    assert per_layer(distance, x, y) == pytest.approx(NOISE_LAYERS[name], abs=1e-5)


def face(number: str) -> Tensor:
    with Image.open(shared(f"images/face_{number}.jpg")) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float32)
    return torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1).unsqueeze(0)


@pytest.mark.parametrize(
    ("name", "value", "flipped"), [("alex", 0.57775, 0.27708), ("squeeze", 0.49986, 0.22303)]
)
def test_published_values_of_faces(name: str, value: float, flipped: float) -> None:
    distance = loaded(name, shared(f"weights/{SHARED_TRUNKS[name]}"))
    x, y = face("001"), face("006")
    assert float(distance(x, y)) == pytest.approx(value, abs=1e-3)
    assert per_layer(distance, x, y) == pytest.approx(FACE_LAYERS[name], abs=1e-3)
    assert float(distance(x, x.flip(3))) == pytest.approx(flipped, abs=1e-3)
    assert float(distance(x, x)) == 0


@pytest.fixture
def st_vgg() -> PerceptualDistance:
    if find_spec("stlpips_pytorch") is None:
        pytest.skip(f"stlpips_pytorch is not installed: {install_command('stlpips')}")
    return loaded("st-vgg")


def test_st_lpips_is_that_of_its_package(st_vgg: PerceptualDistance) -> None:
    """Values that the package's own network gives for the same noise (its release 0.0.2)."""
    assert st_vgg.record() == {
        "network": "st-vgg",
        "label": "ST-LPIPS-VGG16",
        "file": "vgg_shift_tolerant.pth",
        "sha256": "44597da68f49c1837c100ff52299050f274d102eb102e5837178c79be6f0e250",
    }
    assert st_vgg(*pair(100)).tolist() == pytest.approx([0.0665735, 0.0676613], abs=1e-6)
    assert "stlpips_pytorch" not in sys.modules  # it imports packages that it does not declare


def test_st_lpips_of_faces(st_vgg: PerceptualDistance) -> None:
    x, y = face("001"), face("006")
    assert float(st_vgg(x, y)) == pytest.approx(0.602877, abs=1e-3)
    assert float(st_vgg(x, x.flip(3))) == pytest.approx(0.354622, abs=1e-3)
    assert float(st_vgg(x, x)) == 0
