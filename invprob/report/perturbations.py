"""The figure of perturbations: solutions under noise on their latents (Fig. 1)."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.latents.distance import Distance
from invprob.latents.latents import Latents, joined
from invprob.latents.perturb import Perturbed, Robustness, robustness
from invprob.report.figure import Figure
from invprob.report.strips import StripRow
from invprob.run.solutions import Found


def draw_perturbations(
    solutions: Sequence[Found],
    image: str | None,
    snr: Sequence[float],
    distance: Distance,
    *,
    draws: int,
    seed: int,
    which: Perturbed,
) -> Figure:
    """Perturb the latents of solutions, and draw the first example for each ratio.

    Args:
        solutions: a row each for each image.
        image: the name of one image. None: all.
        snr: signal-to-noise ratios in dB, a column each.
        distance: between images.
        draws: how many times each ratio is tried.
        seed: of the draws.
        which: what is perturbed, see `perturb`.

    Raises:
        ArgumentError: there is no solution.
        UnknownNameError: a solution has no image of that name.
    """
    if not solutions:
        raise ArgumentError("name the folder of a run, or a solution file")
    rows: list[StripRow] = []
    lines: list[str] = []
    records: list[dict[str, Any]] = []
    results: list[Robustness] = []
    for found in solutions:
        # Of several solutions, an error has to say which one it is about.
        alone = len(solutions) == 1
        latents = Latents.of(found.solution) if alone else found.latents()
        truth = found.truth()
        if truth is not None and found.grading is not None:
            truth = found.grading(truth)
        for place in found.places(image):
            own = found.solution.image[place : place + 1]
            result = robustness(
                latents.chosen([place]),
                own,
                snr,
                distance,
                draws=draws,
                seed=seed,
                which=which,
                truth=None if truth is None else truth[place : place + 1],
            )
            results.append(result)
            title = f"{found.name}: {found.names[place]}"
            sizes = ", ".join(f"{kind} {rms:.2f}" for kind, rms in result.rms.items())
            lines.append(f"{title} (root mean square: {sizes})")
            texts = []
            for index, ratio in enumerate(snr):
                said = _said(result, index, distance)
                lines.append(f"  {ratio:g} dB: {' · '.join(said)}")
                texts.append([f"{ratio:g} dB", *said])
            shown = torch.cat([own, result.examples])
            rows.append(StripRow(title, shown, [["the solution"], *texts]))
            records.append(_record(found, place, result))
    alike = len({tuple(sorted(one.latents.tensors())) for one in results}) == 1
    kept = results if alike else results[:1]
    if not alike:
        lines.append(
            f"the file of latents holds those of {solutions[0].name} alone, because the solutions "
            "hold different inputs"
        )
    return Figure(
        rows=rows,
        caption=[
            f"Under each image: signal-to-noise ratio of the {which} latents; {distance.label} to "
            "the solution, and PSNR to the truth;",
            f"median [quartiles] over {draws} draws. The first draw is shown.",
        ],
        lines=lines,
        numbers={
            "distance": distance.label,
            "which": which,
            "draws": draws,
            "seed": seed,
            "solutions": records,
        },
        solution=joined([one.latents for one in kept]).solution(
            torch.cat([one.examples for one in kept]), f"perturbed at {', '.join(map(str, snr))} dB"
        ),
    )


def _said(result: Robustness, index: int, distance: Distance) -> list[str]:
    """Median and quartiles for one ratio, a line each."""
    said = [f"{distance.label} {_spread(result.distance[index], '.3f')}"]
    if result.truth is not None:
        said.append(f"PSNR {_spread(result.truth[index], '.1f')}")
    return said


def _spread(values: Tensor, form: str) -> str:
    low, middle, high = _quartiles(values)
    return f"{middle:{form}} [{low:{form}}, {high:{form}}]"


def _quartiles(values: Tensor) -> list[float]:
    """Lower quartile, median and upper quartile."""
    places = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64, device=values.device)
    # The PSNR of equal images is infinite, and nothing lies between an infinite and another value.
    between = "linear" if bool(values.isfinite().all()) else "nearest"
    found: list[float] = values.double().quantile(places, interpolation=between).tolist()
    return found


def _finite(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]


def _record(found: Found, place: int, result: Robustness) -> dict[str, Any]:
    """The numbers of one image, as JSON; what is infinite is None."""
    measured = {"distance": result.distance, "psnr": result.psnr, "psnr_truth": result.truth}
    return {
        "solution": found.name,
        "image": found.names[place],
        "snr": list(result.snr),
        "latents_rms": dict(result.rms),
        **{
            name: None
            if values is None
            else {
                "mean": _finite(values.double().mean(1).tolist()),
                "quartiles": [_finite(_quartiles(one)) for one in values],
            }
            for name, values in measured.items()
        },
    }
