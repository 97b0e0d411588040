"""What a learning curve shows, and that nothing lies over anything else."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D

from spectral_tf.apps.report.curves import (
    MOST_POINTS,
    MOST_RUNS,
    RunCurve,
    learning_curve_figure,
)
from spectral_tf.config import DataError


def curve(name="a", calls=40, ranks=3, per_step=16, evaluations=5):
    """A run that learns; its numbers follow from its name."""
    rng = np.random.default_rng(sum(map(ord, name)))
    steps = 25 * np.arange(1, calls + 1)
    loss = 0.5 / np.sqrt(steps / 25) * np.exp(0.1 * rng.normal(size=calls))
    cosine = 1 - np.minimum(loss[:, None] * 0.1 * 1.2 ** np.arange(ranks), 0.9)
    held = np.linspace(0, calls - 1, evaluations).astype(int)
    return RunCurve(
        name=name,
        instances_per_step=per_step,
        steps=steps,
        loss=loss,
        cosine=cosine,
        learning_rate=np.linspace(1e-3, 1e-5, calls),
        grad_norm=10 * loss,
        heldout_steps=steps[held],
        heldout_loss=1.1 * loss[held],
        heldout_cosine=cosine[held] if evaluations else np.zeros((0, 0)),
    )


def ys(line):
    return np.asarray(line.get_ydata())


def drawn_boxes(figure):
    """Boxes in pixels: panels with all their text, legends, each panel's texts."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    boxes = [axis.get_tightbbox(renderer) for axis in figure.axes]
    panels = [box for box in boxes if box is not None]
    legends = [legend.get_window_extent(renderer) for legend in figure.legends]
    texts = []
    for axis in figure.axes:
        shown = [*axis.texts, axis.xaxis.label, axis.yaxis.label]
        for one in (axis.xaxis, axis.yaxis):
            lowest, highest = sorted(one.get_view_interval())
            shown += [
                tick.label1
                for tick in one.get_major_ticks()
                if lowest <= tick.get_loc() <= highest
            ]
        named = [text for text in shown if text.get_text()]
        texts.append([text.get_window_extent(renderer) for text in named])
    return panels, legends, texts


def overlap(one, two):
    """Whether two boxes share more than their edges (half a pixel)."""
    wide = min(one.x1, two.x1) - max(one.x0, two.x0)
    high = min(one.y1, two.y1) - max(one.y0, two.y0)
    return wide > 0.5 and high > 0.5


@pytest.mark.parametrize(
    ("runs", "ranks", "calls"), [(1, 3, 40), (1, 8, 500), (2, 3, 40), (5, 4, 300)]
)
def test_nothing_lies_over_anything_else(runs, ranks, calls):
    names = [f"experiments/a/long/name/of/a/run/number-{i}" for i in range(runs)]
    figure = learning_curve_figure([curve(name, calls, ranks) for name in names])
    panels, legends, texts = drawn_boxes(figure)
    assert len(panels) == (4 if runs == 1 else 3 + ranks)
    assert len(legends) == 1
    for one, two in itertools.combinations([*panels, *legends], 2):
        assert not overlap(one, two)
    whole = figure.bbox
    for box in (*panels, *legends):
        assert whole.x0 <= box.x0 <= box.x1 <= whole.x1
        assert whole.y0 <= box.y0 <= box.y1 <= whole.y1
    for found in texts:
        assert len(found) >= 6
        for one, two in itertools.combinations(found, 2):
            assert not overlap(one, two)


def test_the_lines_hold_the_numbers_of_the_run():
    given = curve()
    figure = learning_curve_figure(given)
    loss, cosine, norm, rate = figure.axes
    assert [axis.get_ylabel() for axis in figure.axes] == [
        "loss",
        "mean |cos|",
        "gradient norm",
        "learning rate",
    ]
    training, held = loss.lines
    np.testing.assert_allclose(np.asarray(training.get_xdata()), given.steps)
    np.testing.assert_allclose(ys(training), given.loss)
    np.testing.assert_allclose(ys(held), given.heldout_loss)
    assert (loss.get_yscale(), norm.get_yscale()) == ("log", "log")
    np.testing.assert_allclose(ys(norm.lines[0]), given.grad_norm)
    np.testing.assert_allclose(ys(rate.lines[0]), given.learning_rate)
    for rank in range(3):
        training, held = cosine.lines[2 * rank : 2 * rank + 2]
        np.testing.assert_allclose(ys(training), given.cosine[:, rank])
        np.testing.assert_allclose(ys(held), given.heldout_cosine[:, rank])
        label = cosine.texts[rank].get_text()
        shown = float(label.removeprefix(f"rank {rank + 1}: "))
        assert shown == pytest.approx(given.heldout_cosine[-1, rank], abs=5e-4)
    above = loss.child_axes[0]
    FigureCanvasAgg(figure).draw()
    np.testing.assert_allclose(above.get_xlim(), np.array(loss.get_xlim()) * 16)


def test_several_runs_have_a_colour_each_and_a_panel_for_each_rank():
    given = [curve("a"), curve("b", ranks=2), curve("c", evaluations=0)]
    figure = learning_curve_figure(given)
    *_, first, second, third = figure.axes
    assert [len(axis.lines) for axis in (first, second, third)] == [5, 5, 3]
    assert first.get_ylabel() == "mean |cos|, rank 1"
    np.testing.assert_allclose(ys(third.lines[2]), given[2].cosine[:, 2])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["a", "b", "c", "training", "held out"]
    many = learning_curve_figure([curve(str(i), 3, 1) for i in range(MOST_RUNS)])
    handles = many.legends[0].legend_handles[:MOST_RUNS]
    looks = {
        (line.get_color(), line.get_linestyle())
        for line in handles
        if isinstance(line, Line2D)
    }
    assert len(looks) == MOST_RUNS


def test_instances_are_above_only_where_they_are_the_same_for_all():
    alike = learning_curve_figure([curve("a"), curve("b")])
    assert [len(axis.child_axes) for axis in alike.axes[:3]] == [1, 1, 1]
    other = learning_curve_figure([curve("a"), curve("b", per_step=32)])
    assert [len(axis.child_axes) for axis in other.axes] == [0] * 6


def test_a_long_run_is_thinned_to_means_and_says_so():
    calls = 3 * MOST_POINTS - 1
    given = curve(calls=calls)
    figure = learning_curve_figure(given)
    drawn = ys(figure.axes[0].lines[0])
    assert len(drawn) == MOST_POINTS
    np.testing.assert_allclose(drawn[0], given.loss[:3].mean())
    # The last point is the mean of the two calls that are left.
    np.testing.assert_allclose(drawn[-1], given.loss[-2:].mean())
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["training (mean of 3 calls)", "held out"]


def test_odd_runs_are_drawn():
    one = curve(calls=1, evaluations=0)
    figure = learning_curve_figure(one)
    assert figure.axes[0].lines[0].get_marker() == "."
    blank = np.full(40, np.nan)
    old = curve()._replace(
        learning_rate=blank, grad_norm=blank, cosine=np.zeros((40, 0))
    )
    negative = curve()._replace(loss=np.linspace(1, -1, 40))
    perfect = curve()._replace(cosine=np.ones((40, 3)))
    for odd in (one, old, negative, perfect):
        figure = learning_curve_figure(odd)
        FigureCanvasAgg(figure).draw()
    assert learning_curve_figure(negative).axes[0].get_yscale() == "linear"


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(DataError, match=r"0 runs cannot be drawn.*choose 1 to 12"):
        learning_curve_figure([])
    with pytest.raises(DataError, match="13 runs cannot be drawn"):
        learning_curve_figure([curve()] * 13)
    with pytest.raises(DataError, match="run new has not logged a call yet"):
        learning_curve_figure([curve(), curve("new", calls=0, evaluations=0)])
