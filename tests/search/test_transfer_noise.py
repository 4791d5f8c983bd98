"""What noise may not be taken for: platforms that order sub-networks alike, measured noisily, and unlike ones."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.measurement.samples import Samples
from hwnas.search.transfer import QualityLabel, SharedRows, analyse
from hwnas.search.transfer.agreement import agreement, undiluted
from hwnas.search.transfer.decision import ALIKE, DIFFERENT, FEW, NOISE, Range, decide, orders
from hwnas.search.transfer.noise import Noise
from hwnas.search.transfer.rank import kendall_taus, rank_correlations

SETTLED = (True, True)


def noise_of(own):
    return Noise(own, np.zeros(own.shape, dtype=np.int64), np.zeros(own.shape[1]))


def pair(rng, *, n=30, spread=0.2, noise=0.1, apart=0.0):
    """Logarithms of latencies spread by ``spread``, the second platform's moved by ``apart``, measured with noise."""
    truth = spread * rng.normal(size=n)
    both = np.column_stack([truth, truth + apart * rng.normal(size=n)])
    own = np.full(both.shape, noise)
    return np.exp(both + own * rng.normal(size=both.shape)), noise_of(own)


def decided(latency, noise, rng, resamples=40):
    found = agreement(latency, noise, rng, resamples)
    return orders(rank_correlations(latency).kendall_tau, found, SETTLED)[0][1]


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3])
def test_platforms_that_are_alike_are_hardly_ever_called_different_however_noisy(noise, rng):
    said = [decided(*pair(rng, noise=noise), rng) for _ in range(50)]
    # Of intervals of 95 %, chance alone keeps one pair in a hundred from overlapping: 3 of 50 have odds of 1 in 70.
    assert said.count(DIFFERENT) <= 2
    assert noise < 0.1 or ALIKE not in said


def test_the_former_rule_called_them_different(rng):
    """The same pairs, by an interval that knows the choice of sub-networks only."""
    taus = [agreement(pair(rng)[0], noise_of(np.zeros((30, 2))), rng, 40).tau.high[0, 1] for _ in range(20)]
    assert sum(high < 0.95 for high in taus) == 20


@pytest.mark.slow
def test_platforms_that_differ_are_called_so_where_there_is_little_noise(rng):
    said = [decided(*pair(rng, noise=0.01, apart=0.15), rng) for _ in range(30)]
    assert said.count(DIFFERENT) >= 29


@pytest.mark.slow
def test_platforms_that_are_alike_are_called_so_where_there_is_little_noise(rng):
    said = [decided(*pair(rng, noise=0.002), rng) for _ in range(30)]
    assert said.count(ALIKE) >= 28
    assert DIFFERENT not in said


# --- few sub-networks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "said"), [(2, FEW), (3, FEW), (5, FEW), (8, FEW), (12, FEW), (20, ALIKE), (50, ALIKE)])
def test_of_a_few_sub_networks_that_are_all_ordered_alike_nothing_follows(n, said, rng):
    """Every resample of them is ordered alike, too, and would call the tau of 1 certain."""
    latency = np.arange(1.0, n + 1)[:, None] * [1.0, 3.0]
    exact = noise_of(np.zeros((n, 2)))
    assert decided(latency, exact, rng) == said
    found = agreement(latency, exact, rng, 40).tau
    # Of so many pairs none is ordered differently with a chance of 2.5 % where in general so many are (Poisson).
    expected = max(-1.0, 1 - 2 * -np.log(0.025) / (n * (n - 1) / 2))
    assert (found.low[0, 1], found.high[0, 1]) == (pytest.approx(expected), 1.0)
    assert (found.low[0, 0], found.high[0, 0]) == (1.0, 1.0)
    turned = agreement(latency ** [1, -1], exact, rng, 40).tau
    assert (turned.low[0, 1], turned.high[0, 1]) == (-1.0, pytest.approx(-expected))


@pytest.mark.parametrize("n", [4, 8, 15])
def test_the_interval_of_a_high_tau_holds_it_however_few_sub_networks_there_are(n, rng):
    true = 0.9
    rho = np.sin(np.pi / 2 * true)  # Greiner's relation
    held = []
    for _ in range(200):
        one, other = rng.normal(size=(2, n))
        latency = np.exp(np.column_stack([one, rho * one + np.sqrt(1 - rho**2) * other]))
        found = agreement(latency, noise_of(np.zeros((n, 2))), rng, 40).tau
        held.append(found.low[0, 1] <= true <= found.high[0, 1])
    assert np.mean(held) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("clustered", [0.0, 0.6])
@pytest.mark.parametrize(("spread", "noise"), [(0.2, 0.1), (0.2, 0.02), (0.05, 0.05)])
def test_the_ceiling_is_about_the_tau_that_two_runs_really_have(clustered, spread, noise, rng):
    real, found = [], []
    own = np.full((40, 2), noise)
    for _ in range(30):
        truth = spread * rng.normal(size=40)
        truth[: int(40 * clustered)] *= 0.05  # many that noise cannot tell apart, as on a front
        runs = np.exp(truth[:, None] + noise * rng.normal(size=(40, 2)))
        real.append(stats.kendalltau(*runs.T).statistic)
        found.append(agreement(runs, noise_of(own), rng, 0).ceiling[0, 1])
    # Where noise is as large as the spread the extrapolation stays below: nothing is called different for that.
    assert np.mean(real) - 0.12 < np.mean(found) < np.mean(real) + 0.04


def test_exact_platforms_have_a_ceiling_of_1(rng):
    latency = rng.random((30, 3))
    found = agreement(latency, noise_of(np.zeros((30, 3))), rng, 20)
    assert (found.ceiling == 1).all()
    assert (found.ceiling_bounds.low == 1).all()
    assert (found.ceiling_bounds.high == 1).all()


def test_noise_widens_the_interval_of_tau_and_does_not_shift_it(rng):
    latency, noise = pair(rng, noise=0.05)
    exact, noisy = (
        agreement(latency, one, np.random.default_rng(0), 300).tau for one in (noise_of(0 * noise.own), noise)
    )
    assert noisy.high[0, 1] - noisy.low[0, 1] > exact.high[0, 1] - exact.low[0, 1]
    assert noisy.low[0, 1] < rank_correlations(latency).kendall_tau[0, 1] < noisy.high[0, 1]


@pytest.mark.parametrize(
    ("tau", "ceiling", "settled", "said"),
    [
        ((0.97, 0.94, 0.99), (1, 1, 1), True, ALIKE),
        ((0.93, 0.90, 0.96), (0.94, 0.92, 0.96), True, ALIKE),  # as alike as two runs of one
        ((0.96, 0.85, 0.99), (1, 1, 1), True, FEW),
        ((0.6, 0.5, 0.7), (1, 1, 1), True, DIFFERENT),
        ((0.6, 0.5, 0.7), (0.62, 0.5, 0.75), True, NOISE),
        ((0.6, 0.5, 0.7), (0.8, 0.75, 0.85), True, DIFFERENT),
        (
            (0.6, 0.5, 0.7),
            (0.98, 0.97, 0.99),
            False,
            NOISE,
        ),  # most have not converged: their intervals promise too much
        ((0.93, 0.86, 0.97), (1, 1, 1), True, FEW),
        ((0.1, -0.2, 0.3), (0.0, 0.0, 0.2), True, NOISE),
        ((0.5, 0.46, 0.6), (0.35, 0.2, 0.45), True, NOISE),  # more alike than noise allows, which is chance
    ],
)
def test_what_is_decided(tau, ceiling, settled, said):
    assert decide(Range(*tau), Range(*ceiling), settled=settled) == said


def test_undiluted_takes_out_what_noise_takes_away():
    assert undiluted(0.8, 1.0) == pytest.approx(0.8)
    assert undiluted(0.7, 0.7) == pytest.approx(1.0)
    assert undiluted(0.9, 0.7) == pytest.approx(1.0)
    assert np.isnan(undiluted(0.5, 0.0))


@pytest.mark.parametrize("n", [3, 7, 250])
def test_taus_of_many_columns_are_scipys(n, rng):
    a, b = np.round(rng.normal(size=(2, 5, n)), 1)  # with ties
    a[1, 0] = np.nan
    expected = [stats.kendalltau(x, y, nan_policy="omit").statistic for x, y in zip(a, b, strict=True)]
    assert kendall_taus(a, b) == pytest.approx(np.array(expected), nan_ok=True)


# --- the noise of measurements -------------------------------------------------------------------------------------


def measurement(rng, *, noise, halves=0.0, anchor=1.0, key="0", n=400):
    """A network of 1 ms: its samples scatter by ``noise``, and its odd rounds are slower by ``halves``."""
    rounds = np.arange(n // 4)
    seconds = 1e-3 * np.exp(noise * rng.normal(size=n)) * np.where(np.repeat(rounds, 4) % 2, np.exp(halves), 1.0)
    wall = (1e9 * seconds).astype(np.int64)
    zeros, visits = np.zeros(n, dtype=np.int64), np.zeros(n // 4, dtype=np.int64)
    samples = Samples(
        zeros, wall, wall, zeros, zeros + 1, np.repeat(rounds, 4), rounds, visits, visits, visits,
        np.empty((n, 0), dtype=np.int64),
    )  # fmt: skip
    made = Measurement(
        "net", {}, key, "device:x", "ok", "", "median", 1e-3, 1, 1, samples=samples, protocol=profile("quiet"),
        context={"anchors": {"a": 2e-3 * anchor, "b": 5e-3 * anchor}},
    )  # fmt: skip
    assert made.summary is not None
    return replace(made, latency_s=made.summary.value)


def test_the_noise_of_a_value_is_that_of_its_samples(rng):
    found = Noise.of_measurements([[measurement(rng, noise=0.02) for _ in range(20)]])
    # The median of 400 samples of standard deviation s has sqrt(pi / 2) s / 20.
    assert np.median(found.own) == pytest.approx(np.sqrt(np.pi / 2) * 0.02 / 20, rel=0.35)
    assert found.shared.tolist() == [0]
    assert not found.exact


def test_halves_that_contradict_the_intervals_widen_them(rng):
    calm = [measurement(rng, noise=0.01) for _ in range(20)]
    torn = [measurement(rng, noise=0.01, halves=0.06 * rng.normal()) for _ in range(20)]
    quiet, wide = (Noise.of_measurements([one]).run_to_run[0] for one in (calm, torn))
    assert wide > 3 * quiet
    # Halves that differ by 6 % (one standard deviation) are those of values that are known to 3 %.
    assert wide == pytest.approx(0.6745 * np.sqrt(2) * 0.03, rel=0.5)


def test_what_anchors_differ_by_from_batch_to_batch_is_noise_that_a_batch_shares(rng):
    one = [measurement(rng, noise=0.001, anchor=1.0) for _ in range(5)]
    other = [measurement(rng, noise=0.001, anchor=1.1) for _ in range(5)]
    found = Noise.of_measurements([[*one, *other]])
    assert found.batch[:, 0].tolist() == [0] * 5 + [1] * 5
    assert found.shared[0] == pytest.approx(np.log(1.1) / np.sqrt(2), rel=1e-6)
    errors = found.errors(500, rng)[:, :, 0]
    assert np.corrcoef(errors[:, 0], errors[:, 1])[0, 1] > 0.95
    assert abs(np.corrcoef(errors[:, 0], errors[:, 9])[0, 1]) < 0.2


def test_no_value_is_known_much_better_than_the_others_of_its_platform(rng):
    lucky = measurement(rng, noise=0.0)
    found = Noise.of_measurements([[lucky, *(measurement(rng, noise=0.02) for _ in range(9))]]).own[:, 0]
    assert found[0] == pytest.approx(np.median(found) / 2, rel=0.2)


def test_tables_and_failures_have_no_noise_and_values_without_an_interval_have_much(rng):
    table = Measurement("net", {}, "0", "table:x", "ok", "", "table", 1e-3, 1, 1)
    failed = Measurement("net", {}, "0", "device:x", "failed", "died", "median", np.nan, 1, 1)
    few = measurement(rng, noise=0.01, n=4)
    calm = [measurement(rng, noise=0.01) for _ in range(4)]
    found = Noise.of_measurements([[table] * 6, [failed, few, *calm]])
    assert (found.own[:, 0] == 0).all()
    assert found.own[0, 1] == 0
    assert found.own[1, 1] > 0.1 > found.own[2, 1] > 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("error", [0.0, 0.2])
def test_hardly_any_sub_networks_make_no_warnings_and_no_claims(n, error, rng):
    latency = 1e-3 * np.exp(rng.normal(size=(n, 2)))
    few = SharedRows(
        "net", ("device:x", "device:y"), tuple(map(str, range(n))), ({"d": [1]},) * n, 70 + rng.random(n),
        QualityLabel("table", "top1", "%"), latency, latency * np.exp(-error), latency * np.exp(error),
        (("ok", "ok"),) * n, (("", ""),) * n, np.ones((n, 2), dtype=bool),
    )  # fmt: skip
    said = analyse(few, rng, resamples=20).words()
    assert not any("differently" in one for one in said)


def test_a_platform_on_which_everything_failed_is_not_known(rows):
    latency = rows.latency_s.copy()
    latency[:, 1] = np.nan
    own = rows.noise.own * [[1, 0]]
    dead = replace(
        rows, latency_s=latency, low_s=latency, high_s=latency, noise=noise_of(own),
        status=(("ok", "failed"),) * 40, reasons=(("", "died"),) * 40,
    )  # fmt: skip
    found = analyse(dead, np.random.default_rng(0), resamples=20)
    assert found.orders[0][1] == "unknown"
    assert found.words()[0] == "No pair of platforms shares enough measured sub-networks to compare their orders."
    assert "40 of 80 measurements failed: died." in found.words()
    assert found.to_json()["noise"]["run_to_run"][1] == 0


# --- the report ----------------------------------------------------------------------------------------------------


@pytest.fixture
def rows(rng):
    """Forty sub-networks on two platforms that order them alike, each value known to a fifth."""
    truth = np.exp(0.3 * rng.normal(size=40))
    latency = truth[:, None] * np.exp(0.2 * rng.normal(size=(40, 2))) / 1e3
    quality = 70 + 3 * np.log(truth) + 0.2 * rng.normal(size=40)
    own = np.full((40, 2), 0.2)
    fronts = np.zeros((40, 2), dtype=bool)
    for j in range(2):
        order = np.argsort(latency[:, j])
        fronts[order, j] = quality[order] >= np.maximum.accumulate(quality[order])
    return SharedRows(
        supernet="net",
        platforms=("device:x", "device:y"),
        keys=tuple(f"k{i}" for i in range(40)),
        configs=tuple({"d": [i]} for i in range(40)),
        quality=quality,
        label=QualityLabel("table", "top1", "%"),
        latency_s=latency,
        low_s=latency * np.exp(-0.4),
        high_s=latency * np.exp(0.4),
        status=(("unstable", "ok"),) * 12 + (("ok", "ok"),) * 28,
        reasons=(("it changed its speed", ""),) * 12 + (("", ""),) * 28,
        fronts=fronts,
        noise=noise_of(own),
    )


def test_a_noisy_report_says_that_it_is_too_noisy_and_by_how_much(rows):
    found = analyse(rows, np.random.default_rng(0), resamples=60)
    first, *others = found.words()
    assert first.startswith(
        "Too noisy to tell whether the platforms order sub-networks alike: these 80 measurements, 12 of"
    )
    assert "differ by 21.0 % from run to run" in first
    assert "--effort thorough" in first
    assert not any("you lose" in one or "keeps" in one or "differently" in one for one in others)


def test_the_json_has_the_ceiling_beside_the_tau_and_what_noise_leaves_of_losses(rows):
    found = analyse(rows, np.random.default_rng(0), resamples=60).to_json()
    low, tau, high = (found["ceiling"][name][0][1] for name in ("low", "kendall_tau", "high"))
    assert 0 < low < tau < high < 1
    assert found["orders"] == [["alike", "noise"], ["noise", "alike"]]
    assert found["groups"] == [[0], [1]]
    assert found["noise"]["unstable"] == [12, 0]
    assert found["noise"]["measured"] == [40, 40]
    assert found["noise"]["run_to_run"] == pytest.approx([0.21, 0.21], abs=0.01)
    spans = [one["lost_interval"] for one in found["regret"] if one["lost_interval"]]
    assert spans
    assert any(low < 0 < high for low, high in spans)


def test_what_was_measured_beside_other_programs_decides_nothing(rows):
    latency = rows.latency_s.copy()
    latency[:, 1] = latency[::-1, 0]
    exact = replace(rows, latency_s=latency, noise=noise_of(np.full((40, 2), 1e-4)), effort="thorough")
    loaded = replace(exact, loaded=np.column_stack([np.ones(40, dtype=bool), np.zeros(40, dtype=bool)]))
    first, *others = analyse(loaded, np.random.default_rng(0), resamples=40).words()
    assert first.startswith("Too noisy to tell")
    assert ", 12 of them unstable, 40 beside other programs, differ by" in first
    assert first.endswith("quiet the machine or give it more time (--cap SECONDS).")
    assert not any("you lose" in one or "keeps" in one for one in others)
    assert "differently" in analyse(exact, np.random.default_rng(0), resamples=40).words()[0]


def test_where_most_have_not_converged_nothing_is_said_to_be_lost(rows):
    latency = rows.latency_s.copy()
    latency[:, 1] = latency[::-1, 0]
    exact = replace(rows, latency_s=latency, noise=noise_of(np.full((40, 2), 1e-4)))
    said = analyse(exact, np.random.default_rng(0), resamples=40).words()
    assert "differently" in said[0]
    assert any("you lose" in one for one in said)
    torn = replace(exact, status=(("unstable", "unstable"),) * 30 + (("ok", "ok"),) * 10)
    said = analyse(torn, np.random.default_rng(0), resamples=40).words()
    assert said[0].startswith("Too noisy to tell")
    assert not any("you lose" in one or "keeps" in one for one in said)
    same = replace(torn, fronts=np.column_stack([torn.fronts[:, 0]] * 2))
    assert not any("keeps" in one for one in analyse(same, np.random.default_rng(0), resamples=40).words())
