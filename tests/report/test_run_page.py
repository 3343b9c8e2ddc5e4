"""Reports of runs: what stands in them, their size, and runs with something missing."""

import base64
import io
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from page_structure import Page, check_structure
from PIL import Image

from invprob.cli.app import run
from invprob.report.page import page
from invprob.report.run_page import run_content, write_run_report
from invprob.run.images import load_image
from invprob.run.record import RunRecord
from invprob.run.results import Panel
from invprob.run.samples import sample_path
from invprob.run.shown import Showing, Shown

MIB = 2**20


def page_of(folder: Path) -> Page:
    return check_structure((folder / "report.html").read_text("utf-8"))


def copied(folder: Path, place: Path) -> Path:
    return Path(shutil.copytree(folder, place / "copy"))


def picture(found: Page, key: str) -> np.ndarray:
    (image,) = [one for one in found.all("img") if one.attributes.get("data-key") == key]
    source = image.attributes["src"]
    assert source is not None
    content = base64.b64decode(source.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_solve_writes_a_page_that_keeps_the_rules(one: Path) -> None:
    found = page_of(one)
    assert found.all("h1")[0].text == "face, restored by tv"
    scores = json.loads((one / "scores.json").read_text())
    values = [value.text for value in found.of_class("value")]
    assert f"{scores['psnr']:.2f} dB" in values and f"{scores['data_misfit']:.3g}" in values
    assert len(values) == len(found.of_class("said")) == 4  # PSNR, pseudo-inverse, SSIM, misfit


def test_a_page_of_one_run_at_128_pixels_is_small(one: Path, several: Path) -> None:
    assert (one / "report.html").stat().st_size < 3 * MIB / 4
    assert (several / "report.html").stat().st_size < 3 * MIB


def test_the_pictures_are_those_of_the_run_to_the_last_bit(one: Path) -> None:
    found = page_of(one)
    with Image.open(one / "image.png") as image:
        result = np.asarray(image.convert("RGB"))
    assert (picture(found, "restored") == result).all()
    truth = ((load_image(sample_path("face"), size=128).double() + 1) * 127.5).round()
    assert (picture(found, "truth") == truth[0].permute(1, 2, 0).byte().numpy()).all()
    error = picture(found, "error").sum(2).flatten()
    difference = np.abs(result.astype(int) - picture(found, "truth").astype(int)).mean(2).flatten()
    assert np.corrcoef(error, difference)[0, 1] > 0.95


def test_a_page_that_is_made_again_shows_the_same(one: Path, tmp_path: Path) -> None:
    write_run_report(one, tmp_path / "again.html")
    first = (one / "report.html").read_text("utf-8")
    assert (tmp_path / "again.html").read_text("utf-8") == first


def test_several_images_have_a_table_and_parts_of_their_own(several: Path) -> None:
    found = page_of(several)
    table = found.by_id("all-images")
    rows = [one for one in found.all("tr") if table in one.parents]
    assert len(rows) == 4
    assert [one.text for one in found.all("h3")] == ["face", "retina", "b---x---y"]
    assert len([one for one in found.all("input") if one.attributes["type"] == "range"]) == 3 + 2


def test_what_a_user_wrote_is_text(several: Path) -> None:
    text = (several / "report.html").read_text("utf-8")
    assert "<b>&" not in text.replace("<b>restored</b>", "")
    settings = page_of(several).by_id("settings").text
    assert "<b>&\"x\" 'y'.png" in settings


def test_reasons_settings_versions_and_the_command_stand_in_the_page(one: Path) -> None:
    found = page_of(one)
    choices = json.loads((one / "choices.json").read_text())
    assert choices
    for name, made in choices.items():
        assert name in found.by_id("choices").text and made["reason"] in found.by_id("choices").text
    environment = json.loads((one / "environment.json").read_text())
    for version in environment["versions"].values():
        assert version in found.by_id("environment").text
    assert f"invprob solve --config {one}/config.toml --out again" in found.by_id("repeat").text
    assert "gaussian-blur: border=reflect, sigma=1.5" in found.by_id("settings").text
    assert (one / "config.toml").read_text().split("\n")[-2] in found.by_id("repeat").text


def test_the_command_repeats_the_run(one: Path, tmp_path: Path) -> None:
    (command,) = page_of(one).of_class("command")
    code = command.text.removesuffix(" Copy").removesuffix(" again").split()
    assert run([*code[1:], str(tmp_path / "again"), "--quiet", "--no-report"]) == 0
    again = (tmp_path / "again" / "image.png").read_bytes()
    assert again == (one / "image.png").read_bytes()
    assert not (tmp_path / "again" / "report.html").exists()


def test_an_unfinished_run_says_so_and_shows_what_was_measured(one: Path, tmp_path: Path) -> None:
    folder = copied(one, tmp_path)
    for name in ("scores.json", "solution.safetensors", "image.png"):
        (folder / name).unlink()
    with (folder / "trace.jsonl").open("a") as trace:
        trace.write('{"step": 31, "tot')  # a run at work is half way through a line
    write_run_report(folder, folder / "report.html")
    found = page_of(folder)
    (said,) = found.of_class("notice")
    assert "not finished: 30 steps" in said.text and "invprob resume" in said.text
    keys = [one.attributes["data-key"] for one in found.all("img")]
    assert keys == ["truth", "measured-0"]
    assert not found.of_class("compare") and found.of_class("chart")


def test_a_run_whose_truth_is_gone_says_so(several: Path, tmp_path: Path) -> None:
    folder = copied(several, tmp_path)
    config = (folder / "config.toml").read_text().replace("y'.png", "z'.png")
    (folder / "config.toml").write_text(config)
    write_run_report(folder, folder / "report.html")
    found = page_of(folder)
    assert any("The true image is not shown" in one.text for one in found.of_class("notice"))
    assert "truth" not in {one.attributes.get("data-key") for one in found.all("img")}


def test_a_run_that_diverged_says_so(one: Path, tmp_path: Path) -> None:
    folder = copied(one, tmp_path)
    scores = json.loads((folder / "scores.json").read_text())
    outcome = "the loss became NaN or infinite by step 3; lower the learning rate"
    unknown = dict.fromkeys(("psnr", "ssim", "data_misfit"))
    (folder / "scores.json").write_text(json.dumps({**scores, **unknown, "outcome": outcome}))
    lines = ['{"step": 1, "misfit": [null], "total": [null]}'] * 3
    (folder / "trace.jsonl").write_text("\n".join(lines))
    write_run_report(folder, folder / "report.html")
    found = page_of(folder)
    assert outcome in found.of_class("notice")[0].text
    assert not found.of_class("chart")


def test_without_a_truth_the_page_says_what_that_means(tmp_path: Path) -> None:
    small = tmp_path / "small.png"
    with Image.open(sample_path("cat")) as image:
        image.resize((32, 32)).save(small)
    words = ["solve", "--measured", str(small), "--operator", "area-downsample:factor=4"]
    out = tmp_path / "run"
    assert run([*words, "--method", "tv", "--steps", "5", "--out", str(out), "-q"]) == 0
    found = page_of(out)
    assert any("The true image is not known" in one.text for one in found.of_class("notice"))
    assert "dB" not in found.by_id("scores").text


def test_many_images_share_the_page(several: Path) -> None:
    rng = torch.Generator().manual_seed(0)
    noise = [torch.rand(3, 128, 128, generator=rng) * 2 - 1 for _ in range(40)]  # hard to compress
    shown = [
        Shown(f"noise-{number}", image, [Panel("measurement y", -image)], image / 2, {"psnr": 1.0})
        for number, image in enumerate(noise)
    ]
    text = page(*run_content(RunRecord.read(several), Showing("much noise", shown)))
    assert len(text) < 3 * MIB
    found = check_structure(text)
    said = " ".join(one.text for one in found.of_class("notice"))
    assert "The first 24 of 40 images" in said and "compressed" in said
    assert len([one for one in found.all("tr") if found.by_id("all-images") in one.parents]) == 41
