"""What a solve returns: the image, what draws it again, and how the solve ended."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from invprob.ambient import undisturbed
from invprob.callbacks import copied
from invprob.calls import checked
from invprob.cards import card
from invprob.errors import FileError
from invprob.files import atomic_write
from invprob.priors.base import Prior
from invprob.types import Images

VERSION = 1


@checked
@dataclass(frozen=True)
class Outcome:
    """Why a solve ended.

    Args:
        status: "finished" where every step was taken or the optimiser converged, "stopped" where a
            callback asked for it, "diverged" where the objective is not a number any more.
        sentence: the same for a person, with what to try next.
    """

    status: Literal["finished", "stopped", "diverged"]
    sentence: str

    def __str__(self) -> str:
        """The sentence."""
        return self.sentence

    @classmethod
    def finished(cls, steps: int) -> "Outcome":
        """Every step was taken."""
        return cls("finished", f"all {steps} steps were taken")

    @classmethod
    def converged(cls, taken: int, steps: int) -> "Outcome":
        """The optimiser would change next to nothing any more."""
        return cls("finished", f"converged after {taken} of at most {steps} steps")

    @classmethod
    def stopped(cls, taken: int, steps: int, reason: str) -> "Outcome":
        """A callback asked to stop."""
        return cls("stopped", f"stopped after {taken} of {steps} steps: {reason}")

    @classmethod
    def diverged(cls, taken: int) -> "Outcome":
        """The objective is NaN or infinite."""
        return cls(
            "diverged",
            f"the loss became NaN or infinite by step {taken}; lower the learning rate",
        )


@checked
@dataclass(frozen=True)
class Solution:
    """What a solve found, and how it went.

    Args:
        image: the images, (batch, channel, height, width) in about [-1, 1].
        realised: tensors from which the prior draws the images again, such as style rows, content
            and noise maps.
        code: the state of the free variables at the end.
        outcome: why the solve ended.
        trace: each term of the objective and their `total` over the solve, (steps, batch).
        steps: how many steps were taken.
        seed: what the random draws were derived from.
        prior_spec: JSON from which `Prior.from_spec` builds the prior.
        prior: the prior. None for a solution that was read from a file.
        restarts: the data misfit that each restart ended with, (restarts, batch); an image is that
            of the least. None where there was one restart.
    """

    image: Images
    realised: Mapping[str, Tensor]
    code: Mapping[str, Tensor]
    outcome: Outcome
    trace: Mapping[str, Tensor]
    steps: int
    seed: int
    prior_spec: Mapping[str, Any]
    prior: Prior | None = None
    restarts: Tensor | None = None

    def __repr__(self) -> str:
        """The facts in one line, without the numbers."""
        kind = self.prior_spec.get("type")
        return (
            f"Solution(image={tuple(self.image.shape)}, outcome={self.outcome.sentence!r}, "
            f"seed={self.seed}, prior={kind!r})"
        )

    def _repr_png_(self) -> bytes:
        """The images side by side, for a notebook."""
        from invprob.png import png  # Pillow is loaded only where something is shown

        return png(self.image.detach().cpu())

    def _repr_html_(self) -> str:
        """The images and the facts, for a notebook."""
        return card(
            "Solution",
            {
                "images": " × ".join(map(str, self.image.shape)),
                "outcome": self.outcome,
                "loss": ", ".join(f"{float(one):.3g}" for one in self._last_losses()),
                "prior": self.prior_spec.get("type"),
                "seed": self.seed,
            },
            png=self._repr_png_(),
            about="the restored images",
        )

    def _last_losses(self) -> list[float]:
        """The loss of each image at the last step; empty where no step was taken."""
        total = self.trace.get("total")
        last: list[float] = [] if total is None or not len(total) else total[-1].tolist()
        return last

    @checked
    def show(self) -> None:
        """Show the images: below the cell of a notebook, elsewhere in a picture viewer.

        Raises:
            FileError: there is no picture viewer on this machine.
        """
        from invprob.png import open_viewer
        from invprob.progress import in_notebook

        if in_notebook():
            from IPython.display import display

            display(self)
        elif not open_viewer(self.image.detach().cpu()):
            raise FileError(
                "there is no picture viewer on this machine; write "
                'invprob.save_image(solution.image[0], "image.png")'
            )

    @checked
    @undisturbed()
    def render(self, prior: Prior | None = None) -> Images:
        """Draw the images again, bit for bit on the same machine.

        Args:
            prior: what to draw with. None: the solution's prior, or for a solution that was read
                from a file the one that `prior_spec` names.

        Returns:
            The images, (batch, channel, height, width).
        """
        source = prior or self.prior or Prior.from_spec(self.prior_spec)
        with torch.no_grad():
            return source.render(self.realised)

    @checked
    def save(self, path: str | Path) -> None:
        """Write one safetensors file with everything but the prior's weights.

        Args:
            path: the file; one of that name is replaced.

        Raises:
            FileError: the file cannot be written. Then there is no half of it.
        """
        groups = {"realised": self.realised, "code": self.code, "trace": self.trace}
        tensors = {"image": self.image}
        tensors |= {
            f"{group}.{name}": value
            for group, values in groups.items()
            for name, value in values.items()
        }
        if self.restarts is not None:
            tensors["restarts"] = self.restarts
        copies, repeats = _once({name: copied(value) for name, value in tensors.items()})
        header = {
            "format": "solution",
            "version": VERSION,
            "repeats": repeats,
            "outcome": {"status": self.outcome.status, "sentence": self.outcome.sentence},
            "steps": self.steps,
            "seed": self.seed,
            "prior": dict(self.prior_spec),
        }
        # As bytes, so that a full disk is an OSError, which `atomic_write` puts into one line.
        content = save(copies, {"invprob": json.dumps(header)})
        with atomic_write(Path(path)) as temporary:
            temporary.write_bytes(content)

    @classmethod
    @checked
    @undisturbed()
    def load(cls, path: str | Path) -> "Solution":
        """Read what `save` wrote.

        Args:
            path: the file.

        Returns:
            The solution, without its prior.

        Raises:
            FileError: there is no such file, or it is not a solution.
        """
        groups: dict[str, dict[str, Tensor]] = {"realised": {}, "code": {}, "trace": {}}
        try:
            with safe_open(Path(path), "pt") as file:
                header = json.loads((file.metadata() or {})["invprob"])
                if header["format"] != "solution" or header["version"] != VERSION:
                    raise KeyError(header["format"])
                image = file.get_tensor("image")
                names = set(file.keys())
                restarts = file.get_tensor("restarts") if "restarts" in names else None
                sources = {**{name: name for name in names}, **header.get("repeats", {})}
                for name, source in sources.items():
                    group, _, key = name.partition(".")
                    if key:
                        # A copy is aligned as any new tensor is; a tensor in a mapped file is not.
                        groups[group][key] = file.get_tensor(source).clone()
        except (KeyError, TypeError, ValueError):
            raise FileError(
                f"{path} is not a solution file of this release: it holds something else"
            ) from None
        except (OSError, SafetensorError) as error:
            raise FileError(f"{path} is not a solution file of this release: {error}") from None
        return cls(
            image=image,
            outcome=Outcome(**header["outcome"]),
            steps=header["steps"],
            seed=header["seed"],
            prior_spec=header["prior"],
            prior=None,
            restarts=restarts,
            **groups,
        )


def _once(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Keep each value once, because free pixels and adapted weights would fill a file twice.

    Args:
        tensors: contiguous tensors by name.

    Returns:
        The tensors without those that repeat another one bit for bit, and the names of these with
        the name of the other.
    """
    kept: dict[str, Tensor] = {}
    repeats: dict[str, str] = {}
    for name, value in tensors.items():
        same = (other for other in kept if _identical(kept[other], value))
        source = next(same, None)
        if source is None:
            kept[name] = value
        else:
            repeats[name] = source
    return kept, repeats


def _identical(one: Tensor, other: Tensor) -> bool:
    """Whether two contiguous tensors are the same bit for bit, the signs of zeros too."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(one.view(-1).view(torch.uint8), other.view(-1).view(torch.uint8))
