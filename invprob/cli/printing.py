"""What commands print in the end: JSON, or the scores of a run."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from invprob.run.results import Finished


def print_json(content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print JSON with an indent."""
    import json  # help needs none

    typer.echo(json.dumps(content, indent=2))  # in ASCII, which every stream can encode


def print_scores(finished: "Finished", *, as_json: bool, quiet: bool) -> int:
    """Print the scores and, in the last line, the folder of the run.

    Returns:
        The exit status: 1 if the solve failed, else 0.
    """
    if as_json:
        about = {
            "folder": str(finished.path),
            **finished.scores,
            "choices": finished.choices,
        }
        print_json({**about, "images": finished.images} if finished.images else about)
    else:
        if not quiet:
            for name, scores in finished.images.items():
                typer.echo(f"{name}: {_scores(scores)}")
            mean = "mean: " if finished.images else ""
            typer.echo(mean + _scores(finished.scores))
            typer.echo(_outcome(finished))
        typer.echo(str(finished.path))
    return 1 if finished.diverged else 0


def _outcome(finished: "Finished") -> str:
    """How the solve ended, how long it took, and for several images their rate."""
    seconds = finished.scores["seconds"]
    outcome = f"{finished.scores['outcome']}, in {seconds:.1f} s"
    if not finished.images or not seconds:
        return outcome
    return f"{outcome}: {3600 * len(finished.images) / seconds:.0f} images an hour"


def _scores(scores: Mapping[str, Any]) -> str:
    """Scores in one line."""
    parts = []
    if scores["psnr"] is not None:
        others = [
            f"{what} {scores[key]:.2f}"
            for key, what in (("psnr_pinv", "pseudo-inverse"), ("psnr_mean", "mean image"))
            if scores[key] is not None
        ]
        beside = f" ({', '.join(others)})" if others else ""
        parts.append(f"PSNR {scores['psnr']:.2f} dB{beside}")
    if scores["ssim"] is not None:
        parts.append(f"SSIM {scores['ssim']:.3f}")
    if scores["lpips"] is not None:
        parts.append(f"{scores['lpips_network']} {scores['lpips']:.3f}")
    if scores["data_misfit"] is not None:
        parts.append(f"data misfit {scores['data_misfit']:.3g}")
    parts += [
        f"{name} {scores[name]:.4g} ± {scores[f'{name}_error']:.2g}"
        for name in ("gain", "offset")
        if scores.get(f"{name}_error")
    ]
    return " · ".join(parts)
