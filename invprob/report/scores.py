"""The scores of a run in words, each with a sentence that says what it means."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from invprob.report.markup import Html, tag


@dataclass(frozen=True)
class Score:
    """A score, and how it is shown.

    Args:
        name: in `scores.json`.
        title: for people.
        form: its number format.
        unit: what follows the number.
        meaning: what it says, in plain sentences.
    """

    name: str
    title: str
    form: str
    unit: str
    meaning: str


SCORES = (
    Score(
        "psnr",
        "PSNR",
        ".2f",
        " dB",
        "How near the result is to the true image. 20 dB is a rough likeness, 30 dB is good, 40 dB "
        "can hardly be told apart.",
    ),
    Score(
        "psnr_pinv",
        "PSNR of the pseudo-inverse",
        ".2f",
        " dB",
        "The image of least norm that fits the measurements; it uses no prior. If the result is "
        "not better than this, the prior did not help.",
    ),
    Score(
        "psnr_mean",
        "PSNR of the mean image",
        ".2f",
        " dB",
        "The generator's average image; it uses no measurement. If the result is not better than "
        "this, the measurements did not help.",
    ),
    Score(
        "ssim",
        "SSIM",
        ".3f",
        "",
        "Compares local structure with the true image; 1 is the best.",
    ),
    Score(
        "lpips",
        "LPIPS",
        ".3f",
        "",
        "The distance to the true image in the features of a neural network; 0 is the best.",
    ),
    Score(
        "data_misfit",
        "Data misfit",
        ".3g",
        "",
        "How well the result explains the measurements: ‖A x - y‖² per image element. It needs no "
        "truth. Compare it only between runs with the same operator.",
    ),
)


DETECTOR = (  # what a solve estimates of a detector, with standard errors of the same names
    Score("gain", "Gain of the detector", ".4g", "", "By what the detector multiplies."),
    Score("offset", "Offset of the detector", ".4g", "", "What the detector adds."),
)


def numbers(scores: Mapping[str, Any]) -> Html:
    """The scores that are known, each with what it means."""
    shown = []
    for score in SCORES:
        if scores.get(score.name) is not None:
            title = scores.get("lpips_network", score.title) if score.name == "lpips" else None
            shown.append(
                tag(
                    "div",
                    tag("dt", title or score.title),
                    tag("dd", score_text(score, scores), class_="value"),
                    tag("dd", _compared(score, scores), score.meaning, class_="said"),
                )
            )
    for score in DETECTOR:
        if scores.get(f"{score.name}_error"):  # 0 where it was known
            value = f"{score_text(score, scores)} ± {scores[f'{score.name}_error']:.2g}"
            told = f"{score.meaning} Estimated from the measurements, with its standard error."
            entries = tag("dd", value, class_="value"), tag("dd", told, class_="said")
            shown.append(tag("div", tag("dt", score.title), *entries))
    return tag("dl", *shown, class_="numbers")


def score_text(score: Score, scores: Mapping[str, Any]) -> str:
    """A score with its unit; a dash where it is not known."""
    value = scores.get(score.name)
    return "–" if value is None else f"{value:{score.form}}{score.unit}"


def _compared(score: Score, scores: Mapping[str, Any]) -> str:
    """How a score stands to another one, where there is one to compare it with."""
    noise = scores.get("noise_misfit")
    if score.name == "data_misfit" and noise:
        return (
            f"The noise alone gives the true image about {noise:.3g}; a result far below that has "
            "fitted the noise. "
        )
    if score.name not in ("psnr_pinv", "psnr_mean") or scores.get("psnr") is None:
        return ""
    ahead = scores["psnr"] - scores[score.name]
    return f"The result is {abs(ahead):.2f} dB {'above' if ahead >= 0 else 'below'} it. "
