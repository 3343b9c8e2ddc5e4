"""One row of the policy's table: a value, a condition, and the condition in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from invprob.methods.choices import Asked
from invprob.methods.problem import Problem


@dataclass(frozen=True)
class Case:
    """What the condition of a row may look at.

    Args:
        problem: what is to be solved.
        asked: what the user asked for.
        made: the choices made so far, by name.
    """

    problem: Problem
    asked: Asked
    made: Mapping[str, Any]

    @property
    def share(self) -> float:
        """Measured numbers as a share of the numbers in the image."""
        return self.problem.share

    @property
    def lbfgs(self) -> bool:
        """Whether the optimiser is L-BFGS."""
        return bool(self.made["optimiser"] == "l-bfgs")

    @property
    def quarter(self) -> int:
        """A quarter of the side of the image, in pixels."""
        return self.problem.image_shape[-1] // 4


@dataclass(frozen=True)
class Row:
    """A value that is chosen under a condition.

    Args:
        value: the value, or a function of the case that returns it.
        when: the condition.
        because: the condition in words, as a clause that follows "because".
        figure: the figure of the case that the words speak of.
        label: the value in words, where it is a function.
    """

    value: Any
    when: Callable[[Case], bool]
    because: str
    figure: Callable[[Case], str] | None = None
    label: str = ""

    def chosen(self, case: Case) -> Any:
        """Return the value for a case."""
        return self.value(case) if callable(self.value) else self.value

    def reason(self, case: Case) -> str:
        """Return the words, and in parentheses the figure."""
        return self.because if self.figure is None else f"{self.because} ({self.figure(case)})"

    @property
    def shown(self) -> str:
        """The value in words."""
        return self.label or ("off" if self.value is None else str(self.value))


def otherwise(case: Case) -> bool:
    """Hold in every case; the condition of the last row of a choice."""
    del case
    return True


def percent(share: float) -> str:
    """Return a share in words: 0.2 is "20 %"."""
    return f"{100 * share:.3g} %"


def measured(case: Case) -> str:
    """Return the share that was measured, in words."""
    return percent(case.share)


def sigma(case: Case) -> str:
    """Return the standard deviation of the noise, in words."""
    return f"sigma {case.problem.sigma:g}"
