"""Images to train on: a folder, decoded once into memory."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from invprob.errors import ArgumentError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}


def find_images(folder: Path) -> list[Path]:
    """All image files under `folder`, sorted; raises `ArgumentError` where there are none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise ArgumentError(f"{folder} holds no images ({', '.join(sorted(SUFFIXES))})")
    return found


def read_images(paths: Sequence[Path], size: int) -> Tensor:
    """(count, 3, size, size) uint8: centre-cropped squares, reduced with an antialiasing filter."""
    images = torch.empty(len(paths), 3, size, size, dtype=torch.uint8)
    for index, path in enumerate(paths):
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        box = (left, top, left + side, top + side)
        image = image.resize((size, size), Image.Resampling.LANCZOS, box=box)
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        images[index] = pixels.view(size, size, 3).permute(2, 0, 1)
    return images


def draw_batch(images: Tensor, batch: int, rng: torch.Generator, *, flip: bool) -> Tensor:
    """(batch, 3, size, size) float32 in [-1, 1], drawn with replacement, half of it mirrored."""
    rows = torch.randint(len(images), (batch,), generator=rng)
    picked = images[rows].float() / 127.5 - 1
    if not flip:
        return picked
    mirrored = torch.rand(batch, generator=rng) < 0.5
    return torch.where(mirrored[:, None, None, None], picked.flip(3), picked)


def write_sheet(images: Tensor, path: Path, columns: int = 8) -> None:
    """Write images in [-1, 1] as one grid; empty places stay black."""
    count, _, height, width = images.shape
    rows = -(-count // columns)
    grid = torch.zeros(rows * columns, 3, height, width, dtype=torch.uint8)
    grid[:count] = ((images.detach().cpu().float().clamp(-1, 1) + 1) * 127.5).round().byte()
    grid = grid.view(rows, columns, 3, height, width).permute(0, 3, 1, 4, 2)
    array = grid.reshape(rows * height, columns * width, 3).contiguous().numpy()
    Image.fromarray(array).save(path)
