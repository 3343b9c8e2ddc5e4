"""One page for each command, from the program itself."""

from pathlib import Path
from typing import Any

import typer

from invprob.cli.app import app
from pages.text import contents, table, write

FREE = (
    "The chosen operators, noise, method and stopping rule have options of their own, for instance "
    "`--ratio 0.05`. Their pages list them. Where two of them have an option of the same name, say "
    "whose it is: `--operator rotate:degrees=10`."
)


def write_pages(target: Path) -> None:
    """Write `commands/NAME.md` and their index."""
    program: Any = typer.main.get_command(app)
    for name, command in program.commands.items():
        write(target / "commands" / f"{name}.md", _page(name, command))
    rows = [
        [f"[invprob {name}]({name}.md)", _purpose(command)]
        for name, command in program.commands.items()
    ]
    text = f"""# Commands

Every command prints its options with `--help`. The exit status is 0 after success, 2 after a
mistake, which is explained in one line on standard error, and 130 after an interruption.

{table(["command", "what it does"], rows)}
{contents(list(program.commands))}"""
    write(target / "commands" / "index.md", text)


def _purpose(command: Any) -> str:
    return str(command.help or "").strip().partition("\n\n")[0]


def _page(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(["invprob", name, *command.collect_usage_pieces(context)])
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    options = [item for item in command.params if item.param_type_name == "option"]
    free = f"{FREE}\n" if "ignore_unknown_options" in command.context_settings else ""
    parts = [f"# invprob {name}\n", f"```sh\n{usage}\n```\n", f"{command.help or ''}\n", free]
    if arguments:
        rows = [[f"`{_placeholder(item)}`", item.help or ""] for item in arguments]
        parts += ["## Arguments\n", table(["argument", "meaning"], rows)]
    rows = [[_flags(item), f"{item.help or ''}{_default(item)}"] for item in options]
    return "\n".join([*parts, "## Options\n", table(["option", "meaning"], rows)])


def _placeholder(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _flags(option: Any) -> str:
    value = "" if option.is_flag else f" {_placeholder(option)}"
    return ", ".join(f"`{flag}{value}`" for flag in sorted(option.opts, key=len, reverse=True))


def _default(option: Any) -> str:
    if option.required:
        return " (required)"
    if option.is_flag or option.default is None or "Default" in (option.help or ""):
        return ""
    return f" Default: {option.default}."
