"""A contest of methods: each restores from a part of the measurements, and the rest judges.

The truth plays no part. Callers say how a candidate is solved: `restore` in memory, a run in
folders that can be resumed.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from invprob.errors import ArgumentError, FileError, RunError
from invprob.measurements import Measurements
from invprob.methods.recipe import Candidate, Contest
from invprob.operators.base import Operator
from invprob.operators.each import Each
from invprob.operators.units import NEVER
from invprob.priors.pixels import Pixels
from invprob.solver.solution import Outcome, Solution
from invprob.solver.split import Split
from invprob.streams import derive
from invprob.types import Images, PerImage

# The hidden share of the units: enough numbers to judge by, but not so much that another method
# would win with all of them.
JUDGES = 200  # numbers; their mean square has a spread of a tenth
PLACES = 3  # units, where each has many numbers
LEAST_SHARE, MOST_SHARE = 0.05, 0.2


@dataclass(frozen=True)
class Entry:
    """What became of a candidate.

    Args:
        method: its name.
        because: why it was tried.
        seconds: how long it took.
        misfits: its misfit of the hidden measurements, for each image; empty where it failed.
        failure: why there is no misfit; empty where there is one.
    """

    method: str
    because: str
    seconds: float
    misfits: tuple[float, ...] = ()
    failure: str = ""

    @property
    def misfit(self) -> float:
        """The geometric mean over the images, so that no image outweighs the others."""
        return geometric_mean(self.misfits)

    def __str__(self) -> str:
        """One line for a person."""
        if self.failure:
            return f"{self.method} failed after {self.seconds:.1f} s: {self.failure}"
        return f"{self.method}: held-out misfit {self.misfit:.4g}, {self.seconds:.1f} s"

    def to_json(self) -> dict[str, Any]:
        """What a run records."""
        told = {"method": self.method, "because": self.because, "seconds": self.seconds}
        if self.failure:
            return {**told, "failure": self.failure}
        return {**told, "misfit": self.misfit, "misfits": list(self.misfits)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Entry":
        """Read what `to_json` wrote."""
        misfits = tuple(told.get("misfits", ()))
        return cls(
            told["method"], told["because"], told["seconds"], misfits, told.get("failure", "")
        )


@dataclass(frozen=True)
class Decision:
    """What was chosen, and why.

    Args:
        members: the method, or the methods whose mean image is taken.
        reason: a clause that follows "because".
    """

    members: tuple[str, ...]
    reason: str

    @property
    def name(self) -> str:
        """What was chosen, in words."""
        if len(self.members) == 1:
            return self.members[0]
        return f"the mean of {', '.join(self.members[:-1])} and {self.members[-1]}"

    def __str__(self) -> str:
        """One line for a person."""
        return f"chosen: {self.name}, because {self.reason}"

    def solution(self, found: Mapping[str, Solution]) -> Solution:
        """Return the result: the solution of the only member, or the mean of several, as pixels.

        Args:
            found: what each member restored from all measurements.
        """
        members = [found[name] for name in self.members]
        if len(members) == 1:
            return members[0]
        return replace(mean_solution(members), outcome=self._outcome(members))

    def _outcome(self, members: Sequence[Solution]) -> Outcome:
        """How the solves of several members ended."""
        severity = ("finished", "stopped", "diverged")
        outcomes = [member.outcome for member in members]
        worst = max(outcomes, key=lambda outcome: severity.index(outcome.status)).status
        pairs = zip(self.members, outcomes, strict=True)
        told = "; ".join(f"{name}: {outcome}" for name, outcome in pairs)
        return Outcome(worst, f"this is {self.name} ({told})")


def split_for(contest: Contest, measurements: Measurements, operator: Operator, seed: int) -> Split:
    """Hide the measurements that judge.

    Args:
        contest: how much judges.
        measurements: what was measured.
        operator: what measured it.
        seed: the seed of the run.

    Raises:
        ArgumentError: the operator offers nothing that can be left out, or the share leaves
            nothing.
    """
    usual = share_for(operator)  # which also sees whether anything can be left out
    share = usual if contest.share is None else contest.share
    return Split.of(measurements, operator, share, derive(seed, "contest"))


def hold(
    candidates: Sequence[Candidate],
    judge: Callable[[Images], PerImage],
    attempt: Callable[[str], tuple[Solution, float]],
    tell: Callable[[Entry], None] = lambda entry: None,
    earlier: Mapping[str, Entry] | None = None,
) -> Decision:
    """Let each candidate restore from what is seen, and choose by what is hidden.

    The best candidate is compared with the mean of the best two, of the best three, and so on.

    Args:
        candidates: the methods to try.
        judge: the misfit of the hidden measurements, for each image.
        attempt: restores by a method from what is seen; returns the solution, and the seconds that
            it took.
        tell: learns what became of each candidate.
        earlier: candidates of which it is known. Those that failed are not tried again.

    Returns:
        The choice.

    Raises:
        RunError: every candidate failed.
        FileError: an attempt could not write its files.
    """
    images: dict[str, Images] = {}
    entries: list[Entry] = []
    for candidate in candidates:
        entry = (earlier or {}).get(candidate.method)
        if entry is None or not entry.failure:
            entry, image = _tried(candidate, judge, attempt)
            if image is not None:
                images[candidate.method] = image
        entries.append(entry)
        tell(entry)
    ranked = sorted((one for one in entries if not one.failure), key=lambda one: one.misfit)
    if not ranked:
        failures = "; ".join(f"{entry.method}: {entry.failure}" for entry in entries)
        raise RunError(f"every candidate of auto failed: {failures}; name a method (--method)")
    names = [entry.method for entry in ranked]
    means = {
        count: geometric_mean(judge(mean_image([images[name] for name in names[:count]])).tolist())
        for count in range(2, len(names) + 1)
    }
    best = ranked[0].misfit
    count = min(means, key=lambda one: means[one], default=1)
    if count > 1 and means[count] < best:
        return Decision(
            tuple(names[:count]),
            f"their mean predicts what was held out better ({means[count]:.4g}) than the best of "
            f"them alone ({best:.4g})",
        )
    rest = ", ".join(f"{entry.method} {entry.misfit:.4g}" for entry in ranked[1:])
    others = f"; {rest}" if rest else ""
    return Decision((names[0],), f"it predicts what was held out best ({best:.4g}{others})")


def _tried(
    candidate: Candidate,
    judge: Callable[[Images], PerImage],
    attempt: Callable[[str], tuple[Solution, float]],
) -> tuple[Entry, Images | None]:
    """What becomes of a candidate, and its images."""
    began = time.monotonic()
    try:
        solution, seconds = attempt(candidate.method)
        if solution.outcome.status == "diverged" or not solution.image.isfinite().all():
            failure = str(Outcome.diverged(solution.steps))
            return Entry(candidate.method, candidate.because, seconds, failure=failure), None
        misfits = tuple(judge(solution.image).tolist())
    except FileError:
        raise  # a full disk is no fault of the candidate
    except Exception as error:  # the others go on, whatever an author's method does
        failure = " ".join(f"{type(error).__name__}: {error}".split())
        seconds = time.monotonic() - began
        return Entry(candidate.method, candidate.because, seconds, failure=failure), None
    return Entry(candidate.method, candidate.because, seconds, misfits), solution.image


def share_for(operator: Operator) -> float:
    """Return the share of an operator's units that judges where the user names none.

    It is the share that makes 200 numbers and three units, but from a twentieth to a fifth.

    Args:
        operator: what measured.

    Raises:
        ArgumentError: the operator offers nothing that can be left out.
    """
    parts = operator.parts() if isinstance(operator, Each) else (operator,)
    shares = []
    for part in parts:
        units = part.units()
        if units is None:
            raise ArgumentError(
                f"auto judges by measurements that are left out, and {part.describe()} does not "
                "say what can be; name a method (--method tv), or give the operator `units`"
            )
        offered = units[units != NEVER]
        few = max(JUDGES / max(1, len(offered)), PLACES / max(1, len(offered.unique())))
        shares.append(min(MOST_SHARE, max(LEAST_SHARE, few)))
    return max(shares)


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean of numbers of at least 0."""
    if not values or min(values) <= 0:
        return 0.0
    return math.exp(sum(map(math.log, values)) / len(values))


def mean_image(images: Sequence[Images]) -> Images:
    """The mean of several batches of images."""
    return torch.stack([image.to(images[0]) for image in images]).mean(0)


def mean_solution(members: Sequence[Solution]) -> Solution:
    """Return the mean of several solutions, which is kept as pixels.

    Its steps are those of the member that took most. Its outcome is that of the first.
    """
    image = mean_image([member.image for member in members])
    prior = Pixels(tuple(image.shape[1:]))
    return replace(
        members[0],
        image=image,
        realised={"image": image},
        code={},
        trace={},
        steps=max(member.steps for member in members),
        prior_spec=prior.spec(),
        prior=prior,
        restarts=None,
    )


def timed(solve: Callable[[], Solution]) -> tuple[Solution, float]:
    """Return what a solve found, and how many seconds it took."""
    began = time.monotonic()
    return solve(), time.monotonic() - began
