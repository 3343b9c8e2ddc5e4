"""The contract of a rule: it may end a solve, and keeps the iterate of each image to return."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn

from invprob.callbacks import Callback, Iterate, Snapshot, Stop
from invprob.measurements import Measurements
from invprob.types import Images

Verdict: TypeAlias = tuple[Tensor, Tensor]  # (batch,) bool: keep this iterate; this image is done


class Rule(Callback, ABC):
    """A callback that keeps for each image the iterate to return, and stops once all are done.

    An author writes `judge` and `reason`, and `begin`, `state` and `restore` where the rule
    remembers something. The rule judges the image that a step evaluated, and keeps the free
    variables that drew it. At the first step of a later stage it keeps those after the step. An
    image that is done before the last stage is returned as the last stage begins with it.

    Args:
        measurements: what is restored, as the rule sees it.
    """

    def __init__(self, measurements: Measurements) -> None:
        batch = len(measurements.values)
        self._done = torch.zeros(batch, dtype=torch.bool, device="cpu")
        # Whether something is kept of an image.
        self._has = torch.zeros(batch, dtype=torch.bool, device="cpu")
        self._kept: dict[str, Tensor] = {}  # the code to return, by name
        self._drew: dict[str, Tensor] = {}  # the code that the next image is drawn from
        self._stage = 0

    @abstractmethod
    def judge(self, image: Images) -> Verdict:
        """Look at the images of a step.

        Args:
            image: what the step evaluated, (batch, *image_shape).

        Returns:
            For each image whether to keep this iterate in place of the one kept before, and whether
            the image is done; both (batch,) bool. What is said of images that are done already is
            passed over.
        """

    def begin(self) -> None:
        """Forget what belongs to the stage that is over; by default nothing."""

    @property
    @abstractmethod
    def reason(self) -> str:
        """Why the solve is stopped, in a few words."""

    def on_start(self, taken: int, steps: int, snapshot: Callable[[], Snapshot]) -> Stop | None:
        """Note the free variables that the first step evaluates."""
        del taken, steps
        state = snapshot()
        self._drew = {
            name.removeprefix("code."): value
            for name, value in state.items()
            if name.startswith("code.")
        }
        self._stage = int(state["stage"]) if "stage" in state else 0
        return self._wish()

    @torch.no_grad()
    def on_step(self, iterate: Iterate) -> Stop | None:
        """Judge the images, and ask to stop once all are done."""
        entered = iterate.stage != self._stage
        if entered:
            self._stage, self._drew, self._kept = iterate.stage, {}, {}
            self._has.zero_()
            self.begin()
        keep, done = (verdict.cpu() for verdict in self.judge(iterate.image))
        keep = keep.masked_fill(self._done, entered)
        self._done |= done
        if keep.any():
            self._keep(keep, self._drew or iterate.code, iterate.code)
        self._drew = {name: value.detach().clone() for name, value in iterate.code.items()}
        return self._wish()

    def choose_(self, code: nn.Module) -> None:
        """Return to the iterates that were kept."""
        for name, value in code.state_dict().items():
            if name in self._kept and self._has.any():
                rows = self._has.to(value.device)
                value[rows] = self._kept[name].to(value.device)[rows]

    def state(self) -> dict[str, Tensor]:
        """What is kept, and which images are done."""
        kept = {f"kept.{name}": value for name, value in self._kept.items()}
        return {"done": self._done, "has": self._has, **kept}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Return to an earlier state."""
        self._done, self._has = state["done"].clone(), state["has"].clone()
        self._kept = {
            name.removeprefix("kept."): value.clone()
            for name, value in state.items()
            if name.startswith("kept.")
        }

    def _keep(self, keep: Tensor, drew: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> None:
        for name, value in drew.items():
            if value.ndim and len(value) == len(keep):  # else all images share it
                value = value.to(like[name].device)
                rows = keep.to(value.device)
                if name not in self._kept:
                    self._kept[name] = value.clone()
                kept = self._kept[name] = self._kept[name].to(value.device)
                kept[rows] = value[rows]
        self._has |= keep

    def _wish(self) -> Stop | None:
        return Stop(self.reason) if self._done.all() else None
