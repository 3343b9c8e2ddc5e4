"""Options of operators, noise, methods and stopping rules, which come from their signatures.

`--ratio 0.01` belongs to the one part of the run that has an option `ratio`. If several have it,
the long form says which: `--operator rotate:degrees=10,fill=0`.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from invprob.cli.everyday import registered
from invprob.errors import ArgumentError, InvprobError
from invprob.registry import AUTO, Option, options_of, register, suggest
from invprob.run.config import Named

ALIAS = "gaussian-noise"  # `--operator gaussian-noise` stands for identity with Gaussian noise


@dataclass(frozen=True)
class Parts:
    """The parts that a command line names, with their options; `words` are its other words."""

    words: tuple[str, ...]
    operators: tuple[Named, ...]
    noise: Named | None
    method: Named | None
    stop: Named | None = None


@dataclass
class _Owner:
    """A part of the run, the options it has, and those that are set."""

    flag: str
    name: str
    options: dict[str, Option]
    inherited: Mapping[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def set(self, key: str, text: str) -> None:
        if key in self.settings:
            raise ArgumentError(f"{_dashed(key)} was given twice for {self.name}; give it once")
        self.settings[key] = parse(self.options[key], text)

    def named(self) -> Named:
        return Named(self.name, {**self.inherited, **self.settings})


def read_parts(
    rest: Sequence[str],
    *,
    operators: Sequence[str] = (),
    noise: str | None = None,
    method: str | Named | None = None,
    stop: str | Named | None = None,
    declared: Sequence[str] = (),
) -> Parts:
    """Give each option among the words to the one part that has it.

    Args:
        rest: What a command does not declare: words, options and their values, in order.
        operators: The chain, each `NAME` or `NAME:option=value,...`.
        noise: The noise, in the same form, if there is any.
        method: The method, in the same form; or an earlier run's, of which options may change.
        stop: The stopping rule, in either form, if there is one.
        declared: The command's own options, for suggestions.

    Raises:
        ArgumentError: for an option that is unknown, ambiguous, repeated or of the wrong type.
        UnknownNameError: for a name that is not registered.
    """
    operators, noise = _without_alias(list(operators), noise)
    chain = [_owner("operator", text) for text in operators]
    noises = [_owner("noise", noise)] if noise is not None else []
    methods = [_owner("method", method)] if method is not None else []
    rules = [_owner("stop", stop)] if stop is not None else []
    owners = [*chain, *noises, *methods, *rules]
    words = _assign(rest, owners, declared)
    for owner in owners:
        _check_complete(owner)
    return Parts(
        tuple(words),
        tuple(owner.named() for owner in chain),
        noises[0].named() if noises else None,
        methods[0].named() if methods else None,
        rules[0].named() if rules else None,
    )


def read_operator(rest: Sequence[str], *, declared: Sequence[str] = ()) -> Named:
    """An operator's name and options; options that it requires may be missing.

    Raises what `read_parts` raises.
    """
    if not rest or rest[0].startswith("-"):
        raise ArgumentError("name the operator first, such as: invprob check circulant --ratio 0.1")
    owner = _owner("operator", rest[0])
    more = _assign(rest[1:], [owner], declared)
    if more:
        raise ArgumentError(f"one operator is checked at a time; {more[0]!r} is one too many")
    return owner.named()


def _assign(rest: Sequence[str], owners: Sequence["_Owner"], declared: Sequence[str]) -> list[str]:
    """Set each option on its owner, and return the words that are no options."""
    words: list[str] = []
    queue = list(rest)
    while queue:
        token = queue.pop(0)
        if not token.startswith("-") or token == "-":
            words.append(token)
            continue
        flag, equals, text = token.partition("=")
        owner, key, negated = _owner_of(flag, owners, declared)
        if owner.options[key].type is bool:
            text = text if equals else str(not negated)
        elif not equals:
            if not queue or queue[0].startswith("--"):
                raise ArgumentError(f"{flag} needs a value, such as {flag} {_sample(owner, key)}")
            text = queue.pop(0)
        owner.set(key, text)
    return words


def parse(option: Option, text: str) -> Any:
    """An option's value from a word; raises `ArgumentError`, which names the option."""
    flag = _dashed(option.name)
    if option.nullable and text.lower() == "none":
        return None
    if option.auto and text == AUTO:
        return text
    if option.choices:
        by_text = {str(choice): choice for choice in option.choices}
        if text not in by_text:
            raise ArgumentError(
                f"{flag} must be one of {', '.join(by_text)}, got {text!r}.{suggest(text, by_text)}"
            )
        return by_text[text]
    if option.type is bool:
        truths = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in truths:
            raise ArgumentError(f"{flag} must be true or false, got {text!r}")
        return truths[text.lower()]
    try:
        return option.type(text)
    except ValueError:
        kind = {int: "a whole number", float: "a number"}.get(option.type, option.type.__name__)
        expected = f"{AUTO} or {kind}" if option.auto else kind
        raise ArgumentError(f"{flag} must be {expected}, got {text!r}") from None


def describe(option: Option) -> str:
    """An option in one line: `--ratio NUMBER  share of measurements kept (required)`."""
    kinds = {int: "INTEGER", float: "NUMBER", str: "TEXT", bool: ""}
    kind = "|".join(map(str, option.choices)) or kinds[option.type]
    if option.auto and not option.choices:
        kind = f"{AUTO}|{kind}"
    default = "required" if option.required else f"default {option.default}"
    about = option.help  # of None as the default, the help says what it stands for
    if option.required or option.default is not None or not about:
        about = f"{about} ({default})"
    return f"{_dashed(option.name)} {kind}".rstrip() + f"  {about}".rstrip()


def example_command(name: str, options: Sequence[Option], settings: Mapping[str, Any]) -> str:
    """A command that solves with an operator, whose options have these values.

    A value that is long, or an array's contents, appears as FILE.
    """
    words = ["invprob solve --operator", name]
    for option in options:
        value = settings.get(option.name, option.default)
        if not option.required and value == option.default:
            continue
        if option.type is bool:
            words.append(_dashed(option.name if value else f"no_{option.name}"))
            continue
        text = value if isinstance(value, str) else json.dumps(value)
        in_a_file = len(text) > 60 or text.startswith("array:")
        words += [_dashed(option.name), "FILE" if in_a_file else shlex.quote(text)]
    return " ".join(words)


def _owner(kind: str, part: str | Named) -> _Owner:
    """The part that `rotate` or `rotate:degrees=10,fill=0` names, or one with earlier options."""
    inherited = part.settings if isinstance(part, Named) else {}
    text = part.name if isinstance(part, Named) else part
    name, _, rest = text.partition(":")
    options = {
        option.name: option
        for option in options_of(registered(kind, name))
        if not (kind == "method" and option.name == "steps")  # --steps belongs to the run
    }
    owner = _Owner(f"--{kind}", name, options, inherited)
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if not equals:
            raise ArgumentError(f"--{kind} {text}: {item!r} should read option=value")
        key = key.strip().replace("-", "_")
        if key not in options:
            raise ArgumentError(
                f"the {kind} {name!r} has no option {key!r}."
                f"{suggest(key, options)} Options: {_listed(options)}."
            )
        owner.set(key, value.strip())
    return owner


def _without_alias(operators: list[str], noise: str | None) -> tuple[list[str], str | None]:
    """The chain and the noise, where `gaussian-noise` became identity with Gaussian noise."""
    names = [text.partition(":")[0] for text in operators]
    if ALIAS not in names:
        return operators, noise
    if names.index(ALIAS) > 0 or names.count(ALIAS) > 1 or noise is not None:
        raise ArgumentError(
            f"--operator {ALIAS} is noise on the whole measurement: name it once and first, and "
            "without --noise"
        )
    _, _, settings = operators[0].partition(":")
    return operators[1:] or ["identity"], f"gaussian:{settings}"


def _owner_of(
    flag: str, owners: Sequence[_Owner], declared: Sequence[str]
) -> tuple[_Owner, str, bool]:
    key = flag.lstrip("-").replace("-", "_")
    negated = False
    having = [owner for owner in owners if key in owner.options]
    if not having and key.startswith("no_"):
        negated = True
        key = key[3:]
        having = [owner for owner in owners if key in owner.options]
        having = [owner for owner in having if owner.options[key].type is bool]
    if not flag.startswith("--") or not having:
        raise _unknown(flag, owners, declared)
    if len(having) > 1:
        forms = " or ".join(f"{owner.flag} {owner.name}:{key}=…" for owner in having)
        names = " and ".join(owner.name for owner in having)
        raise ArgumentError(f"{flag} is an option of {names}; say which: {forms}")
    return having[0], key, negated


def _unknown(flag: str, owners: Sequence[_Owner], declared: Sequence[str]) -> InvprobError:
    for kind in ("noise", "operator", "method", "stop"):
        for name, entry in register.of(kind).items():
            if any(_dashed(option.name) == flag for option in options_of(entry)):
                return ArgumentError(f"{flag} is an option of --{kind} {name}, which was not given")
    known = [*declared, *(_dashed(key) for owner in owners for key in owner.options)]
    lists = "; ".join(f"{owner.name}: {_listed(owner.options)}" for owner in owners)
    about = f" Options of {lists}." if lists else " Name an operator first (--operator NAME)."
    return ArgumentError(f"there is no option {flag}.{suggest(flag, known)}{about}")


def _check_complete(owner: _Owner) -> None:
    missing = [
        option.name
        for option in owner.options.values()
        if option.required and option.name not in {**owner.inherited, **owner.settings}
    ]
    if missing:
        needs = ", ".join(map(_dashed, missing))
        raise ArgumentError(
            f"{owner.flag[2:]} {owner.name!r} needs {needs}; for instance "
            f"{owner.flag} {owner.name} {_dashed(missing[0])} {_sample(owner, missing[0])}"
        )


def _sample(owner: _Owner, key: str) -> str:
    option = owner.options[key]
    return (
        str(option.choices[0])
        if option.choices
        else {int: "3", float: "0.1"}.get(option.type, "VALUE")
    )


def _dashed(name: str) -> str:
    return "--" + name.replace("_", "-")


def _listed(options: dict[str, Option]) -> str:
    return ", ".join(map(_dashed, options)) or "none"
