"""What a training leaves in its folder: checkpoint, sample sheets, the exported generator."""

import copy
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from invprob.errors import FileError
from invprob.files import atomic_write
from invprob.priors.generator_files import save_generator
from invprob.priors.stylegan.extras import Extras, extras_path, save_extras
from invprob.priors.stylegan.generator import Generator
from invprob.priors.stylegan.statistics import Statistics, sample_statistics
from invprob.streams import stream

from .adversarial import Trainer
from .data import write_sheet
from .discriminator import Discriminator


def save_checkpoint(trainer: Trainer, path: Path) -> None:
    """Write the trainer's state; an interrupted write leaves the former file."""
    write_state(trainer.state(), path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state in `path`, tensors and plain values only; raises `FileError`."""
    state = read_state(path)
    if "discriminator_adam" not in state:
        raise FileError(f"{path} is not a checkpoint of this trainer")
    return state


def write_state(state: dict[str, Any], path: Path) -> None:
    """Write tensors and plain values; an interrupted write leaves the former file."""
    with atomic_write(path) as temporary:
        torch.save(state, temporary)


def read_state(path: Path) -> dict[str, Any]:
    """What `write_state` wrote; raises `FileError`."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise FileError(f"{path} cannot be read as a checkpoint: {error}") from None
    if not isinstance(state, dict) or "taken" not in state:
        raise FileError(f"{path} is not a checkpoint")
    return state


def load_discriminator(discriminator: Discriminator, path: Path) -> None:
    """Fill `discriminator` from an exported file; raises `FileError` where it does not fit."""
    try:
        tensors = load_file(path)
        discriminator.load_state_dict({name: value.float() for name, value in tensors.items()})
    except (OSError, RuntimeError, SafetensorError) as error:
        raise FileError(f"{path} does not fit the discriminator: {error}") from None


@torch.no_grad()
def export_generator(
    generator: Generator, folder: Path, *, seed: int, draws: int, dtype: torch.dtype
) -> Statistics:
    """Write `generator.safetensors` and its companion with statistics, from `draws` draws of z.

    The statistics are those of the weights as they are stored, in `dtype`.
    """
    generator = copy.deepcopy(generator).cpu().to(dtype).float()
    rng = stream(seed, "statistics")
    statistics = sample_statistics(generator, rng, count=draws, batch=min(draws, 5_000))
    generator.mean_w.copy_(statistics.mean_w.to(dtype))
    path = folder / "generator.safetensors"
    save_generator(generator, path, dtype=dtype)
    save_extras(Extras(statistics), generator, extras_path(path))
    return statistics


def export_discriminator(discriminator: Discriminator, folder: Path) -> None:
    """Write `discriminator.safetensors` in half precision, which is enough for a warm start."""
    half = {
        name: value.detach().to("cpu", torch.float16).contiguous()
        for name, value in discriminator.state_dict().items()
    }
    with atomic_write(folder / "discriminator.safetensors") as temporary:
        save_file(half, temporary)


@torch.no_grad()
def write_samples(generator: Generator, path: Path, *, count: int, truncation: float) -> None:
    """Write a sheet of images of the same z as ever, w moved to its mean by `truncation`."""
    device, width = generator.constant.device, generator.style_width
    z = torch.randn(count, width, generator=stream(0, "sheet")).to(device)
    many = torch.randn(2_000, width, generator=stream(0, "sheet mean")).to(device)
    w = generator.mapping(many).mean(0).lerp(generator.mapping(z), truncation)
    rows = w[:, None].expand(-1, generator.num_layers, -1)
    write_sheet(torch.cat([generator.synthesis(part) for part in rows.split(8)]), path)
