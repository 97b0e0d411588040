"""Names of any script in pictures: as letters, or as numbers with a legend."""

import contextlib
import json
import warnings

import numpy as np
import pytest

from spectral_tf.apps.cli import main
from spectral_tf.apps.report import letters, table_figures
from spectral_tf.apps.report.page.parts import Chart, Heat, Series
from spectral_tf.apps.report.page.png_figures import (
    chart_png,
    heat_png,
    picture_legend,
)
from spectral_tf.apps.report.page.prepared import prepare_chart
from spectral_tf.apps.studies.stock import sections
from spectral_tf.apps.studies.words import FAULTS
from tests.apps.report.browser import pixels

JAPANESE = ("売上高", "在庫数", "発注点", "欠品率")
DEVANAGARI = ("तापमान", "दबाव", "आर्द्रता", "प्रवाह")
NO_FONT = "\N{OLD TURKIC LETTER ORKHON A}\N{OLD TURKIC LETTER ORKHON I}"

needs_japanese = pytest.mark.skipif(
    not letters.can_draw("".join(JAPANESE), letters.fonts_for(JAPANESE)),
    reason="no installed font has Japanese letters",
)


@pytest.fixture
def no_silence(monkeypatch):
    """A letter that a font lacks is a warning, which fails a test."""
    monkeypatch.setattr(table_figures, "_any_script", contextlib.nullcontext)


def table(path, names):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2)) @ rng.normal(size=(2, len(names)))
    x += 0.3 * rng.normal(size=x.shape)
    lines = [",".join(names), *(",".join(map(repr, row)) for row in x.tolist())]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return str(path)


@needs_japanese
@pytest.mark.usefixtures("no_silence")
def test_japanese_names_are_drawn_with_a_font_that_has_them(tmp_path, capsys):
    source = table(tmp_path / "t.csv", JAPANESE)
    argv = ["pca", source, "--n-components", "2", "--out", str(tmp_path / "o")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(argv) == 0
    text = capsys.readouterr().out
    assert "no installed font" not in text
    drawn = letters.lettering(JAPANESE)
    assert drawn.labels == JAPANESE
    assert drawn.fonts[0] == letters.PLAIN
    # Pictures that differ in their names alone differ: the letters are no boxes.
    other = table(tmp_path / "u.csv", JAPANESE[::-1])
    argv = ["pca", other, "--n-components", "2", "--out", str(tmp_path / "p")]
    assert main(argv) == 0
    one, two = (pixels((tmp_path / f / "biplot.png").read_bytes()) for f in "op")
    assert not np.array_equal(one, two)


@pytest.mark.usefixtures("no_silence")
def test_names_without_a_font_are_numbers_with_a_legend(tmp_path, capsys):
    names = ("a", NO_FONT, "b", NO_FONT + "x")
    source = table(tmp_path / "t.csv", names)
    folder = tmp_path / "o"
    argv = ["pca", source, "--n-components", "2", "--out", str(folder)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(argv) == 0
    text = capsys.readouterr().out
    (line,) = (one for one in text.splitlines() if "no installed font" in one)
    assert line.startswith("In biplot.png #")
    assert f"#2 is {NO_FONT!r}" in line
    assert f"#4 is {names[3]!r}" in line
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    assert summary["results"]["drawn_as"] == {"#2": NO_FONT, "#4": names[3]}


def test_letters_that_depend_on_neighbours_need_a_matplotlib_that_joins_them(
    monkeypatch,
):
    arabic = "درجة"  # DejaVu Sans, which comes with matplotlib, has the letters
    monkeypatch.setattr(letters, "SHAPES", True)
    assert letters.lettering(["x", arabic]).labels == ("x", arabic)
    monkeypatch.setattr(letters, "SHAPES", False)
    assert letters.lettering(["x", arabic]).labels == ("x", "#2")
    assert letters.lettering(["größe", "θ"]).legend == ()


def test_a_font_that_matplotlib_has_not_listed_is_used(monkeypatch):
    """Its list is older than the font where one was installed later."""
    listed = [f for f in letters.fontManager.ttflist if f.name == letters.PLAIN]
    others = [path for path in letters.findSystemFonts() if "DejaVu" not in path]
    if not others:
        pytest.skip("no font but matplotlib's own is installed")
    monkeypatch.setattr(letters.fontManager, "ttflist", listed)
    letters._installed.cache_clear()
    try:
        assert len(letters._installed()) > 1
    finally:
        letters._installed.cache_clear()


def test_the_better_fonts_come_first():
    names = ["Zed Sans", "noto sans cjk sc", "IPAexGothic", "Noto Sans CJK JP"]
    ranked = sorted(names, key=letters._rank)
    assert ranked == ["Noto Sans CJK JP", "IPAexGothic", "noto sans cjk sc", "Zed Sans"]


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_pictures_of_a_page_have_the_letters_too(lang):
    """The sibling of the browser's test: what a reader without scripts sees."""
    heights = np.linspace(0.1, 0.5, 4).tolist()
    bars = Series("a", JAPANESE, heights)
    chart = Chart("c", "title", "x", "y", (bars,), "note", kind="bars")
    other = Chart("c", "t", "x", "y", (Series("a", DEVANAGARI, heights),), "n", "bars")
    matrix = Heat("h", "t", "", "", np.eye(4), JAPANESE, DEVANAGARI, "n", "unit")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pixels(chart_png(chart, lang)).shape[1] == 900
        assert pixels(chart_png(other, lang)).shape[1] == 900
        assert pixels(heat_png(matrix, lang)).shape[1] == 900
    for figure, names in ((chart, JAPANESE), (other, DEVANAGARI), (matrix, DEVANAGARI)):
        is_drawn = letters.can_draw("".join(names), letters.fonts_for(names))
        legend = picture_legend(figure, lang)
        assert legend == "" if is_drawn else all(name in legend for name in names)


def test_the_categories_of_the_stock_figure_are_in_the_language_of_the_page():
    share = {"value": 0.5, "low": 0.4, "high": 0.6}
    method = {"name": "constructed", "recall_of": dict.fromkeys(FAULTS, share)}
    document = {"methods": [method], "config": {"alarms_per_week": 10}}
    chart = sections._by_kind(document)
    for lang in ("en", "ja"):
        names = prepare_chart(chart, lang).x.names
        assert names == tuple(each.of(lang) for each in FAULTS.values())
    assert "欠品" in prepare_chart(chart, "ja").x.names
