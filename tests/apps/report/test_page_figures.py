"""What a page is made of: figures, pictures of them, texts, columns, colours."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest

from spectral_tf.apps.report.figures import COLOURS
from spectral_tf.apps.report.page import blocks, fonts, html, png_figures
from spectral_tf.apps.report.page.html import page_html
from spectral_tf.apps.report.page.parts import (
    Chart,
    Page,
    Series,
)
from spectral_tf.apps.report.page.pieces import Axis
from spectral_tf.apps.report.page.plotly_figures import (
    chart_figure,
    escaped,
    heat_figure,
)
from spectral_tf.apps.report.page.png_figures import chart_png, heat_png
from spectral_tf.apps.report.page.prepared import name_ticks, prepare_chart
from spectral_tf.apps.report.page.words import (
    columns_of,
    number_text,
    shortened,
    written,
)
from tests.apps.report.browser import (
    contrast,
    has_colour,
    pixels,
)
from tests.apps.report.pages import (
    EVIL,
    NAN,
    SENSORS,
    WEEKS,
    accuracy,
    blame,
    heat,
)


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_plotly_knows_every_attribute_of_the_figures(lang):
    from plotly.graph_objects import Figure

    figures = [chart_figure(each, lang) for each in (accuracy(), blame())]
    for spec in (*figures, heat_figure(heat(), lang)):
        Figure(data=spec["data"], layout=spec["layout"])
        Figure(layout=spec["narrow"])
        assert spec["config"]["displayModeBar"] is False
        json.dumps(spec, allow_nan=False)


def test_gaps_stay_gaps_and_a_lone_point_is_drawn():
    y = [1.0, NAN, 3.0, math.inf, *[None] * 60, 5.0, 6.0]
    x = [float(each) for each in range(len(y))]
    one = Series("s", x, y, [0.5] * 66, [9.0] * 64 + [NAN] * 2)
    spec = chart_figure(Chart("c", "t", "x", "y", (one,), "n"), "en")
    band, line, lone = spec["data"]
    assert line["y"] == [1.0, None, 3.0, None, *[None] * 60, 5.0, 6.0]
    assert line["hovertext"][1] == "–"
    assert lone["x"] == [0.0, 2.0]
    assert band["fill"] == "toself"
    assert band["x"][-1] == 0.0
    logged = Chart("c", "t", "x", "y", (one,), "n", log_x=True, log_y=True)
    assert chart_figure(logged, "en")["data"][1]["x"][0] is None  # log of 0


def test_every_stretch_of_a_band_is_a_polygon_of_its_own():
    band = chart_figure(accuracy(), "en")["data"][0]
    gap = band["x"].index(None)
    assert band["y"][gap] is None
    assert band["x"][0] == band["x"][gap - 1] == WEEKS[0]
    assert band["x"][gap + 1] == WEEKS[22]


def test_positions_are_numbers_dates_or_names():
    def kind(*x):
        one = Series("s", x, [1.0] * len(x))
        return prepare_chart(Chart("c", "t", "x", "y", (one,), "n"), "en").x

    assert kind(1.0, 2.0).kind == "number"
    assert kind("2024-01-01T10:00:00Z", "2024-02").kind == "time"
    assert kind("2024-01-01T10:00:00+09:00").has_clock
    assert kind("1970-01-01").kind == "time"
    assert kind("2024-02-30").kind == "names"
    assert kind("20240101", "a", "a").names == ("20240101", "a")
    twins = prepare_chart(blame(("a", "a")), "en")
    assert twins.x.names == ("a", "a")
    assert twins.tracks[0].x == (0.0, 1.0)
    assert prepare_chart(blame(), "en").is_flat
    assert not twins.is_flat


def test_short_names_are_thinned_and_long_ones_turned():
    hours = Axis("names", "", tuple(f"{each:02d}" for each in range(24)))
    assert len(name_ticks(hours, is_below=True).places) == 24
    thin = name_ticks(hours, is_below=True, is_narrow=True)
    assert thin.places == tuple(range(0, 24, 2))
    assert not thin.is_aslant
    long = name_ticks(Axis("names", "", SENSORS * 3), is_below=True)
    assert long.is_aslant
    assert long.texts == SENSORS * 3


def test_the_picture_has_the_colours_of_the_figure():
    image = pixels(chart_png(accuracy(), "en"))
    assert image.shape == (400, 900, 3)
    assert all(has_colour(image, each) for each in COLOURS[:3])
    alone = dataclasses.replace(accuracy(), series=accuracy().series[:1])
    assert not has_colour(pixels(chart_png(alone, "en")), COLOURS[1])
    signed = pixels(heat_png(heat(), "en"))
    for colour in ("#0a4a80", "#a01c1c", "#b7bbc2"):
        assert has_colour(signed, colour)
    unsigned = pixels(heat_png(heat(is_signed=False), "en"))
    assert has_colour(unsigned, "#0a3558")
    assert not has_colour(unsigned, "#a01c1c")


@pytest.mark.parametrize("values", [[], [NAN, NAN], [2.0, 2.0], [-1e300, 1e300]])
def test_a_picture_of_almost_nothing_is_drawn_without_a_warning(values):
    one = Series("s", [float(each) for each in range(len(values))], values)
    chart = Chart("c", "t", "x", "y", (one,), "n")
    empty = dataclasses.replace(chart, series=())
    for each in (chart, empty, dataclasses.replace(chart, log_y=True, kind="bars")):
        assert pixels(chart_png(each, "en")).shape[1] == png_figures.WIDTH
    names = tuple(map(str, range(len(values))))
    matrix = np.array(values).reshape(1, -1)
    for is_signed in (False, True):
        one = heat(is_signed=is_signed)
        one = dataclasses.replace(one, values=matrix, x_names=names, y_names=("r",))
        assert pixels(heat_png(one, "en")).shape[1] == png_figures.WIDTH
        json.dumps(heat_figure(one, "en"), allow_nan=False)


def test_without_a_japanese_font_a_picture_speaks_english(monkeypatch):
    english = chart_png(accuracy(), "en")
    monkeypatch.setattr(fonts, "JAPANESE", ())
    monkeypatch.setattr(fonts, "JAPANESE_FILES", ())
    for each in (fonts.families, fonts.has_japanese):
        each.cache_clear()
    try:
        assert not fonts.has_japanese()
        assert fonts.drawable("故障 x", fonts.families("en")) == "?? x"
        assert np.array_equal(pixels(chart_png(accuracy(), "ja")), pixels(english))
        assert pixels(heat_png(heat(("故障", "β", "🙂")), "ja")).shape[1] == 900
    finally:
        for each in (fonts.families, fonts.has_japanese):
            each.cache_clear()


def test_texts_are_sound_and_short():
    assert written("a\0b\ud800c\u202ed\ufffe\te", "en") == "a�b�c�d�\te"
    page_html(Page("\ud800\0", "l", ()), "en").encode("utf-8")
    data = html._data([{"id": EVIL[0] + EVIL[5]}])
    assert data.count("<") == 2  # the element's own
    assert (
        json.loads(data[data.index("[") : data.rindex("]") + 1])[0]["id"][:8]
        == "<script>"
    )
    assert escaped("<b>&lt;\nx") == "&lt;b&gt;&amp;lt;<br>x"
    assert shortened("temperature_inlet", 15) == "temperatu…inlet"
    assert columns_of(shortened("温度センサー" * 3, 2)) <= 2
    assert 7 <= columns_of(shortened("温度センサー" * 3, 9)) <= 9
    shown = {0.0: "0", -12345.6: "−12,346", 0.123456: "0.1235", 1.2e-9: "1.2e−09"}
    assert [number_text(each) for each in shown] == list(shown.values())
    assert number_text(-0.0) == "0"


def test_columns_of_numbers_stand_under_each_other():
    classes = {
        "number": ("0.84 (0.81–0.86)", "–", "12 h", "−3", "1.2e−05"),
        "date": ("2025-01-01", "2025-01-01 10:00"),
        "short": ("pump", "pump 3"),
        "wordy": ("a sentence of many words", "x"),
        "long": ("w" * 40, "1"),
    }
    for name, texts in classes.items():
        assert blocks._cell_class(texts) == f' class="{name}"'


def test_texts_stand_out_from_their_ground():
    style = html._own("page.css")
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]
    for block in (light, dark):
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
        for ink in ("ink", "soft", "accent", "good", "bad"):
            for ground in ("ground", "card", "tint"):
                assert contrast(colours[ink], colours[ground]) >= 4.5
        assert contrast(colours["ink"], colours["warn-ground"]) >= 4.5
