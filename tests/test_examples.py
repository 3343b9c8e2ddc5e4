"""Every example runs in an empty directory."""

import subprocess
import sys
from pathlib import Path

import pytest
from scripts import EXAMPLES, run_script

# What each prints at its end, and how it is kept short.
EXPECTED = {
    "benchmark_discovery.py": (["--smoke"], "| w-plus |"),
    "benchmark_loading.py": (["--smoke"], "x torch.load"),
    "benchmark_operators.py": (["--smoke"], "x its FFTs"),
    "benchmark_quality.py": (["--smoke"], "of the time"),
    "benchmark_step.py": (["--smoke"], "| 32 | 2 | w-plus-s-b | alex-random | low | bf16 |"),
    "coil_maps.py": (["--smoke"], "white is"),
    "compare_optimisers.py": (["--smoke"], "coarse 64:"),
    "compare_settings.py": (["--smoke"], "sphinx: content=head, noise_maps=free"),
    "draw_methods.py": (["--smoke"], "| `w-plus` |"),
    "first_solve.py": (["--smoke"], "PSNR"),
    "many_images.py": (["--smoke"], "astronaut"),
    "measure_likeness.py": (["--smoke"], "| 4x smaller |"),
    "measure_memory.py": (["--smoke"], "peak by the end of stage 5"),
    "measure_targets.py": (["--smoke"], "| median |"),
    "measure_tasks.py": (["--smoke"], "| 1 % random measurements |"),
    "new_method.py": (["--smoke"], "PSNR"),
    "new_operator.py": ([], "keeps every law"),
    "new_prior.py": ([], "PSNR"),
    "restore_dicom.py": (["--smoke", "--figure", "dicom.png"], "s of processor time"),
    "score_encoders.py": (["--smoke"], "2 held-out samples"),
    "unknown_gain.py": (["--smoke"], "| nothing: both known |"),
}
ELSEWHERE = {  # have tests of their own, in tests/training
    "draw_edits.py",
    "find_directions.py",
    "frechet_distance.py",
    "invert_renders.py",
    "measure_edits.py",
    "ship_generator.py",
    "train_faces.py",
    "train_generator.py",
}


def test_no_example_is_forgotten() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} - ELSEWHERE == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    arguments, expected = EXPECTED[name]
    done = run_script(EXAMPLES / name, *arguments, folder=tmp_path)
    assert done.status == 0, done.err
    assert expected in done.out
    for picture in tmp_path.glob("*.png"):
        assert picture.stat().st_size > 1000


def test_an_example_runs_as_a_user_would_run_it(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "new_operator.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "keeps every law" in done.stdout


def test_a_new_operator_takes_under_twenty_lines() -> None:
    lines = (EXAMPLES / "new_operator.py").read_text("utf-8").splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("@invprob"))
    last = next(index for index, line in enumerate(lines) if line.startswith("if __name__"))
    assert len([line for line in lines[first:last] if line.strip()]) < 20
