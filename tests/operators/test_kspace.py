"""Lines and coil maps that a scanner brings along: NumPy's transform, fastMRI's masks, files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from invprob import Measurements
from invprob.errors import ArgumentError, MeasurementError
from invprob.operators import MRI, MulticoilMRI, Operator
from invprob.testing import check_operator, dense

WIDTH = 16
NUMBERS = [1, 5, 7, 8, 9, 13]
MASK = np.isin(np.arange(WIDTH), NUMBERS)


def _images(shape: tuple[int, ...]) -> torch.Tensor:
    rng = torch.Generator(device="cpu").manual_seed(5)
    return 2 * torch.rand(2, *shape, generator=rng, dtype=torch.float64) - 1


def _maps(coils: int, height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(4)
    parts = rng.normal(size=(2, coils, height, width))
    return parts[0] + 1j * parts[1]


def _centred(images: np.ndarray) -> np.ndarray:
    moved = np.fft.ifftshift(images, axes=(-2, -1))
    return np.fft.fftshift(np.fft.fft2(moved, norm="ortho"), axes=(-2, -1))


def _complex(measured: torch.Tensor) -> np.ndarray:
    return measured.numpy()[..., 0] + 1j * measured.numpy()[..., 1]


@pytest.mark.parametrize("height", [12, 13])
@pytest.mark.parametrize("numbers", [NUMBERS, [8, 3, 12, 0], [15]], ids=str)
def test_given_lines_are_columns_of_numpys_transform(height: int, numbers: list[int]) -> None:
    x = _images((2, height, WIDTH))
    operator = MRI((2, height, WIDTH), lines=numbers)
    full = _centred(x.numpy())
    np.testing.assert_allclose(_complex(operator(x)), full[..., numbers], atol=1e-12)
    np.testing.assert_allclose(_complex(operator(x.float())), full[..., numbers], atol=1e-6)
    maps = _maps(3, height, WIDTH)
    several = MulticoilMRI((2, height, WIDTH), lines=numbers, sensitivities=maps)
    expected = _centred(maps[:, None] * x.numpy()[:, None])[..., numbers]
    np.testing.assert_allclose(_complex(several(x)), expected, atol=1e-12)
    assert several.measurement_shape == (3, 2, height, len(numbers), 2)


@pytest.mark.parametrize("width", [2, 3, 16, 17])
def test_every_form_of_a_mask_names_the_same_columns(width: int, tmp_path: Path) -> None:
    shown = [width // 2] if width < 3 else [0, width // 2, width - 1]
    mask = np.isin(np.arange(width), shown)
    forms: list[Any] = [
        shown,
        np.array(shown),
        np.array(shown, float)[:, None],
        torch.tensor(shown),
        " ".join(map(str, shown)),
        str(shown),
        mask,
        mask.tolist(),
        torch.from_numpy(mask),
        np.tile(mask, (5, 1)),
    ]
    if width > 2:  # else zeros and ones are the numbers of the columns
        as_fastmri = mask.astype(np.float32).reshape(1, 1, width, 1)
        forms += [mask.astype(np.uint8), as_fastmri, as_fastmri.ravel().tolist()]
    for index, form in enumerate(list(forms)):
        if isinstance(form, np.ndarray):
            np.save(tmp_path / f"{index}.npy", form)
            forms += [tmp_path / f"{index}.npy", str(tmp_path / f"{index}.npy")]
    for form in forms:
        for build in (MRI, MulticoilMRI):
            assert build((1, 5, width), lines=form).lines.tolist() == shown, form


def test_the_centre_of_drawn_lines_against_fastmris_rule() -> None:
    # Theirs begins at (W - n + 1) // 2; ours is one lower where W is odd and n even, else the same.
    for width in range(8, 110):
        count = round(0.08 * width)
        theirs = (width - count + 1) // 2 - (width % 2 == 1 and count % 2 == 0)
        centre = set(range(theirs, theirs + count))
        always = set.intersection(
            *(set(MRI((1, 1, width), seed=seed).lines.tolist()) for seed in range(3))
        )
        assert centre <= always
    of_101 = [set(MRI((1, 1, 101), seed=seed).lines.tolist()) for seed in range(30)]
    assert set.intersection(*of_101) == set(range(46, 54))


@pytest.mark.parametrize(
    "form",
    [
        lambda maps: maps,
        lambda maps: maps.astype(np.complex64),
        lambda maps: np.stack([maps.real, maps.imag], -1),
        lambda maps: torch.from_numpy(maps),
        lambda maps: torch.from_numpy(maps.conj()).conj(),
        lambda maps: torch.view_as_real(torch.from_numpy(maps)),
        lambda maps: maps.tolist(),
    ],
)
def test_every_form_of_coil_maps_is_the_same_operator(form: Callable[..., Any]) -> None:
    maps = _maps(3, 6, 5).astype(np.complex64).astype(np.complex128)
    operator = MulticoilMRI((1, 6, 5), sensitivities=form(maps))
    np.testing.assert_array_equal(_complex(operator.sensitivities), maps)
    assert operator.measurement_shape[0] == 3


def test_real_maps_have_no_imaginary_part() -> None:
    operator = MulticoilMRI((1, 4, 6), sensitivities=np.ones((1, 4, 6)), acceleration=1.0)
    x = _images((1, 4, 6))
    np.testing.assert_allclose(operator(x)[:, 0], MRI((1, 4, 6), acceleration=1.0)(x), atol=1e-12)


def test_simulated_maps_may_be_given_again() -> None:
    drawn = MulticoilMRI((2, 8, 6), coils=4, seed=3)
    given = MulticoilMRI((2, 8, 6), coils=4, lines=drawn.lines, sensitivities=drawn.sensitivities)
    x = _images((2, 8, 6))
    assert torch.equal(given(x), drawn(x))
    assert torch.equal(given.adjoint(given(x)), drawn.adjoint(drawn(x)))


@pytest.mark.parametrize(
    "operator",
    [
        MRI((2, 7, 9), lines=[8, 0, 4, 3]),
        MRI((1, 6, 8), lines="0 4 7"),
        MRI((1, 3, 2), lines=[1]),
        MulticoilMRI((2, 5, 8), lines=[7, 2, 4], sensitivities=_maps(2, 5, 8)),
        MulticoilMRI((1, 5, 4), acceleration=2.0, sensitivities=_maps(9, 5, 4)),
    ],
    ids=repr,
)
def test_the_contract_holds_for_given_lines_and_maps(operator: Operator) -> None:
    check_operator(operator)


def test_closed_forms_agree_with_the_dense_matrix() -> None:
    for numbers in ([8, 0, 4], [1], [5, 4], [4]):
        operator = MRI((1, 4, 9), lines=numbers)
        matrix = dense(operator).numpy()
        y = torch.randn(2, *operator.measurement_shape, dtype=torch.float64)
        reference = y.flatten(1).numpy() @ np.linalg.pinv(matrix, rcond=1e-10).T
        np.testing.assert_allclose(operator.pinv(y).flatten(1), reference, atol=1e-10)
        assert operator.norm() == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-9)


def test_files_hold_lines_and_maps_themselves(tmp_path: Path) -> None:
    np.save(tmp_path / "lines.npy", MASK)
    np.save(tmp_path / "maps.npy", _maps(3, 8, WIDTH).astype(np.complex64))
    operator = MulticoilMRI(
        (1, 8, WIDTH), lines=tmp_path / "lines.npy", sensitivities=str(tmp_path / "maps.npy")
    )
    values = operator(_images((1, 8, WIDTH)))
    Measurements.from_array(values, operator).save(tmp_path / "y.safetensors")
    for name in ("lines.npy", "maps.npy"):
        (tmp_path / name).unlink()
    again = Measurements.load(tmp_path / "y.safetensors").operator()
    assert again.fingerprint() == operator.fingerprint()
    assert torch.equal(again(_images((1, 8, WIDTH))), values)
    assert operator.spec()["lines"] == NUMBERS
    assert operator.spec()["coils"] == 3
    assert len(operator.spec()["sensitivities"]) < 4 / 3 * 8 * 3 * 8 * WIDTH + 60  # float32
    assert "sensitivities=3 x 8 x 16 x 2 array" in operator.describe()
    other = MulticoilMRI((1, 8, WIDTH), lines=MASK, sensitivities=_maps(3, 8, WIDTH))
    assert other.fingerprint() != operator.fingerprint()
    assert MRI((1, 8, WIDTH), lines=MASK).spec() == MRI((1, 8, WIDTH), lines=NUMBERS).spec()


def test_specs_without_given_lines_are_those_of_before() -> None:
    assert set(MRI((1, 8, 8)).spec()) == {
        *("type", "image_shape", "acceleration", "centre_fraction", "seed"),
    }
    assert set(MulticoilMRI((1, 8, 8)).spec()) - set(MRI((1, 8, 8)).spec()) == {"coils"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "lines is empty"),
        ("", "there is no such file"),
        ("0 - 4", "lines must hold finite numbers only"),
        ("nowhere.npy", "there is no such file"),
        ([16], "lines must lie from 0 to 15, where 8 is frequency zero, got 16 to 16"),
        ([-1, 3], "got -1 to 3"),
        ([0.5, 1], "whole numbers"),
        ([1j, 2], "whole numbers"),
        ([3, 3], "names a column twice"),
        (np.zeros(WIDTH), "a mask that shows no column"),
        (np.zeros(WIDTH, bool), "a mask that shows no column"),
        (np.ones(15, bool), "a mask of 15 columns, images have 16"),
        (np.eye(WIDTH), "whole columns, the same in every row"),
        (np.tile(MASK[:, None], (1, WIDTH)), "where the lines of a scan are rows"),
        ([0.0, float("nan")], "1 values that are not finite"),
        ([None], "lines must hold numbers, got object"),
        ([[1, 2], [3]], "rows of one length"),
    ],
)
def test_bad_lines_are_named(lines: Any, message: str) -> None:
    for build in (MRI, MulticoilMRI):
        with pytest.raises(ArgumentError, match=message):
            build((1, 8, WIDTH), lines=lines)


def test_lines_are_either_drawn_or_given() -> None:
    drawn: list[dict[str, Any]] = [{"acceleration": 2.0}, {"centre_fraction": 0.1}]
    for options in drawn:
        with pytest.raises(ArgumentError, match="leave acceleration and centre_fraction out"):
            MRI((1, 8, 8), lines=[1], **options)


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (_maps(2, 8, 7), r"must be complex \(coils, 8, 16\).*got complex \(2, 8, 7\)"),
        (np.moveaxis(_maps(2, 8, WIDTH), 0, -1), "move the axis of the coils to the front"),
        (_maps(1, 8, WIDTH)[0], r"got complex \(8, 16\)"),
        (np.zeros((2, 8, WIDTH), complex), "all zero"),
        (np.full((2, 8, WIDTH), np.nan * 1j), "256 values that are not finite"),
        (np.ones((0, 8, WIDTH)), "sensitivities is empty"),
        ("maps.npy", "there is no such file"),
    ],
)
def test_bad_maps_are_named(maps: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        MulticoilMRI((1, 8, WIDTH), sensitivities=maps)


def test_maps_that_no_file_could_hold_are_refused() -> None:
    maps = np.broadcast_to(np.complex64(1), (129, 256, 256))
    with pytest.raises(ArgumentError, match="sensitivities take 64 MiB, at most 64 fit"):
        MulticoilMRI((1, 256, 256), lines=[128], sensitivities=maps)


def test_the_number_of_coils_may_be_said_and_must_agree() -> None:
    assert MulticoilMRI((1, 8, 6), coils=2, sensitivities=_maps(2, 8, 6)).measurement_shape[0] == 2
    with pytest.raises(ArgumentError, match="coils is 3, but sensitivities has 2 maps"):
        MulticoilMRI((1, 8, 6), coils=3, sensitivities=_maps(2, 8, 6))


def test_complex_data_are_refused_with_the_way_to_write_them() -> None:
    operator = MRI((1, 8, WIDTH), lines=NUMBERS)
    x = _images((1, 8, WIDTH))[:1]
    values = _centred(x.numpy())[..., NUMBERS]
    with pytest.raises(MeasurementError, match=r"torch.view_as_real\(y\) or numpy.stack"):
        Measurements.from_array(values, operator)
    taken = Measurements.from_array(torch.view_as_real(torch.from_numpy(values)), operator)
    torch.testing.assert_close(taken.values, operator(x).float(), rtol=0, atol=1e-6)
