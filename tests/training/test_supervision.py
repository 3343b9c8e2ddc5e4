"""Supervision by factors: likeness, growing, and the replayed labels of the renderer."""

from pathlib import Path

import networks
import numpy as np
import pytest
import shared_files
import torch
from scripts import EXAMPLES, run_script
from training.face_factors import load_renderer, replay
from training.supervision import FaceCodes, grow, likeness, start_quietly

from invprob.errors import ArgumentError
from invprob.fast.filters import upsample
from invprob.priors import load_generator


def test_likeness_against_numpy() -> None:
    rng = torch.Generator().manual_seed(0)
    one, other = torch.rand(2, 2, 3, 8, 9, generator=rng, dtype=torch.float64)
    losses = likeness(one, other)
    gap = (one - other).numpy()
    assert losses["pixels"].item() == pytest.approx(np.sqrt(gap**2 + 1e-4).mean(), rel=1e-12)
    down, across = np.diff(gap, axis=2), np.diff(gap, axis=3)
    expected = np.abs(down).mean() + np.abs(across).mean()
    assert losses["slopes"].item() == pytest.approx(expected, rel=1e-12)


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
    assert codes.features.mean(0).abs().max() < 1e-5
    assert codes.features.std(0).max() < 1.1
    places = codes.columns()
    assert [column for place in places.values() for column in place] == list(
        range(codes.features.shape[1])
    )
    smile = codes.features[:, places["smile"][0]].numpy()
    assert np.corrcoef(smile, codes.factors["smile"])[0, 1] == pytest.approx(1)


def test_pairs_say_what_the_codes_of_renders_say() -> None:
    """Decoding the codes that renders were given leads back to their own features."""
    folder = shared_files.shared("faces/render_faces.py").parent
    pytest.importorskip("numba")
    codes = FaceCodes(load_renderer(folder), 0, range(60), 256)

    class Given(np.random.Generator):
        def standard_normal(self, size: object) -> np.ndarray:  # type: ignore[override]
            return codes.draw(np.arange(60), np.random.default_rng(1)).double().numpy()

    z, features = codes.pairs(60, Given(np.random.PCG64(0)))
    assert z.shape == (60, 256)
    # A background is known by the ranks of its field, the garment by tables of sixty values.
    close = (features - codes.features).abs() < 0.02
    assert close.float().mean() > 0.97


def test_a_quiet_start_depends_little_on_w() -> None:
    generator = networks.random_generator()
    before = {name: value.clone() for name, value in generator.named_parameters()}
    start_quietly(generator, blocks=2)
    for name, value in generator.named_parameters():
        ratio = (value / before[name]).flatten()[0].item()
        part, index = name.split(".")[0], int(f"{name}.0.".split(".")[1]) if "." in name else 0
        expected = 1.0
        if part in ("layers", "to_rgb") and index >= (3 if part == "layers" else 2):
            expected = 0.1 if name.endswith("affine.weight") or part == "to_rgb" else 1.0
        if name.endswith("bias"):
            expected = 1.0
        assert ratio == pytest.approx(expected)


def test_smoke_leaves_a_generator_that_loads(tmp_path: Path) -> None:
    folder = shared_files.shared("faces/render_faces.py").parent
    pytest.importorskip("numba")
    script = EXAMPLES / "train_faces.py"
    done = run_script(script, "--assets", folder, "--smoke", "--out", tmp_path)
    assert done.status == 0, done.out + done.err
    assert load_generator(tmp_path / "generator.safetensors").resolution == 64
