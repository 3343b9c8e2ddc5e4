"""What becomes of pictures, and of masks of their size, that do not have the size of the images."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from invprob.arrays import carry, read_plane
from invprob.operators.masks import Mask
from invprob.run.build import build_operator
from invprob.run.images import fit_image
from invprob.run.settings import Named

Size = tuple[int, int]  # width and height


def fit_notes(paths: Sequence[Path], sizes: Sequence[Size], size: int, fit: str) -> list[str]:
    """Say how pictures were fitted.

    Args:
        paths: the files.
        sizes: the size of the picture in each, upright.
        size: the side of the square they were brought to, in pixels.
        fit: how they became square, as in `load_image`.

    Returns:
        One sentence; none where no picture was changed.
    """
    changed = [
        f"{path.name} is {_fitted(one, size, fit)}"
        for path, one in zip(paths, sizes, strict=True)
        if one != (size, size)
    ]
    return brief(changed)


def brief(notes: Sequence[str]) -> list[str]:
    """The first of several notes of one kind, and how many there are besides."""
    if len(notes) < 2:
        return list(notes)
    return [f"{notes[0]}; {len(notes) - 1} more likewise"]


def fit_masks(
    chain: Sequence[Named], sizes: Sequence[Size], size: int, fit: str
) -> tuple[tuple[Named, ...], list[str]]:
    """Bring masks that have the size of the pictures the same way as the pictures.

    A pixel of the fitted mask is seen where at least half of it was.

    Args:
        chain: the operators; those that are no `mask` stay as they are.
        sizes: the size of each picture in its file, upright.
        size: the side of the square that the pictures were brought to, in pixels.
        fit: how they became square, as in `load_image`.

    Returns:
        The operators, and a sentence for each mask that was fitted.

    Raises:
        ArgumentError: a mask cannot be read or used, or an operator cannot be built.
        ShapeError: two operators do not fit together.
    """
    fitted, notes = list(chain), []
    for at, named in reversed(list(enumerate(chain))):  # the last one sees the image first
        source = named.settings.get("mask") if named.name == "mask" else None
        plane = None if source is None else read_plane("mask", source)
        if plane is None or {plane.shape[::-1]} != set(sizes) or plane.shape == (size, size):
            continue
        before = build_operator(fitted[at + 1 :] or [Named("identity")], (3, size, size))
        if before.measurement_shape[1:] != (size, size):
            continue  # it is for a measurement, which no picture was fitted to
        whole = Mask((1, *plane.shape), plane).seen
        seen = fit_image(whole[None, None].float() * 2 - 1, size, fit)[0, 0] >= 0
        settings = {**named.settings, "mask": carry(seen.double().numpy())}
        fitted[at] = dataclasses.replace(named, settings=settings)
        words = source if isinstance(source, str) and Path(source).is_file() else "the mask"
        notes.append(
            f"{Path(words).name} is fitted like the picture; it hides {_share_hidden(seen)} of the "
            f"pixels ({_share_hidden(whole)} in the file)"
        )
    return tuple(fitted), notes


def _share_hidden(seen: torch.Tensor) -> str:
    return f"{100 * float((~seen).double().mean()):.3g} %"


def _fitted(size: Size, side: int, fit: str) -> str:
    """What was done to a picture, such as "cropped to its central 3000 x 3000 pixels"."""
    width, height = size
    whole, short, longer = f"{width} x {height}", min(size), max(size)
    resized = "" if short == side else f" and resized to {side} x {side}"
    if width == height:
        return f"resized from {whole} to {side} x {side} pixels"
    if fit == "crop":
        return f"cropped from {whole} to its central {short} x {short} pixels{resized} (--fit crop)"
    if fit == "pad":
        resized = "" if longer == side else f" and resized to {side} x {side}"
        return f"padded from {whole} to {longer} x {longer} pixels{resized} (--fit pad)"
    return f"stretched from {whole} to {side} x {side} pixels (--fit stretch)"
