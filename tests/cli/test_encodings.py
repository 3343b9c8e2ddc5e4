"""What a command prints can be written to a stream of any encoding."""

import io
import json
import sys
import warnings

import pytest

from invprob.cli.app import main
from invprob.registry import register

HELP = (
    *("solve", "measure", "bench", "check", "convert", "pull", "gallery", "train-encoder"),
    "directions",
)
COMMANDS = [
    ["--help"],
    *([name, "--help"] for name in HELP),
    *([kind, *more] for kind in ("operators", "methods", "priors") for more in ([], ["--json"])),
    *(["operators", name] for name in register.operator),
    *(["methods", name] for name in register.method),
    ["solve", "--operator", "σ"],
]


@pytest.mark.parametrize(
    ("arguments", "encoding"),
    [*((command, "cp1252") for command in COMMANDS), *((each, "ascii") for each in COMMANDS[:10])],
)
def test_every_command_prints(
    arguments: list[str], encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # the program sets it
    with monkeypatch.context() as streams:
        wrappers = [io.TextIOWrapper(written, encoding, write_through=True) for _ in range(2)]
        for name, wrapper in zip(("stdout", "stderr"), wrappers, strict=True):
            streams.setattr(sys, name, wrapper)
        with pytest.raises(SystemExit) as left:
            main(arguments)
        for wrapper in wrappers:
            wrapper.detach()
    assert left.value.code == (2 if "σ" in arguments else 0)
    text = written.getvalue().decode("utf-8" if encoding == "ascii" else encoding)
    assert len(text) > 40  # click takes ASCII for a mistake, and writes UTF-8
    if arguments == ["operators", "circulant"]:
        assert "\\u229b" in text  # ⊛, the circular convolution
    if "--json" in arguments:
        assert json.loads(text)
