"""The layout explains the system, so the layout is tested."""

import ast
import importlib
import importlib.util
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import invprob
from invprob.version import install_command

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("invprob", "operators", "priors")
LONGEST = 400  # lines of a file with one idea in it


def sources() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def test_every_package_is_installed() -> None:
    """Packages are listed by hand, because two of them lie outside `invprob/`."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    found = {"invprob"} | {
        module.name
        for module in pkgutil.walk_packages(invprob.__path__, "invprob.")
        if module.ispkg
    }
    assert set(settings["tool"]["setuptools"]["packages"]) == found


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_holds_more_than_one_idea(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("folder", ["operators", "priors"])
def test_a_folder_cannot_be_imported_under_a_second_name(folder: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {folder}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert f"import this package as `invprob.{folder}`" in done.stderr


def test_the_public_names_are_there() -> None:
    for name in invprob.__all__:
        assert getattr(invprob, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        invprob.nothing  # noqa: B018
    assert dir(invprob) == sorted([*invprob.__all__, "__version__"])


def test_no_module_imports_the_package_above_it() -> None:
    """`from invprob import x` would import upward, unseen by the import rules."""
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.module != "invprob" and node.level == 0, path
            if isinstance(node, ast.Import):
                assert all(name.name != "invprob" for name in node.names), path


FACTORIES = {
    *("arange", "asarray", "as_tensor", "empty", "eye", "full", "hann_window", "linspace"),
    *("logspace", "ones", "scalar_tensor", "tensor", "tril_indices", "triu_indices", "zeros"),
    *("fftfreq", "rfftfreq"),
}


def _bare_factories(source: str) -> list[str]:
    """The calls of torch's factories that leave the dtype or the device to PyTorch's defaults."""
    return [
        ast.unparse(call)
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in FACTORIES
        and ast.unparse(call.func).split(".")[0] == "torch"
        and not {"dtype", "device"} <= {word.arg for word in call.keywords}
    ]


def test_bare_factories_are_found() -> None:
    assert _bare_factories("torch.zeros(3)") == ["torch.zeros(3)"]
    assert _bare_factories("torch.fft.fftfreq(3, dtype=d)") == ["torch.fft.fftfreq(3, dtype=d)"]
    assert _bare_factories("torch.zeros(3, dtype=d, device=None); np.zeros(3); x.tensor(3)") == []


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_tensors_do_not_follow_the_callers_defaults(path: Path) -> None:
    """A caller may have set a default device and a default dtype.

    A factory states both. `device=None` says that a tensor lies on the default device on purpose.
    """
    assert _bare_factories(path.read_text("utf-8")) == []


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, invprob; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_neither_lpips_nor_torchvision_is_imported() -> None:
    code = (
        "import sys, invprob.methods, invprob.metrics, invprob.run.images, invprob.testing; "
        "sys.exit('lpips' in sys.modules or 'torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


MODULES = [module.name for module in pkgutil.walk_packages(invprob.__path__, "invprob.")]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports(name: str) -> None:
    if name == "invprob.interop.deepinv" and importlib.util.find_spec("deepinv") is None:
        with pytest.raises(ImportError, match=re.escape(install_command("deepinv"))):
            importlib.import_module(name)
    elif not name.endswith("__main__"):
        importlib.import_module(name)
