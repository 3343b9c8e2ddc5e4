"""Directions in files of other programs, made here by NumPy and torch as those programs do."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
import torch
from torch import Tensor

from invprob.errors import FileError, ShapeError
from invprob.latents import Direction, ScaleDirection, StyleDirection, find_direction
from invprob.latents.foreign_directions import read_foreign
from invprob.priors import Generator

LAYERS, WIDTH = 8, 16
SCALES = [12, 12, 12, 10, 10, 10, 8, 8, 8, 6, 6]  # what each modulated convolution takes


@pytest.fixture(scope="module")
def generator() -> Generator:
    return networks.random_generator()


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


def read(path: Path, generator: Generator) -> dict[str, Direction]:
    """The directions of a file, after the warning."""
    with pytest.warns(UserWarning, match="does not say which generator it was made for"):
        return read_foreign(path, generator)


def rows(direction: Direction) -> np.ndarray:
    assert isinstance(direction, StyleDirection)
    return direction.rows.double().numpy()


# ---------------------------------------------------------------------------- vectors and rows


@pytest.mark.parametrize("shape", [(WIDTH,), (1, WIDTH)])
def test_a_boundary_of_interfacegan_moves_all_rows(
    shape: tuple[int, ...], tmp_path: Path, generator: Generator
) -> None:
    normal = numbers(*shape)
    normal /= np.linalg.norm(normal)
    np.save(tmp_path / "smile.npy", normal)
    (smile,) = read(tmp_path / "smile.npy", generator).values()
    assert (smile.name, smile.unit) == ("smile", "the length of the vector")
    np.testing.assert_array_equal(rows(smile), np.tile(normal.reshape(1, -1), (LAYERS, 1)))


def test_a_boundary_in_columns_is_read_in_order(tmp_path: Path, generator: Generator) -> None:
    normal = np.asfortranarray(numbers(1, LAYERS, WIDTH))
    np.save(tmp_path / "pose.npy", normal)
    (pose,) = read(tmp_path / "pose.npy", generator).values()
    np.testing.assert_array_equal(rows(pose), normal[0])


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("shape", [(1, WIDTH), (1, LAYERS, WIDTH)])
def test_tensors_of_torch(
    shape: tuple[int, ...], old: bool, tmp_path: Path, generator: Generator
) -> None:
    vector = numbers(*shape).astype(np.float32)
    path = tmp_path / "age.pt"
    torch.save(torch.from_numpy(vector), path, _use_new_zipfile_serialization=not old)
    (age,) = read(path, generator).values()
    expected = np.broadcast_to(vector.reshape(-1, WIDTH), (LAYERS, WIDTH))
    np.testing.assert_array_equal(rows(age), expected)


def test_a_view_into_a_larger_tensor(tmp_path: Path, generator: Generator) -> None:
    many = torch.from_numpy(numbers(3, WIDTH, 2))
    torch.save(many[1:2, :, 1], tmp_path / "view.pt")
    (view,) = read(tmp_path / "view.pt", generator).values()
    np.testing.assert_array_equal(rows(view)[5], many[1, :, 1].numpy())


# ------------------------------------------------------------------------------------ components


def _ganspace(path: Path, comp: np.ndarray, deviations: np.ndarray) -> None:
    np.savez_compressed(
        path,
        act_comp=numbers(3, 1, 40),
        act_mean=numbers(1, 40),
        act_stdev=numbers(3),
        lat_comp=comp,
        lat_mean=numbers(1, WIDTH),
        lat_stdev=deviations,
        var_ratio=numbers(3),
        random_stdevs=numbers(3),
    )


def _pca_of_e4e(path: Path, comp: np.ndarray, deviations: np.ndarray) -> None:
    held = {"mean": numbers(1, WIDTH), "comp": comp, "std": deviations}
    torch.save({name: torch.from_numpy(array) for name, array in held.items()}, path)


@pytest.mark.parametrize(
    ("name", "write"), [("stylegan2.npz", _ganspace), ("ffhq_pca.pt", _pca_of_e4e)]
)
def test_components_of_ganspace_are_in_standard_deviations(
    name: str, write: Any, tmp_path: Path, generator: Generator
) -> None:
    comp, deviations = numbers(3, 1, WIDTH), np.array([3.0, 2.0, 0.5])
    write(tmp_path / name, comp, deviations)
    found = read(tmp_path / name, generator)
    assert list(found) == ["component-0", "component-1", "component-2"]
    for number, one in enumerate(found.values()):
        step = deviations[number] * comp[number, 0]
        np.testing.assert_allclose(rows(one), np.tile(step, (LAYERS, 1)), rtol=1e-15)
        assert one.unit == "one standard deviation along the component"
        assert one.facts == {"deviation": deviations[number]}


def test_factors_of_rosinality_are_columns(tmp_path: Path, generator: Generator) -> None:
    vectors = np.linalg.qr(numbers(WIDTH, WIDTH))[0]
    held = {"ckpt": "stylegan2.pt", "eigvec": torch.from_numpy(vectors)}
    torch.save(held, tmp_path / "factor.pt")
    found = read(tmp_path / "factor.pt", generator)
    assert list(found) == [f"factor-{number}" for number in range(WIDTH)]
    np.testing.assert_array_equal(rows(found["factor-3"])[2], vectors[:, 3])


# --------------------------------------------------------------------------------------- IDInvert


@pytest.mark.parametrize(
    ("layers", "expected"),
    [([0, 3], [0, 3]), ("1-2,5", [1, 2, 5]), (4, [4]), (None, None), ("", None), ([], None)],
)
def test_a_boundary_of_idinvert_moves_its_layers(
    layers: object, expected: list[int] | None, tmp_path: Path, generator: Generator
) -> None:
    boundary = numbers(1, LAYERS, WIDTH)
    about = {"boundary": boundary, "meta_data": {"manipulate_layers": layers, "note": "x"}}
    np.save(tmp_path / "age.npy", np.array(about, dtype=object), allow_pickle=True)
    (age,) = read(tmp_path / "age.npy", generator).values()
    kept = range(LAYERS) if expected is None else expected
    for row in range(LAYERS):
        np.testing.assert_array_equal(rows(age)[row], boundary[0, row] * (row in kept))


def test_layers_that_the_generator_lacks(tmp_path: Path, generator: Generator) -> None:
    about = {"boundary": numbers(1, LAYERS, WIDTH), "meta_data": {"manipulate_layers": [2, 8]}}
    np.save(tmp_path / "age.npy", np.array(about, dtype=object), allow_pickle=True)
    with pytest.raises(FileError, match="manipulate_layers: rows must be from 0 to 7, not 8"):
        read_foreign(tmp_path / "age.npy", generator)


class _Call:
    """Asks a reader to call a function when it is unpickled."""

    def __reduce__(self) -> Any:
        return (list.append, (CALLED, 1))


CALLED: list[int] = []


def _object_array(path: Path) -> None:
    np.save(path, np.array({"boundary": _Call()}, dtype=object), allow_pickle=True)


def _torch_file(path: Path) -> None:
    torch.save({"eigvec": _Call()}, path)


def _bare_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"eigvec": _Call()}))


def _npz(path: Path) -> None:
    np.savez(path, lat_comp=np.array({"x": _Call()}, dtype=object), lat_stdev=np.ones(3))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("object.npy", _object_array),
        ("torch.pt", _torch_file),
        ("bare.pkl", _bare_pickle),
        ("arrays.npz", _npz),
    ],
)
def test_no_code_in_a_file_is_run(
    name: str, write: Any, tmp_path: Path, generator: Generator
) -> None:
    write(tmp_path / name)
    with pytest.raises(FileError, match=rf"{name}.*(not among the few harmless|allow_pickle)"):
        read_foreign(tmp_path / name, generator)
    assert CALLED == []


def test_a_pickle_of_references_to_references_ends(tmp_path: Path, generator: Generator) -> None:
    """As a tree it would have 2**60 leaves."""
    value: list[Any] = [0]
    for _ in range(60):
        value = [value, value]
    (tmp_path / "deep.pkl").write_bytes(pickle.dumps(value, protocol=4))
    with pytest.raises(FileError, match="holds no directions of a known form"):
        read_foreign(tmp_path / "deep.pkl", generator)


# -------------------------------------------------------------------------------------------- in S


def _list_of_torch(path: Path, arrays: list[np.ndarray]) -> None:
    torch.save([torch.from_numpy(array) for array in arrays], path)


def _npz_in_order(path: Path, arrays: list[np.ndarray]) -> None:
    np.savez(path, *arrays)


@pytest.mark.parametrize(("name", "write"), [("s.pt", _list_of_torch), ("s.npz", _npz_in_order)])
def test_a_global_direction_in_s(
    name: str, write: Any, tmp_path: Path, generator: Generator
) -> None:
    arrays = [numbers(1, width) + number for number, width in enumerate(SCALES)]
    write(tmp_path / name, arrays)
    (found,) = read(tmp_path / name, generator).values()
    assert isinstance(found, ScaleDirection)
    for scale, array in zip(found.scales, arrays, strict=True):
        np.testing.assert_array_equal(scale.numpy(), array[0])
    write(tmp_path / name, arrays[:-1])
    with pytest.raises(ShapeError, match=r"holds 10 arrays of .* take 11 of 12, 12, 12, 10, …"):
        read_foreign(tmp_path / name, generator)


# --------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("shape", [(1, 15), (3, WIDTH), (1, 7, WIDTH), (2, LAYERS, WIDTH), ()])
def test_another_shape_is_refused(
    shape: tuple[int, ...], tmp_path: Path, generator: Generator
) -> None:
    np.save(tmp_path / "bad.npy", numbers(*shape))
    with pytest.raises(ShapeError, match=r"direction of shape .* takes \(1, 16\) or \(1, 8, 16\)"):
        read_foreign(tmp_path / "bad.npy", generator)


def _written(value: Any) -> bytes:
    content = io.BytesIO()
    torch.save(value, content)
    return content.getvalue()


def _saved(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def _zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as held:
        held.writestr(name, content)
    return file.getvalue()


VECTOR: Tensor = torch.ones(1, WIDTH)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the file is empty"),
        (b"hello", "not a file of directions: neither safetensors nor"),
        (b"<!DOCTYPE html>", "this is a web page"),
        (_written(VECTOR)[:-100], "cut short"),
        (_saved(np.ones((1, WIDTH)))[:-8], "damaged or cut"),
        (_saved(np.ones((1, WIDTH)))[:40], "is damaged"),
        (_saved(np.array([{}, {}], dtype=object)), "an array of objects of shape"),
        (_saved(np.array({"x": 1}, dtype=object)), "holds no directions of a known form"),
        (_saved(np.array({"x": 1}, dtype=object))[:-9], "bytes are announced|too early|damaged"),
        (_saved(np.array(["smile"])), "is damaged: TypeError"),
        (_saved(np.full((1, WIDTH), np.nan)), "is not of finite numbers"),
        (_saved(np.ones((1, WIDTH), dtype=np.int64)), "is not of finite numbers"),
        (_written({"generator": {"a": VECTOR}}), "holds no directions of a known form"),
        (_written([VECTOR, 3]), "a list of other things than arrays"),
        (_written({"comp": torch.ones(3, 1, WIDTH), "std": torch.ones(2)}), "with deviations"),
        (_zipped("a.npy", b"text"), "damaged"),
        (_zipped("a.txt", b"text"), "a zip file, but not one of torch.save"),
    ],
)
def test_what_is_no_direction(
    content: bytes, complaint: str, tmp_path: Path, generator: Generator
) -> None:
    path = tmp_path / "bad.bin"
    path.write_bytes(content)
    with pytest.raises(FileError, match=complaint) as caught:
        read_foreign(path, generator)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path: Path, generator: Generator) -> None:
    with pytest.raises(FileError, match="there is no file of directions"):
        read_foreign(tmp_path / "none.npy", generator)
    with pytest.raises(FileError, match="a directory, not a file of directions"):
        read_foreign(tmp_path, generator)


def test_a_foreign_file_is_named_like_any_other(tmp_path: Path, generator: Generator) -> None:
    _ganspace(tmp_path / "w.npz", numbers(3, 1, WIDTH), np.ones(3))
    with pytest.warns(UserWarning, match="does not say which generator"):
        found = find_direction(f"{tmp_path / 'w.npz'}:component-2", generator)
    assert found.name == "component-2"
