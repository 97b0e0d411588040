"""Figures of hard cases: names of any letters, one component, many clusters."""

import numpy as np
import pytest
from matplotlib.text import Text

from spectral_tf.apps.report import table_figures
from spectral_tf.apps.report.table_figures import (
    biplot_figure,
    cluster_figure,
    outlier_figure,
    scree_figure,
    shown_name,
)
from spectral_tf.certificate.answer import Certificate, Entry

SHARES = np.array([0.5, 0.3])
NAMES = ("=1+1", "$x$_{", "two\nlines", "幅", "ordinary", "a" * 90, "\x1b[31mred", "")


@pytest.fixture
def scores():
    return np.random.default_rng(0).normal(size=(60, 2)) * [5, 1]


def certificate(status, ranks):
    entries = [
        Entry(
            rank=place,
            status=one,
            ranks=span,
            eigenvalue=1.0,
            eigenvalue_error=0.0,
            residual=0.0,
            gap=0.0,
            angle_bound=0.1,
        )
        for place, (one, span) in enumerate(zip(status, ranks, strict=True), start=1)
    ]
    return Certificate(
        entries=tuple(entries),
        tol=1e-3,
        orthonormality=0.0,
        method="trace",
        next_bound=0.0,
        num_leading=len(entries),
    )


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved, to look into."""
    figures = []
    save = table_figures._save

    def keep(figure, path):
        figures.append(figure)
        return save(figure, path)

    monkeypatch.setattr(table_figures, "_save", keep)
    return figures


def legend_texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5_000


def test_every_status_has_its_colour_and_spans_are_marked(tmp_path, drawn):
    status = ("certified", "certified", "certified", "replaced", "loose", "probable")
    ranks = ((1, 1), (2, 3), (2, 3), (4, 4), (5, 5), (6, 6))
    shares = np.array([0.4, 0.2, 0.19, 0.1, 0.05, 0.04])
    path = scree_figure(shares, certificate(status, ranks), tmp_path / "s.png")
    assert is_png(path)
    (figure,) = drawn
    texts = legend_texts(figure)
    assert texts == [
        "certified",
        "probable (not proven)",
        "loose (not proven)",
        "replaced (exact solver)",
        "only as a span",
        "sum",
    ]
    (axis,) = figure.axes
    colours = {bar.get_facecolor() for bar in axis.patches}
    assert len(colours) == 4
    heights = [bar.get_height() for bar in axis.patches]
    np.testing.assert_allclose(heights, shares)
    brackets = [line for line in axis.lines if line.get_color() == "black"]
    assert [line.get_xdata()[0] for line in brackets] == [1.65]


def test_only_what_is_there_is_in_the_legend(tmp_path, drawn):
    k = 45
    shares = np.full(k, 1 / k)
    spans = [(place, place) for place in range(1, k + 1)]
    scree_figure(shares, certificate(["certified"] * k, spans), tmp_path / "s.png")
    assert legend_texts(drawn[0]) == ["certified", "sum"]
    assert "the first 40 of 45" in drawn[0].axes[0].get_xlabel()


def test_names_of_any_letters_are_drawn_apart(tmp_path, drawn, scores):
    loadings = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0][:2]
    assert is_png(biplot_figure(scores, loadings, NAMES, SHARES, tmp_path / "b.png"))
    (figure,) = drawn
    texts = [text for text in figure.axes[0].texts if text.get_text()]
    assert len(texts) == 7, "the empty name is not written"
    renderer = figure.canvas.get_renderer()
    with table_figures._any_script():
        for text in texts:
            text.update_positions(renderer)
        boxes = [Text.get_window_extent(text, renderer) for text in texts]
    frame = figure.axes[0].bbox
    for place, box in enumerate(boxes):
        assert frame.x0 <= box.x0
        assert box.x1 <= frame.x1
        assert not any(box.overlaps(other) for other in boxes[:place])


def test_arrows_stay_within_the_rows(tmp_path, drawn, scores):
    loadings = np.array([[0.1, 0.99], [0.99, -0.1]])
    biplot_figure(scores, loadings, ("a", "b"), SHARES, tmp_path / "b.png")
    tips = np.array([t.xy for t in drawn[0].axes[0].texts])
    assert np.all(np.abs(tips) <= np.abs(scores).max(axis=0) + 1e-9)


@pytest.mark.parametrize("k", [1, 2])
def test_clusters_of_any_number_have_a_legend(k, tmp_path, drawn, scores):
    labels = np.arange(60) % 14
    path = cluster_figure(scores[:, :k], labels, SHARES[:k], tmp_path / "c.png")
    assert is_png(path)
    legend = drawn[0].axes[0].get_legend()
    assert len(legend.get_texts()) == 14
    assert legend.get_texts()[0].get_text() == "cluster 0: 5 rows"


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("threshold", [0.5, 100.0])
def test_outliers_are_ringed_and_numbered(k, threshold, tmp_path, drawn, scores):
    distance = np.linspace(0, 0.4, 60)
    distance[7] = 1.0
    path = tmp_path / "o.png"
    outlier_figure(scores[:, :k], distance, threshold, None, path)
    assert is_png(path)
    (text,) = legend_texts(drawn[0])
    if k == 1:
        assert text.endswith("(row 8)" if threshold < 1 else "(row none)")
        return
    assert ("1 row; with its number" in text) == (threshold < 1)
    numbers = [text.get_text() for text in drawn[0].axes[0].texts]
    assert numbers == (["8"] if threshold < 1 else [])


def test_long_tables_are_thinned(tmp_path, drawn, monkeypatch, scores):
    monkeypatch.setattr(table_figures, "MOST_POINTS", 25)
    cluster_figure(scores, np.zeros(60, int), SHARES, tmp_path / "c.png")
    (dots,) = drawn[0].axes[0].collections
    assert len(dots.get_offsets()) == 20
    legend = drawn[0].axes[0].get_legend()
    assert legend.get_texts()[0].get_text() == "cluster 0: 60 rows"


def test_names_are_shown_on_one_line():
    assert shown_name("two\nlines\t here") == "two lines here"
    assert shown_name("a" * 90) == "a" * 25 + "…"
    assert shown_name("\x1b[31mred") == "?[31mred"
