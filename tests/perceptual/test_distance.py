"""LPIPS against published values, the `lpips` package, and the files that are no weights."""

import hashlib
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import lpips
import numpy as np
import pytest
import torch
from PIL import Image
from shared_files import shared
from torch import Tensor, nn

from invprob.errors import ArgumentError, PerceptualError, ShapeError, UnknownNameError
from invprob.perceptual import trunks
from invprob.perceptual.distance import CHOICES, Absent, PerceptualDistance, find_perceptual
from invprob.perceptual.trunks import NETWORKS
from invprob.version import install_command

TORCHVISION = ("alex", "squeeze", "vgg")
SHARED_TRUNKS = {"alex": "alexnet_features.pth", "squeeze": "squeezenet1_1_features.pth"}

State = dict[str, Tensor]


def random_state(name: str) -> State:
    """Draw a trunk whose layers neither die out nor explode, under torchvision's names."""
    rng = torch.Generator().manual_seed(7)
    trunk = NETWORKS[name].trunk()
    for parameter in trunk.parameters():
        fan = parameter[0].numel() if parameter.ndim > 1 else 100
        nn.init.normal_(parameter, std=(2 / fan) ** 0.5, generator=rng)
    return {f"features.{key}": value for key, value in trunk.state_dict().items()}


def saved(state: object, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return path


def loaded(choice: str, weights: Path | None = None) -> PerceptualDistance:
    found = find_perceptual(choice, weights)
    assert isinstance(found, PerceptualDistance)
    return found


def pair(size: int = 64, width: int | None = None, batch: int = 2) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(42)
    x = torch.rand(batch, 3, size, width or size, generator=rng) * 2 - 1
    y = torch.rand(batch, 3, size, width or size, generator=rng) * 2 - 1
    return x, y


@pytest.fixture(params=TORCHVISION)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def distance(name: str, tmp_path: Path) -> PerceptualDistance:
    return loaded(name, saved(random_state(name), tmp_path / "trunk.pth"))


# ----------------------------------------------------------------------------- published values

NOISE_LAYERS = {
    "squeeze": [0.037301, 0.007675, 0.012229, 0.012685, 0.012535, 0.008398, 0.011558],
    "alex": [0.041878, 0.018495, 0.022087, 0.033232, 0.015477],
}
FACE_LAYERS = {
    "alex": [0.082990, 0.105355, 0.139004, 0.143177, 0.107227],
    "squeeze": [0.092199, 0.010043, 0.083655, 0.138820, 0.070526, 0.046233, 0.058382],
}


def per_layer(distance: PerceptualDistance, x: Tensor, y: Tensor) -> list[float]:
    pairs = zip(distance.features(x), distance.features(y), strict=True)
    return [float((a - b).square().sum((1, 2, 3))[0]) for a, b in pairs]


@pytest.mark.parametrize(
    ("name", "values"), [("squeeze", [0.10238, 0.09377]), ("alex", [0.13117, 0.14196])]
)
def test_published_values_of_noise(name: str, values: list[float]) -> None:
    distance = loaded(name, shared(f"weights/{SHARED_TRUNKS[name]}"))
    x, y = pair(100)
    assert distance(x, y).tolist() == pytest.approx(values, abs=1e-4)
    assert per_layer(distance, x, y) == pytest.approx(NOISE_LAYERS[name], abs=1e-5)


def face(number: str) -> Tensor:
    with Image.open(shared(f"images/face_{number}.jpg")) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float32)
    return torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1).unsqueeze(0)


@pytest.mark.parametrize(
    ("name", "value", "flipped"), [("alex", 0.57775, 0.27708), ("squeeze", 0.49986, 0.22303)]
)
def test_published_values_of_faces(name: str, value: float, flipped: float) -> None:
    distance = loaded(name, shared(f"weights/{SHARED_TRUNKS[name]}"))
    x, y = face("001"), face("006")
    assert float(distance(x, y)) == pytest.approx(value, abs=1e-3)
    assert per_layer(distance, x, y) == pytest.approx(FACE_LAYERS[name], abs=1e-3)
    assert float(distance(x, x.flip(3))) == pytest.approx(flipped, abs=1e-3)
    assert float(distance(x, x)) == 0


@pytest.fixture
def st_vgg() -> PerceptualDistance:
    if find_spec("stlpips_pytorch") is None:
        pytest.skip(f"stlpips_pytorch is not installed: {install_command('stlpips')}")
    return loaded("st-vgg")


def test_st_lpips_is_that_of_its_package(st_vgg: PerceptualDistance) -> None:
    """Values that the package's own network gives for the same noise (its release 0.0.2)."""
    assert st_vgg.record() == {
        "network": "st-vgg",
        "label": "ST-LPIPS-VGG16",
        "file": "vgg_shift_tolerant.pth",
        "sha256": "44597da68f49c1837c100ff52299050f274d102eb102e5837178c79be6f0e250",
    }
    assert st_vgg(*pair(100)).tolist() == pytest.approx([0.0665735, 0.0676613], abs=1e-6)
    assert "stlpips_pytorch" not in sys.modules  # it imports packages that it does not declare


def test_st_lpips_of_faces(st_vgg: PerceptualDistance) -> None:
    x, y = face("001"), face("006")
    assert float(st_vgg(x, y)) == pytest.approx(0.602877, abs=1e-3)
    assert float(st_vgg(x, x.flip(3))) == pytest.approx(0.354622, abs=1e-3)
    assert float(st_vgg(x, x)) == 0


# ------------------------------------------------------------------------- the `lpips` package


def reference(name: str, state: State) -> Callable[[Tensor, Tensor], Tensor]:
    """Build the package's own network with its own heads around the given trunk."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(net=name, pnet_rand=True, verbose=False).eval()
    network.requires_grad_(False)
    renamed = {
        key: state[f"features.{key.split('.', 1)[1]}"]  # slice1.0.weight -> features.0.weight
        for key in network.net.state_dict()
    }
    network.net.load_state_dict(renamed)
    return lambda x, y: network(x, y).flatten()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (97, 64), (256, 256)])
def test_agrees_with_the_lpips_package(
    distance: PerceptualDistance, name: str, height: int, width: int
) -> None:
    x, y = pair(height, width, batch=1)
    expected = reference(name, random_state(name))(x, y)
    assert float(expected) > 1e-3
    torch.testing.assert_close(distance(x, y), expected, rtol=1e-5, atol=1e-6)


def test_gradient_agrees_with_the_lpips_package(distance: PerceptualDistance, name: str) -> None:
    x, y = pair(64, batch=1)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    distance(ours, y).sum().backward()
    reference(name, random_state(name))(theirs, y).sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    scale = float(theirs.grad.abs().max())
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5 * scale)


def test_st_lpips_agrees_with_a_plain_computation(tmp_path: Path) -> None:
    """The blurred network against a second, slow reading of its paper: padding, filter, order."""
    rng = torch.Generator().manual_seed(3)
    blur = torch.tensor([1.0, 2.0, 1.0])
    kernel = blur[:, None] * blur / 16
    state: State = {}
    plan = [(1, 0, 3, 64), (1, 2, 64, 64), (2, 6, 64, 128), (2, 8, 128, 128)]
    plan += [(3, 12, 128, 256), (3, 14, 256, 256), (3, 16, 256, 256)]
    plan += [(4, 20, 256, 512), (4, 22, 512, 512), (4, 24, 512, 512)]
    plan += [(5, 28, 512, 512), (5, 30, 512, 512), (5, 32, 512, 512)]
    for part, index, channels, filters in plan:
        weight = torch.randn(filters, channels, 3, 3, generator=rng) * (2 / (9 * channels)) ** 0.5
        state[f"net.slice{part}.{index}.weight"] = weight
        state[f"net.slice{part}.{index}.bias"] = torch.randn(filters, generator=rng) * 0.1
    for part, index, channels in ((2, 5, 64), (3, 11, 128), (4, 19, 256), (5, 27, 512)):
        state[f"net.slice{part}.{index}.filt"] = kernel.expand(channels, 1, 3, 3).clone()
    for index, channels in enumerate((64, 128, 256, 512, 512)):
        state[f"lin{index}.model.1.weight"] = torch.rand(1, channels, 1, 1, generator=rng)
    state["scaling_layer.shift"] = torch.zeros(1, 3, 1, 1)  # passed over: v0.1 fixes it

    x, y = pair(36, batch=1)
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    hidden = torch.cat((x, y)).sub(shift) / torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)
    expected = torch.zeros(())
    for part in range(1, 6):
        if part > 1:
            hidden = torch.stack(
                [hidden[..., i : i + hidden.shape[2] - 1, j:][..., : hidden.shape[3] - 1]
                 for i in (0, 1) for j in (0, 1)]
            ).amax(0)  # fmt: skip
            mirrored = np.pad(hidden.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")
            views = np.lib.stride_tricks.sliding_window_view(mirrored, (3, 3), axis=(2, 3))
            hidden = torch.from_numpy(np.einsum("bchwij,ij->bchw", views, kernel.numpy()))
            hidden = hidden[:, :, ::2, ::2]
        for of, index, _, _ in plan:
            if of == part:
                weight, bias = (state[f"net.slice{of}.{index}.{k}"] for k in ("weight", "bias"))
                hidden = nn.functional.conv2d(hidden, weight, bias, padding=1).relu()
        unit = hidden / hidden.square().sum(1, keepdim=True).sqrt()
        head = state[f"lin{part - 1}.model.1.weight"]
        expected = expected + ((unit[:1] - unit[1:]).square() * head).sum(1).mean()

    distance = loaded("st-vgg", saved(state, tmp_path / "st.pth"))
    assert float(distance(x, y)) == pytest.approx(float(expected), rel=1e-4)


# ------------------------------------------------------------------------------------ behaviour


@pytest.mark.parametrize("targets", [1, 2])
def test_the_distance_is_the_square_of_what_descriptions_differ(
    distance: PerceptualDistance, targets: int
) -> None:
    """With the gradients that PyTorch derives from the formula as it is written."""
    distance = distance.double()
    x, y = (image.double().requires_grad_() for image in pair())
    weights = torch.tensor([0.3, -2.0], dtype=torch.float64)
    described = distance.features(y[:targets])
    squares = [
        (a - b).square().sum((1, 2, 3))
        for a, b in zip(distance.features(x), described, strict=True)
    ]
    expected = torch.stack(squares).sum(0)
    found = distance.apart(x, described)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)
    theirs = torch.autograd.grad((expected * weights).sum(), (x, y), retain_graph=True)
    ours = torch.autograd.grad((found * weights).sum(), (x, y))
    for mine, wanted in zip(ours, theirs, strict=True):
        assert (mine - wanted).norm() < 1e-9 * wanted.norm()


def test_one_target_serves_a_batch(distance: PerceptualDistance) -> None:
    x, y = pair()
    target = distance.features(y[:1])
    together = distance.apart(x, target)
    alone = torch.cat([distance(image.unsqueeze(0), y[:1]) for image in x])
    torch.testing.assert_close(together, alone)


def test_gradient_is_the_slope(tmp_path: Path) -> None:
    distance = loaded("squeeze", saved(random_state("squeeze"), tmp_path / "t.pth")).double()
    x, y = (image.double() for image in pair(40, batch=1))
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).double()
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(distance(x, y).sum(), x)
    step = 1e-6
    slope = (distance(x + step * direction, y) - distance(x - step * direction, y)) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(float(slope.detach()), rel=1e-4)


def test_gradient_is_finite_where_features_are_zero(tmp_path: Path) -> None:
    state = {key: torch.zeros_like(value) for key, value in random_state("alex").items()}
    distance = loaded("alex", saved(state, tmp_path / "t.pth"))
    x, y = pair(batch=1)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(distance(x, y).sum(), x)
    assert bool(gradient.isfinite().all())


def test_large_images_are_area_averaged(distance: PerceptualDistance) -> None:
    x, y = pair(512, batch=1)
    small = [image.unflatten(3, (256, 2)).unflatten(2, (256, 2)).mean((3, 5)) for image in (x, y)]
    torch.testing.assert_close(distance(x, y), distance(*small), rtol=1e-4, atol=1e-6)


def test_sizes_that_do_not_divide_are_taken(distance: PerceptualDistance) -> None:
    x, y = pair(300, 451, batch=1)
    assert distance.features(x)[0].shape[2:] == distance.features(x[..., :170, :256])[0].shape[2:]
    assert bool(distance(x, y).isfinite().all())


def test_smallest_size_works_and_the_next_is_refused(distance: PerceptualDistance) -> None:
    smallest = distance.smallest
    assert bool(distance(*pair(smallest)).isfinite().all())
    with pytest.raises(ShapeError, match=f"{smallest} pixels or more"):
        distance(*pair(smallest - 1, smallest))


def test_grey_channels_are_refused(distance: PerceptualDistance) -> None:
    with pytest.raises(ShapeError, match=r"\(batch, 3, height, width\)"):
        distance.features(torch.zeros(1, 1, 64, 64))


def test_nothing_is_trainable(distance: PerceptualDistance) -> None:
    assert not any(parameter.requires_grad for parameter in distance.parameters())


# ------------------------------------------------------------------------------ finding weights


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
    with pytest.raises(ArgumentError, match="one or the other"):
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
        (lambda state: [1, 2], "no named tensors"),
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
