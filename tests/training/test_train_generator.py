"""The trainer end to end, as a user runs it, and a run in pieces against one in a single piece."""

from pathlib import Path

import networks
import numpy as np
import pytest
import torch
from PIL import Image
from scripts import EXAMPLES, run_script
from training.adversarial import Settings, Trainer, fresh_networks
from training.data import draw_batch, find_images, read_images
from training.run_files import read_checkpoint, save_checkpoint

from invprob.errors import ArgumentError, FileError
from invprob.priors import load_generator
from invprob.priors.stylegan.extras import load_extras
from invprob.priors.stylegan.generator import GeneratorConfig

CONFIG = GeneratorConfig(32, (8, 8, 6, 4), 16, 2)
SETTINGS = Settings(batch=4, rate=2e-3, gamma=0.05, seed=3, r1_every=3, path_every=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures of differing shapes, two of them in a sub-folder."""
    rng = np.random.default_rng(0)
    (tmp_path / "pictures" / "more").mkdir(parents=True)
    for index in range(6):
        pixels = rng.integers(0, 256, (40 + index, 36, 3), dtype=np.uint8)
        place = "more" if index > 3 else "."
        Image.fromarray(pixels).save(tmp_path / "pictures" / place / f"{index}.png")
    return tmp_path / "pictures"


def run(*arguments: str | Path) -> str:
    done = run_script(EXAMPLES / "train_generator.py", *arguments)
    assert done.status == 0, done.out + done.err
    return done.out


def test_smoke_leaves_a_generator_that_loads(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(folder, "--smoke", "--out", out, "--flip", "--bf16")
    generator = load_generator(out / "generator.safetensors")
    assert generator.resolution == 32
    statistics = load_extras(out / "generator.safetensors", generator).statistics
    assert statistics.count == 2000
    np.testing.assert_allclose(statistics.mean_w.numpy(), generator.mean_w.numpy(), atol=1e-6)
    z = torch.randn(4000, generator.style_width, generator=torch.Generator().manual_seed(9))
    w = generator.mapping(z)
    spread = (w - w.mean(0)).square().sum(1).mean().sqrt().item()
    assert float(statistics.std_w) == pytest.approx(spread, rel=0.05)
    assert (generator.mean_w - w.mean(0)).norm().item() < 0.1 * spread
    assert len(list(out.glob("samples-*-0.7.png"))) == 2
    state = read_checkpoint(out / "checkpoint.pt")
    assert state["taken"] == 6

    warm = tmp_path / "warm"
    parts = ("--init", out / "generator.safetensors")
    parts += ("--init-discriminator", out / "discriminator.safetensors")
    run(folder, "--smoke", "--steps", "1", "--half", "--out", warm, *parts)
    again = load_generator(warm / "generator.safetensors")
    step = (again.constant - generator.constant).abs().max().item()
    assert step < 0.05, "a warm start begins from the file"


def trained(trainer: Trainer, steps: int) -> Trainer:
    images = torch.randint(0, 256, (10, 3, 32, 32), generator=torch.Generator().manual_seed(1))
    for _ in range(steps):
        rng = torch.Generator().manual_seed(trainer.taken)
        trainer.step(draw_batch(images.to(torch.uint8), 4, rng, flip=True))
    return trainer


def test_a_run_in_pieces_is_the_same_run(tmp_path: Path) -> None:
    whole = trained(Trainer(*fresh_networks(CONFIG, 3), SETTINGS), 7)
    save_checkpoint(trained(Trainer(*fresh_networks(CONFIG, 3), SETTINGS), 4), tmp_path / "c.pt")
    # Another start, all of which the checkpoint must replace.
    resumed = Trainer(*fresh_networks(CONFIG, 99), SETTINGS)
    resumed.restore(read_checkpoint(tmp_path / "c.pt"))
    trained(resumed, 3)
    assert resumed.taken == 7
    assert torch.equal(resumed.path_mean, whole.path_mean)
    for part in ("generator", "average", "discriminator"):
        for name, value in getattr(whole, part).state_dict().items():
            assert torch.equal(getattr(resumed, part).state_dict()[name], value), f"{part} {name}"


def test_the_average_follows_the_generator() -> None:
    trainer = Trainer(*fresh_networks(CONFIG, 3), SETTINGS)
    before = trainer.average.constant.clone()
    trained(trainer, 1)
    # The half-life is 0.05 · 4 images while four are seen, so 2^-20 of the old value is left.
    expected = before + (1 - 0.5**20) * (trainer.generator.constant.detach() - before)
    torch.testing.assert_close(trainer.average.constant, expected)


def test_every_weight_learns() -> None:
    trainer = Trainer(*fresh_networks(CONFIG, 3), SETTINGS)
    start = {name: value.clone() for name, value in trainer.generator.named_parameters()}
    judge = {name: value.clone() for name, value in trainer.discriminator.named_parameters()}
    trained(trainer, 2)
    for network, old in ((trainer.generator, start), (trainer.discriminator, judge)):
        for name, value in network.named_parameters():
            assert not torch.equal(value, old[name]), f"{name} stands still"


def test_another_training_s_checkpoint_is_refused(tmp_path: Path) -> None:
    save_checkpoint(Trainer(*fresh_networks(CONFIG, 3), SETTINGS), tmp_path / "c.pt")
    other = Settings(batch=8, rate=2e-3, gamma=0.05, seed=3, r1_every=3, path_every=2)
    trainer = Trainer(*fresh_networks(CONFIG, 3), other)
    with pytest.raises(ArgumentError, match="batch is 4, not 8"):
        trainer.restore(read_checkpoint(tmp_path / "c.pt"))


def test_bad_checkpoints_are_named(tmp_path: Path) -> None:
    (tmp_path / "c.pt").write_bytes(b"no checkpoint")
    with pytest.raises(FileError, match=r"c\.pt"):
        read_checkpoint(tmp_path / "c.pt")
    with pytest.raises(FileError, match=r"c\.pt"):
        read_checkpoint(tmp_path / "none" / "c.pt")


def test_images_are_cropped_at_their_centre(tmp_path: Path) -> None:
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, 16:48] = (10, 20, 30)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    images = read_images(find_images(tmp_path), 32)
    assert images.shape == (1, 3, 32, 32)
    assert images[0].flatten(1).unique(dim=1)[:, 0].tolist() == [10, 20, 30]
    with pytest.raises(ArgumentError, match="no images"):
        find_images(tmp_path / "none")


def test_trainer_leaves_a_frozen_copy_alone() -> None:
    generator = networks.random_generator(CONFIG)
    trainer = Trainer(generator, fresh_networks(CONFIG, 3)[1], SETTINGS)
    assert all(value.requires_grad for value in trainer.generator.parameters())
    assert not any(value.requires_grad for value in trainer.average.parameters())
