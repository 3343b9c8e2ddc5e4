"""What becomes of pictures, and of masks of their size, that do not have the size of the images."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import torch

from invprob.arrays import carry, read_plane
from invprob.operators.masks import Mask
from invprob.run.build import build_operator
from invprob.run.images import fit_image
from invprob.run.settings import Named

Size = tuple[int, int]  # width and height
SeenRule: TypeAlias = Callable[[torch.Tensor], torch.Tensor]


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
        f"{path.name} is {fitted_how(one, size, fit)}"
        for path, one in zip(paths, sizes, strict=True)
        if one != (size, size)
    ]
    return brief(changed)


def simulation_notes(
    paths: Sequence[Path], sizes: Sequence[Size], size: int, fit: str
) -> list[str]:
    """Say that pictures are taken for the truth and measured, and how they were fitted first.

    Args:
        paths: the files; pictures that ship with the package are nobody's measurement.
        sizes: the size of the picture in each, upright.
        size: the side of the square they were brought to, in pixels.
        fit: how they became square, as in `load_image`.

    Returns:
        One sentence; none where there is no file.
    """
    said = [
        f"simulating a measurement of {path.name}"
        + ("" if one == (size, size) else f", {fitted_how(one, size, fit)}")
        for path, one in zip(paths, sizes, strict=True)
    ]
    return brief(said)


def brief(notes: Sequence[str]) -> list[str]:
    """The first of several notes of one kind, and how many there are besides."""
    if len(notes) < 2:
        return list(notes)
    return [f"{notes[0]}; {len(notes) - 1} more likewise"]


def mostly(share: torch.Tensor) -> torch.Tensor:
    """Where at least half of a pixel was seen: for a mask that hides what is known."""
    return share >= 0.5


def wholly(share: torch.Tensor) -> torch.Tensor:
    """Where nothing hidden entered a pixel, with a weight above or below 0."""
    return (share - 1).abs() < 1e-3


def fit_seen(seen: torch.Tensor, size: int, fit: str, rule: SeenRule = mostly) -> torch.Tensor:
    """Fit which pixels are seen, bool (height, width), as pictures are: bool (size, size)."""
    # From -1/2 to 1/2, so that what the cubic weights add at edges is not cut off.
    return rule(fit_image(seen[None, None].float() - 0.5, size, fit)[0, 0] + 0.5)


def fit_masks(
    chain: Sequence[Named],
    sizes: Sequence[Size],
    size: int,
    fit: str,
    *,
    to: int | None = None,
    rule: SeenRule = mostly,
) -> tuple[tuple[Named, ...], list[str]]:
    """Bring masks that have the size of the pictures the same way as the pictures.

    Args:
        chain: the operators; those that are no `mask` stay as they are.
        sizes: the size of each picture in its file, upright.
        size: the side of the images, in pixels.
        fit: how the pictures became square, as in `load_image`.
        to: the side of the square that the pictures were brought to. None: that of the images.
        rule: which pixels of the fitted mask are seen, given what share of each was.

    Returns:
        The operators, and a sentence for each mask that was fitted.

    Raises:
        ArgumentError: a mask cannot be read or used, or an operator cannot be built.
        ShapeError: two operators do not fit together.
    """
    fitted, notes, to = list(chain), [], to or size
    for at, named in reversed(list(enumerate(chain))):  # the last one sees the image first
        source = named.settings.get("mask") if named.name == "mask" else None
        plane = None if source is None else read_plane("mask", source)
        if plane is None or {plane.shape[::-1]} != set(sizes) or plane.shape == (to, to):
            continue
        before = build_operator(fitted[at + 1 :] or [Named("identity")], (3, size, size))
        if before.measurement_shape[1:] != (to, to):
            continue  # it is for something that no picture was fitted to
        whole = Mask((1, *plane.shape), plane).seen
        seen = fit_seen(whole, to, fit, rule)
        settings = {**named.settings, "mask": carry(seen.double().numpy())}
        fitted[at] = dataclasses.replace(named, settings=settings)
        words = source if isinstance(source, str) and Path(source).is_file() else "the mask"
        notes.append(
            f"{Path(words).name} is fitted like the picture; it hides {share_hidden(seen)} of the "
            f"pixels ({share_hidden(whole)} in the file)"
        )
    return tuple(fitted), notes


def share_hidden(seen: torch.Tensor) -> str:
    """The share of pixels that are not seen, in words."""
    return f"{100 * float((~seen).double().mean()):.3g} %"


def fitted_how(size: Size, side: int, fit: str) -> str:
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
