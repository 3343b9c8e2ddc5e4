"""Measurements in physical units, a detector of unknown gain and offset, weights and covariances.

The data are made by formulas of their own, in float64, and compared with NumPy and SciPy.
"""

import math
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

import invprob
from invprob.errors import ArgumentError, InvprobError, MeasurementWarning
from invprob.losses import Calibrated, DataMisfit, Detector, Estimate, estimate
from invprob.measurements import Measurements
from invprob.operators import (
    CT,
    AreaDownsample,
    BeerLambert,
    DenseGaussian,
    Gamma,
    GaussianBlur,
    GaussianNoise,
    Identity,
    Mask,
    MulticoilMRI,
    PartialCirculant,
    PhaseRetrieval,
    PoissonNoise,
    Quantise,
    SubsampledDCT,
    UniformNoise,
    Weigh,
    Whiten,
    each,
    hold_out,
)
from invprob.priors.pixels import Pixels
from invprob.run.samples import load_sample
from invprob.solver.optimisers import Adam
from invprob.solver.split import Split
from invprob.solver.stopping import Misfit
from invprob.testing import dense
from invprob.units import Units


def least_squares(rows: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The solution of least squares, by SciPy."""
    found = scipy.linalg.lstsq(rows, target)
    assert found is not None
    solution: np.ndarray = found[0]
    return solution


SHAPE = (3, 16, 16)
LINEAR: list[tuple[type[invprob.LinearOperator], dict[str, Any]]] = [
    (Identity, {}),
    (GaussianBlur, {"sigma": 1.0}),
    (AreaDownsample, {"factor": 2}),
    (CT, {"views": 12}),
    (PartialCirculant, {"ratio": 0.3, "seed": 3}),
    (SubsampledDCT, {"ratio": 0.3, "seed": 3}),
    (MulticoilMRI, {"coils": 3}),
]


def picture(size: int = 16, batch: int = 1) -> Tensor:
    """x in [-1, 1], float64."""
    names = ("face", "cat", "retina")[:batch]
    return torch.cat([load_sample(name, size=size) for name in names]).double()


def noise_of(seed: int, shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sampled(kind: type[invprob.LinearOperator], options: dict[str, Any]) -> tuple[Any, Any]:
    """The operator, and its matrix in float64."""
    operator = kind(SHAPE, **options)
    matrix = dense(kind(SHAPE, **options).double()).numpy()
    return operator, np.asarray(matrix, np.float64)


# ---------------------------------------------------------------------------------- known units


@pytest.mark.parametrize(("kind", "options"), LINEAR, ids=lambda value: str(value)[:40])
def test_linear_measurements_of_a_physical_image_are_those_of_one_in_the_range(
    kind: type[invprob.LinearOperator], options: dict[str, Any]
) -> None:
    operator, matrix = sampled(kind, options)
    x = picture()
    attenuation = (x + 1) / 2 * (0.7 - 0.2) + 0.2
    seen = 2.5 * (matrix @ attenuation.flatten().numpy()) - 0.3
    y = seen.reshape(operator.measurement_shape)
    taken = Measurements.from_array(y, operator, image_range=(0.2, 0.7), gain=2.5, offset=-0.3)
    expected = (matrix @ x.flatten().numpy()).reshape(y.shape)
    size = max(np.abs(expected).max(), np.abs(y).max())
    assert np.abs(taken.values[0].numpy() - expected).max() <= 2e-7 * size
    assert taken.fingerprint == operator.fingerprint()
    assert taken.physical(x.float()).double() == pytest.approx(attenuation, abs=1e-6)


def test_the_restored_image_is_that_of_measurements_in_the_range() -> None:
    operator = CT((3, 32, 32), views=20)
    x = picture(32)
    usual = Measurements.from_array(operator.double()(x), CT((3, 32, 32), views=20))
    y = operator((x + 1) * 0.1)
    physical = Measurements.from_array(y, CT((3, 32, 32), views=20), image_range=(0, 0.2))
    first = invprob.restore(usual, method="tv", steps=30).image
    second = invprob.restore(physical, method="tv", steps=30).image
    assert physical.physical(second) == pytest.approx((first + 1) * 0.1, abs=1e-5)


def test_an_operator_that_is_not_linear_measures_the_physical_image() -> None:
    operator = BeerLambert((1, 8, 8))
    x = picture(8)[:, :1]
    y = 3 * (2 * np.exp(-(x.numpy() + 1) / 2 * 0.05) - 1) + 0.1
    taken = Measurements.from_array(y, operator, image_range=(0, 0.05), gain=3.0, offset=0.1)
    chain = taken.operator()
    assert chain.names() == ("beer-lambert", "image-range")
    assert taken.values.double() == pytest.approx(chain(x), abs=1e-6)


def test_a_picture_behind_a_tone_curve_is_brought_to_the_range() -> None:
    operator = Quantise(SHAPE, levels=256) @ Gamma(SHAPE, exponent=0.5) @ GaussianBlur(SHAPE, 1.0)
    x = picture()
    y = (operator.double()(x) + 1) * 127.5
    chain = Quantise(SHAPE, levels=256) @ Gamma(SHAPE, exponent=0.5) @ GaussianBlur(SHAPE, 1.0)
    taken = Measurements.from_array(y, chain, image_range=(0, 255))
    assert taken.values.double() == pytest.approx(operator(x), abs=1e-6)
    assert taken.fingerprint == chain.fingerprint()


def test_hidden_numbers_play_no_part() -> None:
    seen = np.ones((16, 16))
    seen[:, 8:] = 0
    y = (picture() + 1) * 127.5
    y[..., 8:] = 1e9
    taken = Measurements.from_array(y, Mask(SHAPE, mask=seen), image_range=(0, 255))
    assert bool((taken.values[..., 8:] == 0).all())
    assert taken.values[..., :8].double() == pytest.approx(picture()[..., :8], abs=1e-6)


def test_images_with_operators_of_their_own() -> None:
    parts = [PartialCirculant(SHAPE, ratio=0.3, seed=seed) for seed in (1, 2)]
    x = picture(batch=2)
    own = each([PartialCirculant(SHAPE, ratio=0.3, seed=seed).double() for seed in (1, 2)])
    taken = Measurements.from_array(own((x + 1) * 127.5), each(parts), image_range=(0, 255))
    assert taken.values.double() == pytest.approx(own(x), abs=1e-4)


def test_the_noise_is_brought_to_the_same_units() -> None:
    y = (picture() + 1) * 127.5
    for noise, expected in (
        (GaussianNoise(sigma=10.0), GaussianNoise(sigma=10 / 127.5 / 2)),
        (UniformNoise(width=0.5), UniformNoise(width=0.5 / 127.5 / 2)),
        (PoissonNoise(photons=50.0), PoissonNoise(photons=50.0)),  # of a white pixel, as before
    ):
        taken = Measurements.from_array(
            2 * y, Identity(SHAPE), noise=noise, image_range=(0, 255), gain=2.0
        )
        found = taken.noise()
        assert found is not None and found.spec() == expected.spec()


def test_the_units_survive_a_file(tmp_path: Any) -> None:
    y = 3 * (picture() + 1) * 127.5
    taken = Measurements.from_array(
        y, Identity(SHAPE), image_range=(0, 255), gain="auto", record={"names": ["a"]}
    )
    taken.save(tmp_path / "y.safetensors")
    loaded = Measurements.load(tmp_path / "y.safetensors")
    assert loaded.units == taken.units and loaded.units.unknown == ("gain",)
    assert loaded.record["names"] == ["a"]
    plain = Measurements.from_array(picture(), Identity(SHAPE))
    assert plain.record == {} and plain.units == Units()


# ------------------------------------------------------------------------------ weights, covariance


def test_weighted_least_squares_against_scipy() -> None:
    operator = DenseGaussian((1, 4, 4), ratio=1.0, seed=1)
    rng = np.random.default_rng(0)
    y, weights = rng.normal(size=16), rng.uniform(0.5, 4, 16)
    weights[3] = 0
    taken = Measurements.from_array(y, operator, weights=weights)
    found = taken.operator()
    assert isinstance(found, invprob.LinearOperator) and found.measured == 15
    image = found.double().pinv(taken.values.double(), iterations=2000, tolerance=1e-12)
    full = np.asarray(dense(DenseGaussian((1, 4, 4), ratio=1.0, seed=1).double()), np.float64)
    root = np.sqrt(weights)
    expected = least_squares(root[:, None] * full, root * y)
    assert image.flatten().numpy() == pytest.approx(expected, abs=1e-5)


def test_overdetermined_weighted_least_squares() -> None:
    operator = DenseGaussian((1, 2, 2), ratio=1.0, seed=2)
    matrix = np.asarray(dense(DenseGaussian((1, 2, 2), ratio=1.0, seed=2).double()), np.float64)
    stacked = invprob.operators.stack([operator, Identity((1, 2, 2))])
    both = np.vstack([matrix, np.eye(4)])
    rng = np.random.default_rng(1)
    y, weights = rng.normal(size=8), rng.uniform(0.1, 5, 8)
    taken = Measurements.from_array(y, stacked, weights=weights)
    found = taken.operator()
    assert isinstance(found, invprob.LinearOperator)
    image = found.double().pinv(taken.values.double(), iterations=500, tolerance=1e-12)
    root = np.sqrt(weights)
    expected = least_squares(root[:, None] * both, root * y)
    assert image.flatten().numpy() == pytest.approx(expected, abs=1e-6)


def test_one_weight_for_each_view() -> None:
    operator = CT((1, 8, 8), views=5)
    y = operator(picture(8)[:, :1].float())
    weights = np.array([1.0, 2.0, 3.0, 4.0, 0.0])
    taken = Measurements.from_array(y, operator, noise=GaussianNoise(sigma=0.1), weights=weights)
    outer = taken.operator().leaves()[0]
    assert isinstance(outer, Weigh)
    expected = np.broadcast_to(np.sqrt(weights / weights.mean())[:, None], y.shape[1:])
    assert outer.weights.numpy() == pytest.approx(expected, rel=1e-6)
    noise = taken.noise()
    assert isinstance(noise, GaussianNoise)
    assert noise.sigma == pytest.approx(0.1 / math.sqrt(weights.mean()))


@pytest.mark.parametrize("complex_", [False, True])
def test_whitened_noise_is_white(complex_: bool) -> None:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(4, 4)) + (1j * rng.normal(size=(4, 4)) if complex_ else 0)
    covariance = mixing @ mixing.conj().T
    white = rng.normal(size=(4, 40000)) + (1j * rng.normal(size=(4, 40000)) if complex_ else 0)
    if complex_:
        white /= math.sqrt(2)  # E |n|² = 1
    noise = mixing @ white
    if complex_:
        noise = np.stack([noise.real, noise.imag], -1)
    operator = Identity(noise.shape)
    taken = Measurements.from_array(noise, operator, covariance=covariance)
    found = taken.noise()
    assert isinstance(found, GaussianNoise)
    values = taken.values[0].numpy() / found.sigma
    rows = values.reshape(4, -1) if not complex_ else values.transpose(0, 2, 1).reshape(8, -1)
    assert np.cov(rows) == pytest.approx(np.eye(len(rows)), abs=0.03)


def test_whitening_is_the_generalised_least_squares_of_scipy() -> None:
    """Of coils with a complex covariance: min (A x - y)ᴴ C⁻¹ (A x - y)."""
    shape = (1, 8, 8)
    operator = MulticoilMRI(shape, coils=3, acceleration=2.0)
    matrix = np.asarray(dense(MulticoilMRI(shape, coils=3, acceleration=2.0).double()), np.float64)
    complex_matrix = matrix.reshape(*operator.measurement_shape, -1)
    complex_matrix = complex_matrix[..., 0, :] + 1j * complex_matrix[..., 1, :]
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3)) + 3 * np.eye(3)
    covariance = mixing @ mixing.conj().T
    y = rng.normal(size=operator.measurement_shape)
    taken = Measurements.from_array(y, operator, covariance=covariance)
    found = taken.operator()
    assert isinstance(found, invprob.LinearOperator)
    image = found.double().pinv(taken.values.double(), iterations=5000, tolerance=1e-13)
    inverse = np.linalg.inv(np.linalg.cholesky(covariance))
    rows = np.tensordot(inverse, complex_matrix, 1).reshape(-1, 64)
    target = np.tensordot(inverse, y[..., 0] + 1j * y[..., 1], 1).reshape(-1)
    both = np.vstack([rows.real, rows.imag]), np.concatenate([target.real, target.imag])
    expected = least_squares(*both)
    assert image.flatten().numpy() == pytest.approx(expected, abs=1e-4 * np.abs(expected).max())


# --------------------------------------------------------------------- unknown gain and offset


@pytest.mark.parametrize("weigh", [False, True])
@pytest.mark.parametrize("unknown", [("gain",), ("offset",), ("gain", "offset")])
def test_gain_and_offset_are_those_of_numpy(unknown: tuple[str, ...], weigh: bool) -> None:
    matrix = np.asarray(dense(CT((3, 8, 8), views=5).double()), np.float64)
    rng = np.random.default_rng(0)
    x = picture(8, batch=2)
    u = (x.numpy() + 1) / 2 * 0.5 + 0.1
    p = u.reshape(2, -1) @ matrix.T
    weights = rng.uniform(0.2, 3, p.shape[1]) if weigh else None
    y = 1.3 * p + 0.2 + 0.01 * rng.normal(size=p.shape)
    shape = CT((3, 8, 8), views=5).measurement_shape
    taken = Measurements.from_array(
        y.reshape(2, *shape),
        CT((3, 8, 8), views=5),
        image_range=(0.1, 0.6),
        gain="auto" if "gain" in unknown else 1.3,
        offset="auto" if "offset" in unknown else 0.2,
        weights=None if weights is None else weights.reshape(shape),
    )
    assert taken.units.unknown == unknown
    values = taken.values.double()
    found = estimate(taken.units, values, taken.operator().double(), x)
    root = np.ones(p.shape[1]) if weights is None else np.sqrt(weights)
    columns = {"gain": lambda i: p[i], "offset": lambda i: np.ones(p.shape[1])}
    for i in range(2):
        known = (0 if "gain" in unknown else 1.3 * p[i]) + (0 if "offset" in unknown else 0.2)
        design = np.stack([columns[name](i) for name in unknown], 1) * root[:, None]
        target = (y[i] - known) * root
        best, rss = np.linalg.lstsq(design, target, rcond=None)[:2]
        variance = rss[0] / (len(target) - len(unknown))
        errors = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * variance)
        for name, value, error in zip(unknown, best, errors, strict=True):
            assert getattr(found, name)[i] == pytest.approx(value, rel=1e-4)
            assert getattr(found, f"{name}_error")[i] == pytest.approx(error, rel=1e-3)
    for name in {"gain", "offset"} - set(unknown):
        assert getattr(found, name)[0] == pytest.approx({"gain": 1.3, "offset": 0.2}[name])
        assert getattr(found, f"{name}_error")[0] == 0


def test_a_detector_in_unknown_counts() -> None:
    """Sixteen-bit counts, whose size says nothing of the image."""
    operator = PartialCirculant(SHAPE, ratio=0.5, seed=1)
    x = picture()
    y = 20000 * PartialCirculant(SHAPE, ratio=0.5, seed=1).double()(x) + 3000
    taken = Measurements.from_array(y, operator, gain="auto", offset="auto")
    assert float(taken.values.abs().mean()) < 10
    found = estimate(taken.units, taken.values, taken.operator(), x.float())
    assert float(found.gain) == pytest.approx(20000, rel=1e-4)
    assert float(found.offset) == pytest.approx(3000, rel=1e-3)


def calibration(gain: str | float = "auto") -> tuple[Measurements, Tensor]:
    x = picture(8, batch=2)
    y = 1.2 * CT((3, 8, 8), views=4).double()((x + 1) / 2) + 0.3
    operator = CT((3, 8, 8), views=4)
    limits = (0.0, 1.0)
    known: Any = gain
    return Measurements.from_array(y, operator, image_range=limits, gain=known, offset="auto"), x


def test_the_gradient_through_gain_and_offset() -> None:
    taken, x = calibration()
    operator = taken.operator().double()
    bound = Calibrated(DataMisfit(), taken.units).bind(taken.values.double(), operator)
    start = (0.8 * x + 0.1 * noise_of(0, tuple(x.shape))).requires_grad_()
    assert torch.autograd.gradcheck(lambda image: bound(image, operator(image)), start)
    # For squares g and o need no gradient of their own (envelope theorem).
    detector = Detector(taken.units, taken.values.double(), operator)
    line = detector.line(operator(start.detach()))
    held = detector.seen_by(line, operator(start)) - taken.values.double()
    (expected,) = torch.autograd.grad(held.square().sum() / x[0].numel(), start)
    (found,) = torch.autograd.grad(bound(start, operator(start)).sum(), start)
    assert found == pytest.approx(expected, abs=1e-10)


def test_the_images_of_a_batch_have_detectors_of_their_own() -> None:
    taken, x = calibration()
    values = taken.values.clone()
    values[1] = 0.7 * values[1]
    operator = taken.operator()
    bound = Calibrated(DataMisfit(), taken.units).bind(values, operator)
    together = bound(x.float(), operator(x.float()))
    for i in range(2):
        alone = Calibrated(DataMisfit(), taken.units).bind(values[i : i + 1], operator)
        image = x[i : i + 1].float()
        assert torch.equal(alone(image, operator(image))[0], together[i])
    gains = Detector(taken.units, values, operator).line(operator(x.float())).gain
    assert abs(float(gains[1] / gains[0])) < 0.95


def test_a_gain_never_turns_black_into_white() -> None:
    taken, x = calibration()
    line = Detector(taken.units, taken.values, taken.operator()).line(taken.operator()(-x.float()))
    assert float(line.gain.min()) > 0


def test_a_known_detector_changes_nothing() -> None:
    taken = Measurements.from_array(picture().float(), Identity(SHAPE))
    detector = Detector(taken.units, taken.values, taken.operator())
    prediction = 0.5 * taken.values
    assert detector(prediction) is prediction
    found = estimate(taken.units, taken.values, taken.operator(), taken.values)
    assert (float(found.gain), float(found.offset), float(found.gain_error)) == (1, 0, 0)
    assert isinstance(found, Estimate)


def test_a_solve_finds_the_offset_and_resumes_bit_for_bit() -> None:
    from invprob.callbacks import Callback, Iterate, Stop

    class Interrupt(Callback):
        snapshot: Any = None

        def on_step(self, iterate: Iterate) -> Stop | None:
            if iterate.taken == 20:
                self.snapshot = iterate.snapshot()
                return Stop("enough")
            return None

    taken, x = calibration(gain=1.2)
    prior = Pixels((3, 8, 8))
    operator = taken.operator()
    start = Misfit(taken, operator)(torch.zeros_like(x.float()))
    whole = invprob.solve(taken, operator, prior, optimiser=Adam(0.1), steps=60)
    found = estimate(taken.units, taken.values, operator, whole.image)
    assert found.gain.tolist() == [1.2, 1.2]
    assert float((Misfit(taken, operator)(whole.image) / start).max()) < 0.05
    interrupt = Interrupt()
    invprob.solve(taken, operator, prior, optimiser=Adam(0.1), steps=60, callbacks=[interrupt])
    again = invprob.solve(
        taken, operator, prior, optimiser=Adam(0.1), steps=60, snapshot=interrupt.snapshot
    )
    assert torch.equal(again.image, whole.image)


def test_held_out_measurements_are_judged_by_what_the_others_tell_of_the_detector() -> None:
    taken, x = calibration()
    split = Split.of(taken, taken.operator(), 0.3, seed=1)
    assert split.seen.units == taken.units
    assert float(split.misfit(x.float()).max()) < 1e-8
    worse = split.misfit(0.5 * x.float())  # which is no scaled or shifted physical image
    assert float(worse.min()) > 1e-6


# ------------------------------------------------------------------------------- wrong arguments


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"image_range": (1, 0)}, "image_range"),
        ({"image_range": (0, 1, 2)}, "image_range"),
        ({"image_range": (0, math.nan)}, "image_range"),
        ({"gain": 0.0}, "gain"),
        ({"gain": "unknown"}, "gain"),
        ({"offset": math.inf}, "offset"),
        ({"weights": np.ones(5)}, "weights"),
        ({"weights": -np.ones(SHAPE)}, "weights"),
        ({"weights": np.zeros(SHAPE)}, "weights"),
        ({"weights": np.ones(SHAPE), "covariance": np.eye(3)}, "leave one out"),
        ({"weights": np.ones(SHAPE), "noise": UniformNoise(width=1.0)}, "weights"),
        ({"covariance": np.eye(5)}, "covariance"),
        ({"covariance": np.zeros((3, 3))}, "positive definite"),
        ({"covariance": np.array([[1, 2], [0, 1]])}, "symmetric"),
        ({"covariance": np.eye(3), "noise": GaussianNoise(sigma=1.0)}, "twice"),
    ],
)
def test_wrong_options_are_named_in_one_line(options: dict[str, Any], word: str) -> None:
    with pytest.raises(InvprobError) as error:
        Measurements.from_array(picture(), Identity(SHAPE), **options)
    assert word in str(error.value) and len(str(error.value).splitlines()) == 1


def test_operators_and_noise_that_know_no_other_units() -> None:
    x = picture()
    phase = PhaseRetrieval(SHAPE)
    with pytest.raises(ArgumentError, match="phase-retrieval"):
        Measurements.from_array(255 * phase(x.float()), phase, image_range=(0, 255))
    ranged = invprob.operators.ImageRange(SHAPE, 0.0, 255.0)
    with pytest.raises(ArgumentError, match="twice"):
        Measurements.from_array(ranged(x.float()), ranged, image_range=(0, 255))
    ct = CT(SHAPE, views=4)
    with pytest.raises(ArgumentError, match="noise of pictures"):
        Measurements.from_array(
            ct(x.float()), ct, noise=PoissonNoise(photons=9.0), image_range=(0, 1)
        )


@pytest.mark.parametrize("method", ["tv", "wavelet", "tikhonov", "pinv", "tv-descent", "auto"])
def test_methods_without_a_generator_are_refused_where_the_gain_is_not_known(method: str) -> None:
    taken = Measurements.from_array(picture(128).float(), Identity((3, 128, 128)), gain="auto")
    with pytest.raises(ArgumentError, match="sphinx-adapted"):
        invprob.restore(taken, method=method, steps=1)


@pytest.mark.parametrize("weigh", [False, True])
def test_an_unknown_offset_leaves_linear_methods_their_minimum(weigh: bool) -> None:
    """Tikhonov with a free offset against the normal equations of image and offset together."""
    shape = (1, 8, 8)
    operator = PartialCirculant(shape, ratio=0.6, seed=1)
    matrix = np.asarray(dense(PartialCirculant(shape, ratio=0.6, seed=1).double()), np.float64)
    rng = np.random.default_rng(0)
    x = 0.5 * picture(8)[:, :1].numpy().reshape(-1)
    y = matrix @ x + 3.0 + 0.05 * rng.normal(size=len(matrix))
    weights = rng.uniform(0.5, 2, len(y)) if weigh else np.ones(len(y))
    taken = Measurements.from_array(y, operator, offset="auto", weights=weights if weigh else None)
    smoothness = 0.1
    solution = invprob.restore(
        taken, method="tikhonov", steps=20000, options={"smoothness": smoothness, "tolerance": 1e-7}
    )
    difference = np.eye(8, k=1)[:7] - np.eye(8)[:7]
    down, right = np.kron(difference, np.eye(8)), np.kron(np.eye(8), difference)
    root = np.sqrt(weights / weights.mean())[:, None]
    design = np.vstack(
        [
            np.hstack([root * matrix, root]),
            *[np.hstack([math.sqrt(smoothness) * d, np.zeros((56, 1))]) for d in (down, right)],
        ]
    )
    best = least_squares(design, np.concatenate([root[:, 0] * y, np.zeros(112)]))
    assert np.abs(best[:-1]).max() < 1  # so that the limits of the range play no part
    assert solution.image.flatten().numpy() == pytest.approx(best[:-1], abs=1e-3)
    found = estimate(taken.units, taken.values, taken.operator(), solution.image)
    assert float(found.offset) == pytest.approx(best[-1], abs=1e-3)


def test_a_line_says_where_an_offset_looks_like_a_brighter_image() -> None:
    for operator, expected in (
        (GaussianBlur(SHAPE, sigma=1.0), 1),
        (CT(SHAPE, views=12), 0),
        (PartialCirculant(SHAPE, ratio=0.3, seed=1), 0),
    ):
        y = operator(picture().float())
        taken = Measurements.from_array(y, operator, offset="auto")
        lines = [line for line in taken.units.notes() if "brighter image" in line]
        assert len(lines) == expected


def test_the_pseudo_inverse_needs_the_offset() -> None:
    taken = Measurements.from_array(picture(8).float(), Identity((3, 8, 8)), offset="auto")
    with pytest.raises(ArgumentError, match="offset"):
        invprob.restore(taken, method="pinv")


def test_a_warning_of_other_units_names_the_option() -> None:
    operator = PartialCirculant(SHAPE, ratio=0.5, seed=1)
    y = operator((picture().float() + 1) * 127.5)
    with pytest.warns(MeasurementWarning, match="image_range"):
        Measurements.from_array(y, operator)


def test_weights_and_hold_out_meet() -> None:
    """The offset of a weighed measurement is found behind `hold_out` as well."""
    weights = np.linspace(0.5, 2, 48).reshape(3, 4, 4)
    taken = Measurements.from_array(
        picture(4) + 0.3, Identity((3, 4, 4)), offset="auto", weights=weights
    )
    part = hold_out(taken.operator(), 0.25, 1)
    values = part(torch.zeros(1, 3, 4, 4)) + taken.values * part.observed()
    found = estimate(taken.units, values, part, picture(4).float())
    assert float(found.offset) == pytest.approx(0.3, abs=1e-5)


def test_whiten_along_an_axis() -> None:
    covariance = np.array([[2.0, 0.5], [0.5, 1.0]])
    operator = Whiten((3, 2, 5), covariance, axis=1)
    x = noise_of(1, (1, 3, 2, 5))
    inverse = np.linalg.inv(np.linalg.cholesky(covariance))
    assert operator(x)[0].numpy() == pytest.approx(np.einsum("ij,cjk->cik", inverse, x[0].numpy()))
