"""What changes during a descent, and the snapshot from which it goes on bit for bit."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from invprob.callbacks import Callback, Snapshot, copied, gather_states, restore_states
from invprob.errors import ArgumentError
from invprob.operators.observed import Observed
from invprob.priors.base import Code
from invprob.solver.task import Task
from invprob.types import PerImage


class State:
    """Everything that changes during one stage of a task."""

    def __init__(
        self, task: Task, number: int, code: Code, callbacks: Sequence[Callback] = ()
    ) -> None:
        example = next(code.parameters(), None)
        if example is None:
            raise ArgumentError("the prior has no free variable; choose a style, content or noise")
        self.stage, self.seed = task.stages[number], task.stage_seed(number)
        self.operator, self.callbacks = task.operator, callbacks
        self.taken = 0
        self.code = code
        self.stepper = self.stage.optimiser.start(self.stage.prior.groups(code))
        values = task.measurements.values.to(example.device, example.dtype)
        target = Observed(task.operator).target(values, task.operator)
        self.terms = [
            (term, term.seeded(self.seed).bind(target, task.operator))
            for term in task.terms(self.stage)
        ]
        # A bound term with a memory is a module, whose buffers belong to the snapshot.
        self._memories = nn.ModuleDict(
            {
                str(place): bound
                for place, (_, bound) in enumerate(self.terms)
                if isinstance(bound, nn.Module)
            }
        )
        self._names: list[str] = []  # the columns of the trace
        self._rows: list[Tensor] = []  # one (columns, batch) a step, left on the device

    @property
    def progress(self) -> float:
        """The share of the stage's steps that are taken, in [0, 1)."""
        return self.taken / self.stage.steps

    def advance(self, losses: Mapping[str, PerImage], total: PerImage) -> None:
        """Count a step and add its losses to the trace."""
        self.taken += 1
        named = {**losses, "total": total}
        self._names = self._names or list(named)  # a file gives them back in an order of its own
        self._rows.append(torch.stack([named[name] for name in self._names]))

    def trace(self) -> dict[str, Tensor]:
        """Each loss over the steps taken, (steps, batch), on the CPU."""
        if not self._rows:
            return {}
        table = torch.stack(self._rows, 1).cpu()
        return dict(zip(self._names, table, strict=True))

    def snapshot(self) -> Snapshot:
        """A copy of the state on the CPU."""
        groups: dict[str, Mapping[str, Tensor]] = {
            "code": self.code.state_dict(),
            "optimiser": self.stepper.state(),
            "terms": self._memories.state_dict(),
            "trace": self.trace(),
            "callbacks": gather_states(self.callbacks),
        }
        copies = {
            f"{group}.{name}": copied(value)
            for group, values in groups.items()
            for name, value in values.items()
        }
        return {"taken": torch.tensor(self.taken, dtype=torch.int64, device="cpu"), **copies}

    def restore(self, snapshot: Snapshot) -> None:
        """Return to the state that `snapshot` holds.

        Raises:
            ArgumentError: the snapshot is of a solve with other free variables.
        """
        groups: defaultdict[str, dict[str, Tensor]] = defaultdict(dict)
        for name, value in snapshot.items():
            group, _, key = name.partition(".")
            if key:
                groups[group][key] = value
        expected = self.code.state_dict()
        if {name: value.shape for name, value in expected.items()} != {
            name: value.shape for name, value in groups["code"].items()
        }:
            raise ArgumentError(
                "the snapshot belongs to a solve with other free variables; start anew without it"
            )
        self.code.load_state_dict(groups["code"])
        self.stepper.restore(groups["optimiser"])
        self._memories.load_state_dict(groups["terms"])
        restore_states(self.callbacks, groups["callbacks"])
        self.taken = int(snapshot["taken"])
        self._names = list(groups["trace"])
        device = next(self.code.parameters()).device
        if groups["trace"]:
            table = torch.stack(list(groups["trace"].values()))
            self._rows = list(table.to(device).unbind(1))
