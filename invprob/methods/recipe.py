"""What a method returns: a `Recipe`, which is solved, or a `Contest` between methods."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from invprob.calls import checked
from invprob.cards import card
from invprob.errors import ArgumentError
from invprob.losses import Term
from invprob.measurements import Measurements
from invprob.methods.choices import Choices
from invprob.operators.base import Operator
from invprob.priors.base import Prior
from invprob.schedules import Schedule
from invprob.solver.task import Initial, Stage, Task, allot


@checked
@dataclass(frozen=True)
class Candidate:
    """A method that another one may choose.

    Args:
        method: its registered name.
        because: why it is tried, as a clause that follows "because".
    """

    method: str
    because: str


@checked
@dataclass(frozen=True)
class Contest:
    """Methods to choose from, and how much of the measurements judges them.

    Args:
        candidates: the methods.
        share: the share of the units (`Operator.units`) that is held out and judges. None: as much
            as `invprob.methods.contest.share_for` says.
    """

    candidates: tuple[Candidate, ...]
    share: float | None = None


@checked
@dataclass(frozen=True)
class Recipe:
    """What a method makes of a problem: everything a `Task` needs besides the measurements.

    Args:
        stages: the stages of the solve, in order.
        initial: finds the start in the measurements. None: the start of the first prior.
        notes: what the user should know of this recipe, one line each.
        choices: what was chosen for the user. `make` enters it; a method leaves it alone.
        contest: the methods to choose from by measurements that are held out. Such a recipe has no
            stages of its own.
    """

    stages: tuple[Stage, ...]
    initial: Initial | None = None
    notes: tuple[str, ...] = ()
    choices: Choices = field(default_factory=Choices)
    contest: Contest | None = None

    def __repr__(self) -> str:
        """The facts in one line."""
        if self.contest is not None:
            names = ", ".join(one.method for one in self.contest.candidates)
            return f"Recipe(one of {names})"
        count = "1 stage" if len(self.stages) == 1 else f"{len(self.stages)} stages"
        return f"Recipe({count}, {self.steps} steps, prior={self.prior!r})"

    def _repr_html_(self) -> str:
        """The stages, and what was chosen with its reasons, for a notebook."""
        stages = {
            f"stage {number}: {stage.steps} steps": f"{stage.prior!r}; {stage.optimiser!r}; "
            + " + ".join(map(repr, stage.terms))
            for number, stage in enumerate(self.stages, 1)
        }
        return card("Recipe", stages, lines=[*self.notes, *self.choices.sentences()])

    @checked
    def besides(self, terms: Sequence[Term]) -> "Recipe":
        """Return the recipe with more terms in the loss of each stage.

        Args:
            terms: terms whose names the stages have not.

        Returns:
            The recipe.

        Raises:
            ArgumentError: a stage solves a problem of its own that takes no more terms, or has a
                term of that name.
        """
        for stage in self.stages:
            if not (stage.optimiser.descends and stage.steps):
                raise ArgumentError(
                    "terms can only be added to a loss that is descended, and this method solves a "
                    "problem of its own; take one such as sphinx, or tv-descent in place of tv"
                )
            names = [term.name for term in (*stage.terms, *terms)]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ArgumentError(
                    f"terms: the loss would have the term {twice[0]!r} twice; give yours another "
                    "name, or set the option of the method"
                )
        stages = tuple(replace(stage, terms=[*stage.terms, *terms]) for stage in self.stages)
        return replace(self, stages=stages)

    @checked
    def scheduled(self, schedule: Schedule) -> "Recipe":
        """Return the recipe with another schedule of the learning rate in each stage that has one.

        Args:
            schedule: the scale of the learning rate at a progress in [0, 1) of the stage.

        Returns:
            The recipe.

        Raises:
            ArgumentError: no stage has a learning rate.
        """
        if not any(stage.optimiser.scheduled for stage in self.stages):
            kinds = ", ".join(sorted({type(stage.optimiser).__name__ for stage in self.stages}))
            raise ArgumentError(
                f"schedule scales a learning rate, and {kinds} has none; where the method has the "
                "option, take options={'optimiser': 'adam'}"
            )
        stages = [
            replace(stage, schedule=schedule) if stage.optimiser.scheduled else stage
            for stage in self.stages
        ]
        return replace(self, stages=tuple(stages))

    @property
    def steps(self) -> int:
        """The number of steps that the method takes by itself."""
        return sum(stage.steps for stage in self.stages)

    @property
    def prior(self) -> Prior:
        """The prior of the last stage, which draws the solution."""
        return self.stages[-1].prior

    @checked
    def task(
        self,
        measurements: Measurements,
        operator: Operator,
        *,
        steps: int | None = None,
        seed: int = 0,
        restarts: int = 1,
    ) -> Task:
        """Return what is to be solved for some measurements.

        Args:
            measurements: the measurements.
            operator: the operator that measured them.
            steps: optimisation steps, split over the stages. None: those of the method.
            seed: the number from which every random draw of the solve derives.
            restarts: how many seeds to solve from, at least 1.

        Returns:
            The task.
        """
        stages = allot(self.stages, steps)
        return Task(measurements, operator, stages, seed, self.initial, restarts)


@checked
def in_stages(
    stages: Sequence[Stage],
    steps: int,
    *,
    initial: Initial | None = None,
    notes: Sequence[str] = (),
) -> Recipe:
    """Return a recipe whose steps are split over the stages.

    Args:
        stages: the stages, whose own numbers of steps set the proportions.
        steps: steps of all stages together.
        initial: see `Recipe`.
        notes: see `Recipe`.
    """
    return Recipe(allot(stages, steps), initial=initial, notes=tuple(notes))
