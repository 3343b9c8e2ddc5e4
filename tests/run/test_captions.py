"""What a run is called and what stands under its picture."""

from pathlib import Path

import networks
import pytest

from invprob.priors.generator_files import save_generator
from invprob.run.config import Named, RunConfig
from invprob.run.launch import start
from invprob.run.results import Comparison


def test_a_run_with_an_operator_for_each_image_names_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_generator(networks.random_generator(), tmp_path / "small.safetensors")
    captions: list[str] = []

    def draw(comparison: Comparison, path: Path) -> None:
        del path
        captions.append(comparison.caption)

    config = RunConfig(
        samples=("face", "cat"),
        operators=(
            Named("circulant", {"ratio": 0.2}),
            Named("rotate", {"degrees": 20.0}),
        ),
        noise=Named("gaussian", {"sigma": 0.1}),
        per_image=True,
        prior=str(tmp_path / "small.safetensors"),
        steps=3,
        perceptual="none",
        device="cpu",
    )
    finished = start(config, draw=draw)
    assert finished.path.name == "2-images-circulant-rotate-sphinx-adapted-001"
    assert len(captions) == 2
    for caption in captions:
        assert caption.startswith(
            "each(2 of circulant(ratio=0.2) @ rotate(degrees=20)) + gaussian(sigma=0.1) noise · "
        )
