"""Supervision by factors: likeness, growing, and the replayed labels of the renderer."""

import subprocess
import sys
from pathlib import Path

import networks
import numpy as np
import pytest
import shared_files
import torch
from training.face_factors import load_renderer, replay
from training.supervision import FaceCodes, Likeness, grow

from invprob.errors import ArgumentError
from invprob.priors import load_generator
from invprob.priors.layers import upsample

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "train_faces.py"


def test_likeness_against_numpy() -> None:
    rng = torch.Generator().manual_seed(0)
    one, other = torch.rand(2, 2, 3, 8, 9, generator=rng, dtype=torch.float64)
    gap = (one - other).numpy()
    expected = np.sqrt(gap**2 + 1e-4).mean()
    expected += 0.5 * (np.abs(gap[:, :, 1:] - gap[:, :, :-1]).mean())
    expected += 0.5 * (np.abs(gap[..., 1:] - gap[..., :-1]).mean())
    assert Likeness(None)(one, other).item() == pytest.approx(expected, rel=1e-12)


def test_a_grown_generator_enlarges_its_image() -> None:
    generator = networks.random_generator()
    larger = grow(generator, 64, (12, 10, 8, 6, 6), seed=1)
    last = dict(larger.to_rgb[-1].named_parameters())
    last["weight"].zero_()  # what the new block adds, which begins small
    z = torch.randn(2, 16, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(larger(z), upsample(generator(z)))


def test_replayed_labels_are_the_renderer_s() -> None:
    folder = shared_files.shared("faces/render_faces.py").parent
    pytest.importorskip("numba")
    renderer = load_renderer(folder)
    assets = renderer.Assets(16)
    for index in range(3):
        truth, _ = renderer.face(assets, 5, index, 16, 1)
        again, _ = replay(renderer, 5, index)
        shapes = {key for key in again if key.startswith("shape_")}
        assert shapes == {"shape_" + key for key in renderer.TABLES["shape"]}
        assert set(truth) - shapes == set(again) - shapes
        assert {key: again[key] for key in truth} == dict(truth)


def test_codes_have_a_place_for_every_factor() -> None:
    folder = shared_files.shared("faces/render_faces.py").parent
    pytest.importorskip("numba")
    renderer = load_renderer(folder)
    with pytest.raises(ArgumentError, match="width must be at least"):
        FaceCodes(renderer, 0, range(40), 100)
    codes = FaceCodes(renderer, 0, range(40), 256)
    z = codes.draw(np.arange(40), np.random.default_rng(0))
    assert z.shape == (40, 256)
    assert z.square().mean().item() == pytest.approx(1, abs=0.05)
    assert codes.targets.mean(0).abs().max() <= 1


def test_smoke_leaves_a_generator_that_loads(tmp_path: Path) -> None:
    folder = shared_files.shared("faces/render_faces.py").parent
    pytest.importorskip("numba")
    arguments = ["--assets", str(folder), "--smoke", "--out", str(tmp_path)]
    command = [sys.executable, str(SCRIPT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert load_generator(tmp_path / "generator.safetensors").resolution == 64
