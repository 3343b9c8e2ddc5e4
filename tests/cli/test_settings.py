"""A setting of a run is declared once; options, file keys and sweep keys follow from that."""

import dataclasses
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
import tomli_w
import typer
from typer.main import get_command

from invprob.bench.entries import read_settings
from invprob.bench.located import Source
from invprob.cli.app import app, run
from invprob.cli.run_options import Given, takes_settings
from invprob.errors import ArgumentError
from invprob.methods import DataTerm, Init
from invprob.perceptual.distance import CHOICES
from invprob.run import config as table
from invprob.run.config import SETTINGS, Named, RunConfig
from invprob.run.images import FITS
from invprob.run.settings import RunSetting, Setting, settings_of
from invprob.run.together import OF_MEASURED

OWN = {"--config", "--out", "--overwrite", "--no-report", "--json", "--quiet", "-q"}
OWN |= {"--help", "-h"}
OF_FILES = ("align", "window", "frame", "plane", "index", "volume", "dataset")
MEASURE = Named("rotate", {"degrees": 3})


def options_of(command: str) -> set[str]:
    """All options of a command, as it accepts them."""
    commands: Any = get_command(app)
    found = commands.commands[command]
    return {name for one in found.params for name in one.opts if name.startswith("-")}


def another_value(setting: RunSetting) -> Any:
    """A value of the setting that is allowed and not the default."""
    if setting.choices:
        return next(word for word in setting.choices if word != setting.default)
    words = {
        "spec": '{"type": "identity"}',
        "image_range": "0 255",
        "gain": "auto",
        "offset": "-0.5",
        "window": "-160 240",
    }
    if setting.name in words:
        return words[setting.name]
    one: Any = {str: "word", int: 3, float: 0.5, bool: True, Named: Named("name", {"a": 1})}
    value = one[setting.kind]
    return (value,) if setting.many else value


def test_solve_has_an_option_for_each_setting_and_few_of_its_own() -> None:
    derived = {setting.option for setting in SETTINGS.values() if setting.option}
    assert options_of("solve") - {"--help", "-h"} == derived | (OWN - {"--help", "-h"})
    without = {setting.name for setting in SETTINGS.values() if not setting.option}
    assert without == {"images", "transforms"}


def test_each_field_is_a_setting_that_says_what_it_does() -> None:
    assert list(SETTINGS) == [field.name for field in dataclasses.fields(RunConfig)]
    for setting in SETTINGS.values():
        assert setting.about.help.endswith("."), setting.name
        assert setting.about.heading, setting.name
        assert setting.kind is bool or not setting.option or setting.metavar, setting.name
        setting.check(setting.default)


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_is_written_and_read_again(name: str) -> None:
    setting = SETTINGS[name]
    enough: dict[str, Any] = {"samples": ("face",), "operators": (MEASURE,)}
    settled = {"measurements": ("samples", "operators"), "spec": ("operators",)}
    for other in {**settled, "measured": ("samples",)}.get(name, ()):  # which it replaces
        del enough[other]
    if name in OF_FILES:  # which pick a part of a file, or align a picture in one
        enough = {"images": ("slice.dcm",), "operators": (MEASURE,)}
    if name in OF_MEASURED:  # which are of measurements made elsewhere
        enough = {"measured": ("y.npy",), "operators": (MEASURE,)}
    config = RunConfig(**{**enough, name: another_value(setting)})
    text = config.to_toml()
    assert f"{name} = " in text or f"[{name}]" in text
    assert RunConfig.from_toml(text) == config


@pytest.mark.parametrize("name", [n for n, one in SETTINGS.items() if one.about.scope != "run"])
def test_each_setting_of_a_sweep_is_a_key_of_its_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    setting = SETTINGS[name]
    value = Named("plateau", {"window": 9}) if name == "stop" else another_value(setting)
    path.write_text(tomli_w.dumps({name: setting.write(value)}))
    read = read_settings(Source(path).root(), tmp_path, ("sweep", "method"))
    assert read == {name: value}


def test_choices_are_those_of_the_parts_that_use_them() -> None:
    assert SETTINGS["data_term"].choices == typing.get_args(DataTerm)
    assert SETTINGS["init"].choices == typing.get_args(Init)
    assert SETTINGS["perceptual"].choices == CHOICES
    assert SETTINGS["fit"].choices == tuple(FITS)


@dataclasses.dataclass(frozen=True)
class Longer(RunConfig):
    """The table with one more line."""

    patience: Annotated[int | None, Setting("How long to wait.", metavar="DAYS", unset="9")] = None


def test_a_field_added_to_the_table_is_all_that_a_setting_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    longer: Mapping[str, RunSetting] = settings_of(Longer)
    monkeypatch.setattr(table, "SETTINGS", longer)
    monkeypatch.setattr("invprob.cli.run_options.SETTINGS", longer)
    monkeypatch.setattr("invprob.bench.entries.SETTINGS", longer)
    seen: list[Given] = []

    @takes_settings()
    def command(given: Given) -> None:
        seen.append(given)

    program = typer.Typer()
    program.command()(command)
    program(["--patience", "4"], standalone_mode=False)
    assert seen == [{"patience": 4}]
    program(["--help"], standalone_mode=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "--patience" in said and "DAYS" in said and "How long to wait. Default: 9." in said
    config = Longer(samples=("face",), operators=(MEASURE,), patience=4)
    assert Longer.from_toml(config.to_toml()) == config
    path = tmp_path / "sweep.toml"
    path.write_text("patience = 4")
    assert read_settings(Source(path).root(), tmp_path, ("method",)) == {"patience": 4}


def test_a_value_is_refused_alike_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "restarts must be at least 1, got 0"
    enough: dict[str, Any] = {"samples": ("face",), "operators": (MEASURE,)}
    with pytest.raises(ArgumentError, match=said):
        RunConfig(**enough, restarts=0)
    with pytest.raises(ArgumentError, match=said):
        RunConfig.from_toml(RunConfig(**enough, restarts=2).to_toml().replace("= 2", "= 0"))
    path = tmp_path / "sweep.toml"
    path.write_text("restarts = 0")
    with pytest.raises(ArgumentError, match=f"sweep.toml, line 1: {said}"):
        read_settings(Source(path).root(), tmp_path, ("method",))
    assert run(["solve", "--operator", "identity", "--restarts", "0"]) == 2
    assert said in capsys.readouterr().err


def test_words_that_stand_for_none_win_over_a_file(call, refuse, place: Path) -> None:
    run = ("solve", "--operator", "identity", "--steps", 1)
    done = call(*run, "--batch", 1, "--stop", "plateau", "--out", "first")
    assert done.status == 0, done
    again = ("solve", "--config", "first/config.toml", "--batch", "auto", "--stop", "none")
    assert call(*again, "--out", "second").status == 0
    first, second = (RunConfig.load(Path(f"{name}/config.toml")) for name in ("first", "second"))
    assert first.batch == 1 and first.stop is not None
    assert second.batch is None and second.stop is None
    assert "--batch must be auto or a whole number, got 'many'" in refuse(*run, "--batch", "many")
