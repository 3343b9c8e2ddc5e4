"""What a user asked for, and what a recipe is made with: the two sides of the policy."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, TypeAlias

from invprob.calls import checked

DataTerm: TypeAlias = Literal["misfit", "likelihood", "stochastic"]
Init: TypeAlias = Literal["default", "encoder"]

DescentName: TypeAlias = Literal["adam", "l-bfgs"]
Content: TypeAlias = Literal["head", "constant"]
NoiseMaps: TypeAlias = Literal["free", "stored"]
WeightsChoice: TypeAlias = Literal["free", "trained"]
Finish: TypeAlias = Literal["pixels", "none"]
PerceptualUse: TypeAlias = Literal["available", "scores only"]
Auto: TypeAlias = Literal["auto"]

ASKED: Final = "asked for"
_NOTHING_TO_SAY = (None, "available")  # values that change nothing


@checked
@dataclass(frozen=True)
class Asked:
    """What the user asked for.

    The choices come first. Each is a value that the user gave, "auto" where the choice is left
    to the policy, or None where the method has no such choice. The last six are circumstances.

    Args:
        perceptual: whether the perceptual network may enter the loss.
        optimiser: what moves the free variables.
        content: the content part: the head P_c, or the learned constant.
        noise_maps: the noise part: free noise maps B, or the stored ones.
        noise_rate: the learning rate of the noise maps, relative to the other variables.
        weight: the weight of total variation in the method `tv-descent`.
        fidelity: λ of the methods `tv` and `wavelet`, and of the last stage of `sphinx-adapted`.
        smoothness: λ of the method `tikhonov`.
        weights: the weights of the synthesis network in the method `sphinx-adapted`.
        weight_rate: how fast they move, relative to the size of each tensor.
        variation: the weight of total variation there.
        finish: the last stage there.
        reference: α of that stage, how much the generator's edges count.
        coarse: the size in pixels at which the search begins.
        learning_rate: the learning rate of Adam; None if the user gave none.
        readout: how the heads are read out; None if the method has no heads.
        init: where the search begins.
        may_stop: whether a rule or a time limit may stop the run before its last step.
        terms: whether the loss has terms beside those of the method.
        schedule: whether the learning rate has a schedule of the user's.
    """

    perceptual: PerceptualUse | Auto | None = "auto"
    optimiser: DescentName | Auto | None = None
    content: Content | Auto | None = None
    noise_maps: NoiseMaps | Auto | None = None
    noise_rate: float | Auto | None = None
    weight: float | Auto | None = None
    fidelity: float | Auto | None = None
    smoothness: float | Auto | None = None
    weights: WeightsChoice | Auto | None = None
    weight_rate: float | Auto | None = None
    variation: float | Auto | None = None
    finish: Finish | Auto | None = None
    reference: float | Auto | None = None
    coarse: int | Auto | None = "auto"
    learning_rate: float | None = None
    readout: str | None = None
    init: Init = "default"
    may_stop: bool = False
    terms: bool = False
    schedule: bool = False


@checked
@dataclass(frozen=True)
class Choices:
    """The values that a recipe is made with, and the reason for each.

    A value is None where the method has no such choice, and for `coarse` also where the search
    begins at the full size. `reasons` has an entry for each choice that the method has: a clause
    that follows "because", or "asked for".
    """

    perceptual: PerceptualUse | None = None
    optimiser: DescentName | None = None
    content: Content | None = None
    noise_maps: NoiseMaps | None = None
    noise_rate: float | None = None
    weight: float | None = None
    fidelity: float | None = None
    smoothness: float | None = None
    weights: WeightsChoice | None = None
    weight_rate: float | None = None
    variation: float | None = None
    finish: Finish | None = None
    reference: float | None = None
    coarse: int | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Return `{choice: {"value": ..., "reason": ...}}` for each choice that the method has."""
        values = asdict(self)
        return {
            name: {"value": values[name], "reason": reason} for name, reason in self.reasons.items()
        }

    def sentences(self) -> list[str]:
        """Return a line for each choice that was left open and that changes something.

        Choices that have the same reason share a line.
        """
        lines: dict[str, list[str]] = {}
        for name, made in self.to_json().items():
            if made["reason"] != ASKED and made["value"] not in _NOTHING_TO_SAY:
                lines.setdefault(made["reason"], []).append(f"{name} = {_in_words(made['value'])}")
        return [f"{', '.join(made)}, because {reason}" for reason, made in lines.items()]


def _in_words(value: Any) -> str:
    """A value as a person writes it: 0.036, not 0.036000000000000004."""
    return f"{value:g}" if isinstance(value, float) else str(value)
