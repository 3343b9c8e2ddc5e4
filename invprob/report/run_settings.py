"""What a run was asked for, what was chosen for it, what it ran on, and how to repeat it."""

import json
import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from invprob.report.embedded import thumbnail
from invprob.report.markup import Html, folded, joined, marked, table, tag
from invprob.report.page import command
from invprob.run import folder as files
from invprob.run.config import SETTINGS
from invprob.run.derived import PASTED, RESTORED
from invprob.run.record import RunRecord
from invprob.run.settings import Named

SCAN = "the result in the format of its scan"
MOST = 24  # folders of images that are listed
FILES: Mapping[str, str] = {
    files.IMAGE: "the result",
    files.COMPARISON: "truth, measurement or its pseudo-inverse, result, error",
    files.PASTED: "the whole picture, with the result where it was cropped from",
    files.SCORES: "all scores, and how the solve ended",
    files.CONFIG: "every setting, also those that were chosen for you",
    files.CHOICES: "what was chosen for you, each with its reason",
    files.CANDIDATES: "what was tried, its held-out misfits and times, and the choice",
    files.ENVIRONMENT: "versions, machine, sha256 of the generator, notes",
    files.OPERATOR: "the operator; --spec FILE uses it again",
    files.MEASUREMENTS: "the measurements; --measurements FILE uses them again",
    files.TRACE: "the terms of the loss at every step",
    files.SOLUTION: "the variables that were found, from which the image can be drawn again",
    files.CHECKPOINT: "what `invprob resume` goes on from",
}


def choices_part(record: RunRecord) -> Html:
    """A table of what was chosen for the user, with the reasons."""
    rows = [
        [name, _value(made["value"]), str(made["reason"])] for name, made in record.choices.items()
    ]
    return table(["choice", "value", "because"], rows, caption="Choices of invprob")


def candidates_part(record: RunRecord) -> Html:
    """What a method that chooses among others tried, and its choice."""
    about = record.candidates
    lead = tag(
        "p",
        f"Each method restored the image from a part of the measurements; {about['held_out']} "
        "numbers were held out and judged it. The truth was not used.",
    )
    rows = [
        [
            _titled(record.path / "candidates" / str(one["method"]) / files.IMAGE, one["method"]),
            _number(one.get("misfit")),
            f"{one['seconds']:.1f}",
            str(one.get("because", "")),
        ]
        for one in about["candidates"]
    ]
    titles = ["method", f"held-out misfit, in {about['unit']}", "seconds", "tried because"]
    chosen = about.get("reason")
    ended = (
        "No choice was made yet." if chosen is None else f"The choice: {_listed(about)}: {chosen}"
    )
    return joined([lead, table(titles, rows, caption="Candidates"), tag("p", ended)])


def repeat_part(record: RunRecord) -> Html:
    """The command that repeats the run, and the file that it reads."""
    path = shlex.quote(str((record.path / files.CONFIG).resolve()))
    lines = [
        tag("p", "With the folder of the run at hand:"),
        command(f"invprob solve --config {path} --out again"),
        tag("p", "Without it, save these settings as config.toml, and name that file instead."),
        folded("config.toml", tag("pre", tag("code", record.toml))),
    ]
    if not record.finished:
        going = f"invprob resume {shlex.quote(str(record.path.resolve()))}"
        lines = [tag("p", "To go on with it:"), command(going), *lines]
    return joined(lines)


def settings_part(record: RunRecord) -> Html:
    """Tables of the settings: those that differ from the defaults, then the others."""
    given, usual = [], []
    for setting in SETTINGS.values():
        value = getattr(record.config, setting.name)
        row = [setting.name, _value(value), marked(setting.about.help)]
        if value != setting.default:
            given.append(row)
        elif value not in (None, ()):
            usual.append(row)
    titles = ["setting", "value", "what it does"]
    rest = table(titles, usual, caption="Settings at their defaults")
    differ = table(titles, given, caption="Settings that differ from the defaults")
    return joined([differ, folded(f"{len(usual)} settings have their defaults", rest)])


def environment_part(record: RunRecord) -> Html:
    """What the run ran on."""
    about = record.environment
    rows = [[name, version] for name, version in about.get("versions", {}).items()]
    rows += [
        ["platform", str(about.get("platform", ""))],
        ["processors, threads", f"{about.get('processors')}, {about.get('threads')}"],
        ["device", str(about.get("device_name") or about.get("device", ""))],
    ]
    generator = about.get("generator", {})
    if about.get("generator_used", True):
        rows += [[f"generator: {key}", _value(value)] for key, value in generator.items()]
    rows += [
        [f"operator: {key}", _value(value)] for key, value in about.get("operator", {}).items()
    ]
    network = about.get("perceptual", {})
    rows += [[f"perceptual network: {key}", _value(value)] for key, value in network.items()]
    rows += [["note", note] for note in about.get("notes", ())]
    return table(["what", "which"], rows, caption="Versions and machine")


def files_part(path: Path) -> Html:
    """The files of the run that are there, and what they hold."""
    found = [(name, said) for name, said in FILES.items() if (path / name).exists()]
    scans = sorted(file.name for file in path.glob("*.*") if file.stem in (RESTORED, PASTED))
    found += [(name, SCAN) for name in scans if name not in FILES]
    rows = [[name, _size((path / name).stat().st_size), marked(said)] for name, said in found]
    inside = sorted(file.parent.name for file in path.glob(f"*/{files.COMPARISON}"))
    rows += [[f"{name}/", "", "its picture, comparison and scores"] for name in inside[:MOST]]
    if len(inside) > MOST:
        rows.append([f"and {len(inside) - MOST} more", "", "folders of an image each"])
    where = tag("p", "The folder is ", tag("code", str(path.resolve())), ".")
    return joined([where, table(["file", "size", "what it holds"], rows, caption="Files")])


def _titled(path: Path, name: str) -> Html:
    """The name of a candidate, with its result where there is one picture."""
    if not path.exists():
        return tag("span", name)
    with Image.open(path) as picture:
        small = thumbnail(picture.convert("RGB"), f"the result of {name}")
    return joined([name, small])


def _listed(about: Mapping[str, Any]) -> str:
    return " and ".join(about.get("chosen", ()))


def _value(value: Any) -> str:
    """A value as a person writes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Named):
        options = [f"{name}={_value(one)}" for name, one in value.settings.items()]
        return f"{value.name}: {', '.join(options)}" if options else value.name
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_value, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _number(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.4g}"


def _size(count: int) -> str:
    return f"{count} bytes" if count < 1000 else f"{count / 1000:,.1f} kB"
