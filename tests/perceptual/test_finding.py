"""Where weights are found, and files that are none."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from random_trunks import TORCHVISION, State, loaded, random_state, saved

from invprob.errors import ArgumentError, PerceptualError, UnknownNameError
from invprob.perceptual import trunks
from invprob.perceptual.distance import CHOICES, Absent, find_perceptual


def test_record_names_the_weights(tmp_path: Path) -> None:
    path = saved(random_state("squeeze"), tmp_path / "mine.pth")
    record = loaded("auto", path).record()
    assert record["network"] == "squeeze"
    assert record["file"] == "mine.pth"
    assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def torch_cache(file: str) -> Path:
    return Path(torch.hub.get_dir(), "checkpoints", file)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INVPROB_HOME", str(tmp_path / "invprob"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "invprob" / "perceptual"


def test_auto_without_any_weights_says_what_would_bring_them() -> None:
    absent = find_perceptual()
    assert isinstance(absent, Absent)
    assert "no perceptual network" in absent.reason
    assert absent.command is not None
    assert absent.command == "invprob pull lpips-squeeze"
    assert "\n" not in str(absent)


def test_auto_prefers_alex_and_reads_whole_classifiers(own_cache: Path) -> None:
    saved(random_state("squeeze"), own_cache / "squeezenet1_1-b8a52dc0.pth")
    assert loaded("auto").name == "squeeze"
    whole = random_state("alex") | {"classifier.1.weight": torch.zeros(3, 4)}
    saved(whole, torch_cache("alexnet-owt-7be5be79.pth"))
    assert loaded("auto").name == "alex"
    assert loaded("squeeze").name == "squeeze"


def test_a_spoilt_cache_does_not_stop_auto_but_is_mentioned(own_cache: Path) -> None:
    path = torch_cache("alexnet-owt-7be5be79.pth")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"<html>not found</html>")
    absent = find_perceptual("auto")
    assert isinstance(absent, Absent)
    assert "alexnet-owt-7be5be79.pth cannot be read" in absent.reason
    with pytest.raises(PerceptualError, match="cannot be read"):
        find_perceptual("alex")


def test_none_leaves_it_out() -> None:
    assert isinstance(find_perceptual("none"), Absent)
    with pytest.raises(ArgumentError, match="leave one of them out"):
        find_perceptual("none", "some.pth")


def test_a_named_network_must_be_there(name: str) -> None:
    with pytest.raises(PerceptualError, match=f"'{name}'.*invprob pull lpips-{name}$"):
        find_perceptual(name)


def test_st_vgg_names_its_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trunks, "find_spec", lambda name: None)
    with pytest.raises(PerceptualError, match="pip install stlpips_pytorch"):
        find_perceptual("st-vgg")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'squeeze'"):
        find_perceptual("sqeeze")
    assert set(TORCHVISION) < set(CHOICES)


def without(state: State) -> object:
    return {key: value for key, value in state.items() if key != "features.3.weight"}


def reshaped(state: State) -> object:
    return state | {"features.3.weight": torch.zeros(192, 64, 3, 3)}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without, "tensor '3.weight' is missing"),
        (reshaped, r"tensor '3.weight' is \(192, 64, 3, 3\), expected \(192, 64, 5, 5\)"),
        (lambda state: state | {"features.99.weight": torch.zeros(1)}, "'99.weight' is unknown"),
        (lambda state: state | {"epoch": 3}, "entry 'epoch' is of type int"),
        (lambda state: state | {"features.0.bias": torch.full((64,), torch.nan)}, "'0.bias'"),
        (lambda state: {"features.0.weight": torch.zeros(2, 2)}, "holds no tensor of alex"),
        (lambda state: [1, 2], "instead of named tensors"),
        (lambda state: Path("/"), "cannot be read as weights"),
    ],
)
def test_a_wrong_file_is_refused_by_name(
    spoil: Callable[[State], object], message: str, tmp_path: Path
) -> None:
    path = saved(spoil(random_state("alex")), tmp_path / "bad.pth")
    with pytest.raises(PerceptualError, match=message) as refused:
        find_perceptual("auto", path)
    assert "bad.pth" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_a_folder_and_another_network_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pth", tmp_path):
        with pytest.raises(PerceptualError, match="is not a file"):
            find_perceptual("auto", path)
    path = saved(random_state("squeeze"), tmp_path / "squeeze.pth")
    with pytest.raises(PerceptualError, match="weights of 'squeeze', but 'alex'"):
        find_perceptual("alex", path)


def test_neither_lpips_nor_torchvision_is_imported(tmp_path: Path) -> None:
    path = saved(random_state("squeeze"), tmp_path / "t.pth")
    code = (
        "import sys; from invprob.perceptual.distance import find_perceptual; "
        f"find_perceptual('auto', {str(path)!r}); "
        "sys.exit(bool({'lpips', 'torchvision'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
