"""NIfTI files against nibabel's own reading and reorientation, and where voxels lie."""

import gzip
import itertools
import tracemalloc
from pathlib import Path
from typing import Any

import nibabel
import nibabel.affines
import nibabel.nifti1
import nibabel.orientations
import numpy as np
import pytest

from invprob.errors import ArgumentError, FileError
from invprob.formats.scan import Derivation, Placement, Selection
from invprob.formats.table import read_scan
from invprob.formats.window import Window
from invprob.run.images import load_image

DATA = Path(nibabel.__file__).parent / "tests" / "data"
RNG = np.random.default_rng(0)
SIDES = (6, 7, 9)
# What stands at the picture's right and bottom, in RAS: radiological convention.
DRAWN = {"axial": (1, 0, 2), "coronal": (2, 0, 1), "sagittal": (2, 1, 0)}  # rows, columns, across


def shipped(name: str) -> Path:
    """A file inside of nibabel's wheel."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"this nibabel does not ship {name}")
    return path


def loaded(path: Path) -> Any:
    """A NIfTI image, of which nibabel's hints know only that it is some image."""
    return nibabel.load(path)


def canonical(image: Any) -> Any:
    """The image with its axes brought nearest to RAS."""
    return nibabel.as_closest_canonical(image)


def expected_slice(image: Any, plane: str, index: int) -> np.ndarray:
    """The slice by nibabel's own reorientation, drawn by hand."""
    whole = canonical(image).get_fdata()
    rows, columns, across = DRAWN[plane]
    cut = np.moveaxis(whole, (rows, columns, across), (0, 1, 2))[..., index]
    return cut[::-1, ::-1]


def made(path: Path, axes: str = "RAS", data: np.ndarray | None = None) -> Any:
    """A small volume with oblique axes, in an order and direction."""
    data = RNG.integers(-900, 900, SIDES).astype(np.int16) if data is None else data
    turned = nibabel.orientations.axcodes2ornt(axes)
    affine = np.eye(4)
    for at, (axis, sign) in enumerate(turned):
        affine[:3, at] = 0
        affine[int(axis), at] = sign * (1.5 + at)
    tilt = np.eye(4)
    tilt[:2, :2] = [[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]]
    affine = tilt @ affine
    affine[:3, 3] = (-20, 33, 7)
    image = nibabel.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return loaded(path)


ORIENTATIONS = [
    "".join(codes)
    for order in itertools.permutations(("RL", "AP", "SI"))
    for codes in (("".join(pair[0] for pair in order)), "".join(pair[1] for pair in order))
]


@pytest.mark.parametrize("axes", [*ORIENTATIONS, "LAS", "LPS"])
@pytest.mark.parametrize("plane", DRAWN)
def test_every_orientation_is_drawn_and_written_alike(
    axes: str, plane: str, tmp_path: Path
) -> None:
    image = made(tmp_path / "a.nii.gz", axes)
    count = canonical(image).shape[DRAWN[plane][2]]
    scan = read_scan(tmp_path / "a.nii.gz", Selection(plane=plane, index=count - 2))
    np.testing.assert_array_equal(scan.planes[0], expected_slice(image, plane, count - 2))
    path = tmp_path / "restored.nii.gz"
    derivation = Derivation("Restored by a test.", Window(0, 1))
    scan.writer.write(path, scan.planes, Placement(), derivation)
    back = loaded(path)
    assert nibabel.aff2axcodes(back.affine) == tuple(axes)
    assert sorted(back.shape)[0] == 1
    # Each voxel that is written holds the value of the file at the same place in the world.
    where = np.argwhere(np.ones(back.shape, bool))
    world = nibabel.affines.apply_affine(back.affine, where)
    inside = nibabel.affines.apply_affine(np.linalg.inv(image.affine), world)
    np.testing.assert_allclose(inside, inside.round(), atol=1e-4)
    values = image.get_fdata()[tuple(inside.round().astype(int).T)]
    np.testing.assert_allclose(back.get_fdata()[tuple(where.T)], values)


@pytest.mark.parametrize("axes", ["LPI", "RAS"])
def test_resized_pixels_lie_where_they_should(axes: str, tmp_path: Path) -> None:
    image = made(tmp_path / "a.nii", axes)
    scan = read_scan(tmp_path / "a.nii", Selection(plane="coronal", index=3))
    place = Placement(top=1, left=2, row_step=0.5, column_step=0.25)
    planes = np.zeros((1, 10, 12))
    planes[0, 3, 8] = 1
    path = tmp_path / "restored.nii.gz"
    scan.writer.write(path, planes, place, Derivation("Restored.", Window(0, 1)))
    back = loaded(path)
    (voxel,) = np.argwhere(back.get_fdata() == 1)
    world = nibabel.affines.apply_affine(back.affine, voxel)
    row, column = 1 + 3.5 * 0.5 - 0.5, 2 + 8.5 * 0.25 - 0.5
    # Coronal: rows go down, against S, and columns to the left, against R. Slice 3 is from behind.
    seen = np.array([SIDES[0] - 1 - column, 3, SIDES[2] - 1 - row])
    where = seen if axes == "RAS" else np.array(SIDES) - 1 - seen
    expected = nibabel.affines.apply_affine(image.affine, where)
    np.testing.assert_allclose(world, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["anatomical.nii", "standard.nii.gz"])
def test_real_files_are_read_as_nibabel_reads_them(name: str) -> None:
    image = loaded(shipped(name))
    scan = read_scan(shipped(name))
    middle = canonical(image).shape[2] // 2
    np.testing.assert_array_equal(scan.planes[0], expected_slice(image, "axial", middle))
    assert scan.part.startswith(f"axial slice {middle} of 0 to ")


@pytest.mark.parametrize("name", ["functional.nii", "example4d.nii.gz", "example_nifti2.nii.gz"])
def test_of_several_volumes_one_is_named(name: str) -> None:
    with pytest.raises(FileError, match=r"holds \d+ volumes; name one from 0 to \d+: --volume"):
        load_image(shipped(name))
    image = loaded(shipped(name))
    scan = read_scan(shipped(name), Selection(volume=1, plane="sagittal", index=0))
    one = image.slicer[..., 1]
    np.testing.assert_allclose(scan.planes[0], expected_slice(one, "sagittal", 0), rtol=1e-6)


def test_the_window_of_the_header(tmp_path: Path) -> None:
    image = made(tmp_path / "a.nii")
    image.header["cal_min"], image.header["cal_max"] = -100, 300
    nibabel.save(image, tmp_path / "b.nii")
    window = read_scan(tmp_path / "b.nii").choose_window(None, "b")
    assert (window.low, window.high) == (-100, 300) and "cal_max" in window.origin


def test_no_number_is_black_and_said(tmp_path: Path) -> None:
    data = RNG.normal(size=SIDES).astype(np.float32)
    data[:2] = np.nan
    made(tmp_path / "a.nii", data=data)
    with pytest.warns(UserWarning, match="33 % of the pixels of a.nii are no numbers"):
        image = load_image(tmp_path / "a.nii")
    # The axis goes to the right, and is drawn to the left.
    assert bool((image[..., -2:] == -1).all()) and not bool((image[..., :-2] == -1).all())


def test_nothing_of_the_header_is_taken_over(tmp_path: Path) -> None:
    image = made(tmp_path / "a.nii")
    image.header["descrip"], image.header["db_name"] = b"Doe^Jane 1970", b"DoeJane"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"Doe^Jane"))
    nibabel.save(image, tmp_path / "b.nii")
    scan = read_scan(tmp_path / "b.nii")
    path = tmp_path / "restored.nii.gz"
    scan.writer.write(path, scan.planes, Placement(), Derivation("Restored.", Window(0, 1)))
    raw = gzip.decompress(path.read_bytes())
    assert b"Doe" not in raw
    assert b"Derived by invprob" in raw and b"not for diagnosis" in raw
    first = path.read_bytes()
    scan.writer.write(path, scan.planes, Placement(), Derivation("Restored.", Window(0, 1)))
    assert path.read_bytes() == first


def test_bad_files_are_refused_in_one_line(tmp_path: Path) -> None:
    made(tmp_path / "a.nii.gz")
    whole = (tmp_path / "a.nii.gz").read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.nii").write_text("no volume")
    raw = gzip.decompress(whole)
    (tmp_path / "short.nii").write_bytes(raw[:-500])
    large = bytearray(raw)
    large[40:56] = np.array([3, 30000, 30000, 30000, 1, 1, 1, 1], "<i2").tobytes()
    (tmp_path / "lie.nii.gz").write_bytes(gzip.compress(bytes(large)))
    cases = {
        "cut.nii.gz": "cannot be",
        "text.nii": "cannot be read as NIfTI",
        "short.nii": "truncated or damaged",
        "lie.nii.gz": "more than 67,108,864 pixels",
    }
    if (DATA / "row_major.dconn.nii").is_file():
        (tmp_path / "cifti.nii").write_bytes((DATA / "row_major.dconn.nii").read_bytes())
        cases["cifti.nii"] = "Cifti2Image, no NIfTI volume"
    for name, message in cases.items():
        with pytest.raises(FileError, match=message) as error:
            load_image(tmp_path / name, index=8)
        assert "\n" not in str(error.value) and name in str(error.value)
    with pytest.raises(ArgumentError, match=r"--frame is not for .*NIfTI takes --window, --plane"):
        load_image(tmp_path / "a.nii.gz", frame=1)
    with pytest.raises(FileError, match="holds 9 axial slices, and none numbered 9"):
        load_image(tmp_path / "a.nii.gz", index=9)
    with pytest.raises(ArgumentError, match=r"--white is not for .*takes --window LOW HIGH"):
        load_image(tmp_path / "a.nii.gz", white=100)


def test_a_header_may_not_ask_for_more_than_its_archive_can_hold(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.float64)
    header.set_data_shape((4000, 4000, 3000))
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(1 << 20)))
    with pytest.raises(FileError, match="unpacks to 384,000,000,000 bytes, which is more"):
        load_image(tmp_path / "bomb.nii.gz")


@pytest.mark.parametrize("plane", DRAWN)
def test_one_plane_at_a_time_is_in_memory(plane: str, tmp_path: Path) -> None:
    path = tmp_path / "large.nii.gz"
    data = np.zeros((256, 256, 400), np.int16)  # 52 MB
    data[100, 120, 130] = 9
    nibabel.save(nibabel.Nifti1Image(data, np.diag([-1, -1, 1, 1])), path)
    del data
    index = {"axial": 130, "coronal": 255 - 120, "sagittal": 255 - 100}[plane]
    tracemalloc.start()
    scan = read_scan(path, Selection(plane=plane, index=index))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert scan.planes.sum() == 9
    assert peak < 12e6
