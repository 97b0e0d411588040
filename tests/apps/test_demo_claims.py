"""The sentences of the demo say what its table says, whatever that is."""

import re

import jax
import numpy as np
import pytest

from spectral_tf.apps.demo import (
    RIVALS,
    DemoConfig,
    constructed_sentence,
    trained_sentences,
    training_start,
)
from spectral_tf.apps.report.claims import Comparison, compared, verdict
from spectral_tf.apps.report.tables import Entry
from spectral_tf.config import ConfigError
from spectral_tf.evaluation import Report, Scores, Statistic


def difference(cosine, angle, widths=0.001, width=0.1, against="orthogonal iteration"):
    """A made-up comparison; the angle and its width are in degrees."""
    return Comparison(
        instances="made up",
        method="trained, 8 products",
        against=f"{against}, 8 products",
        cosine=tuple(Statistic(mean=mean, half_width=widths) for mean in cosine),
        angle=Statistic(mean=np.deg2rad(angle), half_width=np.deg2rad(width)),
    )


ALL_BETTER = [difference([0.02, 0.1, 0.34], -2.0), difference([0.03, 0.1, 0.2], -9.5)]


@pytest.mark.parametrize(
    ("made_up", "ranks", "spans"),
    [
        (
            ALL_BETTER,
            "|cos| is higher on 6 of 6 ranks (by 0.0200 to 0.3400)",
            "smaller on 2 of 2 sets (by 2.00 to 9.50 degrees)",
        ),
        (
            [difference([0.02, -0.05, 0.34], -2.0)],
            "|cos| is higher on 2 of 3 ranks (by 0.0200 to 0.3400), lower on 1 (by "
            "0.0500)",
            "smaller on 1 of 1 set (by 2.00 degrees)",
        ),
        (
            [*ALL_BETTER, difference([0.02, 0.1, 0.34], 3.0)],
            "|cos| is higher on 9 of 9 ranks (by 0.0200 to 0.3400)",
            "smaller on 2 of 3 sets (by 2.00 to 9.50 degrees), larger on 1 (by 3.00 "
            "degrees)",
        ),
        (
            [difference([0.02, 0.0005, -0.0008], -0.05)],
            "|cos| is higher on 1 of 3 ranks (by 0.0200), undecided on 2, which have 0 "
            "in the 95% interval (at most -0.0008 ± 0.0010)",
            "smaller on 0 of 1 set, undecided on 1, which has 0 in the 95% interval "
            "(at most +0.05 ± 0.10 degrees)",
        ),
        (
            [difference([0.0], 0.0, widths=0.0, width=0.0)],
            "higher on 0 of 1 rank, undecided on 1, which has 0",
            "smaller on 0 of 1 set, undecided on 1, which has 0",
        ),
        (
            [difference([np.nan], 1.0, widths=np.inf)],
            "higher on 0 of 1 rank, undecided on 1",
            "smaller on 0 of 1 set, larger on 1 (by 1.00 degrees)",
        ),
    ],
    ids=(
        "all better",
        "a rank worse",
        "an angle worse",
        "noise",
        "equal",
        "not a number",
    ),
)
def test_the_verdict_counts_what_it_is_given(made_up, ranks, spans):
    text = verdict(made_up)
    first, second = text.split("; the largest principal angle is ")
    assert ranks in first
    assert spans in second


def test_every_difference_is_counted_once():
    rng = np.random.default_rng(0)
    for _ in range(50):
        gains, angles = rng.normal(0, 0.002, (4, 3)), rng.normal(0, 0.2, 4)
        text = verdict([difference(*pair) for pair in zip(gains, angles, strict=True)])
        for clause, total in zip(text.split(";"), (12, 4), strict=True):
            rest = re.findall(r"(?:lower|larger|undecided) on (\d+)", clause)
            better, all_ = re.findall(r"(?:higher|smaller) on (\d+) of (\d+)", clause)[
                0
            ]
            assert int(all_) == total
            assert int(better) + sum(map(int, rest)) == total


def test_differences_are_those_of_pairs():
    """Instances differ far more than the methods on each of them."""
    rng = np.random.default_rng(0)
    hard = rng.uniform(0.2, 0.9, (40, 3))
    ours = Scores(hard + 0.01, hard, hard[:, 0])
    its = Scores(hard, hard, hard[:, 0] + rng.normal(0.02, 0.001, 40))
    found = compared("made up", ("a", ours), ("b", its))
    for rank in found.cosine:
        assert rank.mean == pytest.approx(0.01)
        assert rank.half_width < 1e-9
    assert found.angle.mean == pytest.approx(-0.02, abs=1e-3)
    assert found.angle.half_width < 1e-3
    assert "higher on 3 of 3 ranks (by 0.0100)" in verdict([found])
    few = Scores(hard[:30], hard[:30], hard[:30, 0])
    with pytest.raises(ConfigError, match="score both on the same instances"):
        compared("made up", ("a", ours), ("b", few))


def sentences(steps):
    config = DemoConfig()
    sizes = zip((0.05, 0.2, -0.1), (-1.0, 5.0, 2.0), RIVALS, strict=True)
    made_up = [
        difference([size] * 3, angle, against=rival) for size, angle, rival in sizes
    ]
    return trained_sentences(config, made_up, steps)


def test_each_rival_has_a_sentence_of_its_own():
    start, classic, ritz = sentences(steps=DemoConfig().steps)
    assert "Training, 400 steps" in start
    assert "of 16 and 48 columns: beside its untrained start, |cos| is higher" in start
    assert "higher on 3 of 3 ranks (by 0.0500)" in start
    assert "higher on 3 of 3 ranks (by 0.2000)" in classic
    assert "smaller on 0 of 1 set, larger on 1 (by 5.00 degrees)" in classic
    assert "higher on 0 of 3 ranks, lower on 3 (by 0.1000)" in ritz


def test_a_run_that_the_clock_cut_short_says_so():
    said = "the limit of 900 s left no time for 300 more"
    assert said in sentences(steps=100)[0]
    assert "limit" not in sentences(steps=400)[0]


def test_the_constructed_networks_distance_is_the_largest():
    exact = Statistic(mean=0.5, half_width=0.0)
    off = [Statistic(mean=0.5 + gap, half_width=0.0) for gap in (0.001, -0.02)]
    reports = [
        Report(num_instances=2, cosine=ranks, eigenvalue_error=ranks, angle=exact)
        for ranks in (tuple(off), (exact, exact))
    ]
    methods = ("constructed, 30 products", "orthogonal iteration, 30 products")
    entries = [
        Entry(instances="made up", method=method, report=report)
        for method, report in zip(methods, reports, strict=True)
    ]
    for order in (entries, [*entries, entries[1], entries[1]]):
        assert "within 0.02 of orthogonal" in constructed_sentence(DemoConfig(), order)


def test_steps_say_how_long_and_a_seed_where_from():
    runs = [training_start(DemoConfig(steps=7)), training_start(DemoConfig(seed=1))]
    assert [train.num_steps for train, _ in runs] == [7, 400]
    assert all(train.model == start.config for train, start in runs)
    pairs = zip(*(jax.tree.leaves(start.params) for _, start in runs), strict=True)
    differs = [not np.array_equal(mine, its) for mine, its in pairs]
    assert any(differs)
    assert not all(differs)
