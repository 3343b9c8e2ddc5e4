"""The figure of an interpolation: paths between two solutions, and how smooth they are (Fig. 8)."""

from collections.abc import Sequence
from typing import Any, Literal

import torch

from invprob.errors import ArgumentError, PriorError
from invprob.latents.distance import Distance, smoothness
from invprob.latents.edit import Strip
from invprob.latents.heads import interpolate_heads
from invprob.latents.interpolate import Path, interpolate
from invprob.latents.latents import joined
from invprob.priors.stylegan.prior import StyleGANPrior
from invprob.report.figure import Figure
from invprob.report.strips import StripRow
from invprob.run.job import build_job
from invprob.run.solutions import Found
from invprob.run.watch import Silent
from invprob.types import Images

Mixed = Literal["latents", "heads"]
MOST = 101  # images of a path


def draw_interpolations(
    one: Found,
    other: Found,
    steps: int,
    which: Sequence[Mixed],
    path: Path,
    distance: Distance,
    *,
    seed: int = 0,
) -> Figure:
    """Draw the images from one solution to another, along each kind of path.

    Args:
        one: the first solution; image k goes to image k of the other.
        other: the second solution.
        steps: how many images, both ends included.
        which: what is mixed, a row each.
        path: how latents are mixed, see `interpolate`.
        distance: between images.
        seed: of the draws with which heads are read out.

    Raises:
        ArgumentError: there are fewer than two steps, or very many.
        PriorError: the solutions do not match, or have no heads.
    """
    if not 2 <= steps <= MOST:
        raise ArgumentError(f"steps must be from 2, the two ends, to {MOST}, not {steps}")
    if len(one.names) != len(other.names):
        raise PriorError(
            f"the solutions must hold as many images each, not {len(one.names)} and "
            f"{len(other.names)}"
        )
    shares = torch.linspace(1, 0, steps, dtype=torch.float64, device="cpu").tolist()
    ends = one.solution.image, other.solution.image
    strips: dict[str, Strip] = {}
    for mixed in which:
        if mixed == "latents":
            latents = one.latents(), other.latents()
            strips[f"{mixed}, {path}"] = interpolate(*latents, shares, path=path, images=ends)
        else:
            prior = _prior_with_heads(one)
            strips["heads, linear"] = interpolate_heads(
                prior, one.solution, other.solution, shares, seed=seed
            )
    rows: list[StripRow] = []
    lines: list[str] = []
    records: list[dict[str, Any]] = []
    for number, names in enumerate(zip(one.names, other.names, strict=True)):
        title = " to ".join(names)
        paths = {name: strip.of_image(number) for name, strip in strips.items()}
        fade = _cross_fade(ends[0][number], ends[1][number], shares)
        for name, images in {**paths, "cross-fade of the pictures": fade}.items():
            smooth = smoothness(images, distance)
            said = (
                f"length {smooth.length:.3f} (straight {smooth.straight:.3f}), "
                f"largest jump {smooth.jump:.2f} of the mean step"
            )
            lines.append(f"{title}, {name}: {said}")
            records.append(
                {
                    "images": list(names),
                    "path": name,
                    "shares": shares,
                    "steps": list(smooth.steps),
                    "length": smooth.length,
                    "straight": smooth.straight,
                    "largest_jump": smooth.jump,
                }
            )
            texts = [[f"{share:.3g}"] for share in shares]
            rows.append(StripRow(f"{title}, {name}: {said}", images, texts))
    return Figure(
        rows=rows,
        caption=[f"Under each image: the share of the first. Distances are {distance.label}."],
        lines=[*lines, f"distances are {distance.label}"],
        numbers={"distance": distance.label, "seed": seed, "paths": records},
        solution=joined([strip.latents for strip in strips.values()]).solution(
            torch.cat([strip.images for strip in strips.values()]),
            f"between {one.name} and {other.name}",
        ),
    )


def _prior_with_heads(found: Found) -> StyleGANPrior:
    """The prior of a run's last stage, which says what its free variables are.

    Raises:
        PriorError: the solution is a file by itself, or its last stage has no heads.
    """
    if found.run is None:
        raise PriorError(
            f"{str(found.path)!r} does not say which heads it has; name the folder of its run"
        )
    config = found.run.config()
    prior = build_job(config, Silent(), began=found.run).recipe.prior
    if not isinstance(prior, StyleGANPrior):
        raise PriorError(
            f"the last stage of {config.method.name} has no heads; solve with sphinx, or mix the "
            "latents (--of latents)"
        )
    return prior


def _cross_fade(one: torch.Tensor, other: torch.Tensor, shares: Sequence[float]) -> Images:
    """The pictures between two, pixel by pixel: what a path through latents is compared with."""
    return torch.stack([share * one + (1 - share) * other for share in shares])
