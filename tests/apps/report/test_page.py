"""A page is one safe file: it draws, reads without JavaScript, and adds nothing."""

import dataclasses
import json
import math
import re
from typing import Any

import numpy as np
import pytest

from spectral_tf.apps.report.figures import COLOURS
from spectral_tf.apps.report.page import blocks, fonts, html, png_figures
from spectral_tf.apps.report.page.html import page_html, write_page
from spectral_tf.apps.report.page.parts import (
    Chart,
    Details,
    Fact,
    Facts,
    Heat,
    Notice,
    Page,
    Section,
    Series,
    Table,
    Text,
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
from spectral_tf.config import ConfigError, DataError
from tests.apps.report.browser import (
    Elements,
    chromium,
    colours_of,
    contrast,
    has_colour,
    open_page,
    pixels,
    policy_source,
)

NAN = math.nan
ALLOWED = (
    "html head meta title link style template body a header h1 p div nav ol li details "
    "summary main section h2 dl dt dd span figure h3 button img figcaption table "
    "caption thead tbody tr th td strong footer script"
)
EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "<b>x</b>",
    '<a href="javascript:alert(3)">y</a>',
    "&lt;i&gt;z",
    "--><!--",
    "%{x} $\\alpha$ {y}",
    "_hidden",
)
WEEKS = [f"2024-{month:02d}-{day:02d}" for month in range(1, 13) for day in (1, 11, 21)]
SENSORS = ("temperature_inlet", "temperature_outlet", "pressure", "flow", "humidity")


def wave(level):
    return [level + 0.05 * math.sin(each / 4) for each in range(len(WEEKS))]


def accuracy():
    y = [*wave(0.9)[:20], NAN, NAN, *wave(0.9)[22:]]
    low, high = [each - 0.02 for each in y], [each + 0.02 for each in y]
    name, goal = Text("Spectral model", "スペクトルモデル"), Text("Goal", "目標")
    series = (
        Series(name, WEEKS, y, low, high),
        Series(Text("Forest", "フォレスト"), WEEKS, wave(0.7), style="marks"),
        Series(goal, WEEKS[::35], [0.88, 0.88], style="dashed"),
    )
    title = Text("Share of faults found", "故障の検知率")
    note = Text("The bands are 95 % intervals.", "帯は 95% 区間です。")
    axes = Text("Week", "週"), Text("Share", "割合")
    return Chart("accuracy", title, *axes, series, note)


def blame(names=SENSORS):
    heights = np.linspace(0.5, 0.1, len(names)).tolist()
    low, high = ([each + side for each in heights] for side in (-0.05, 0.05))
    series = tuple(Series(one, names, heights, low, high) for one in ("A", "B"))
    title = Text("What the alarms point to", "警報の原因")
    axes = Text("Sensor", "センサー"), Text("Share of the score", "割合")
    note = Text("Whiskers are 95 % intervals.", "ひげは 95% 区間です。")
    return Chart("blame", title, *axes, series, note, kind="bars")


def heat(names=SENSORS, is_signed=True):
    values = np.linspace(-1, 1, len(names) ** 2).reshape(len(names), -1)
    values[0, 1] = NAN
    return Heat(
        id="heat",
        title=Text("Correlation", "相関"),
        x_label="",
        y_label=Text("Row", "行"),
        values=values,
        x_names=tuple(names),
        y_names=tuple(names),
        note=Text("Grey: not measured.", "灰色は未測定です。"),
        unit=Text("correlation", "相関係数"),
        is_signed=is_signed,
    )


def alarms(rows=40):
    found = Text("bearing wear, replaced in the next stop", "軸受の摩耗。交換予定")
    heads = ("Time", "日時"), ("Score", "スコア"), ("Sensor", "センサー")
    heads += ("Warning time", "余裕時間"), ("Finding", "判明した内容")
    days = [f"2025-01-{1 + each % 28:02d} 06:00" for each in range(rows)]
    scores = [f"{9 - each / 9:.2f}" for each in range(rows)]
    return Table(
        caption=Text("The strongest alarms", "最も強い警報"),
        head=tuple(Text(*each) for each in heads),
        rows=tuple(
            (*row, "flow", "9 h", found) for row in zip(days, scores, strict=True)
        ),
        strong=(0, 1),
    )


def sample():
    found = Fact("87 %", Text("Faults found", "検知した故障"), "20 / 23", "good")
    false = Fact("1.4", Text("False alarms", "誤報"), "> 0.5", "bad")
    facts = Facts((found, false, Fact("9.5 h", Text("Warning time", "余裕時間"), "")))
    steps = np.arange(1.0, 301)
    loss = Series("Loss", steps.tolist(), (1 / steps).tolist())
    folded = Chart("loss", "Loss", "Step", "Loss", (loss,), "Logarithmic.")
    folded = dataclasses.replace(folded, log_x=True, log_y=True)
    warning = Notice(Text("Some faults are injected.", "一部は人工的な故障です。"))
    how = Details(Text("How it was computed", "計算の方法"), (folded, alarms(3)))
    lead = Text("Eleven months of readings.", "11 か月分の記録を分析した結果です。")
    return Page(
        title=Text("Early warning of pump faults", "ポンプ故障の早期検知"),
        lead=lead,
        sections=(
            Section("short", Text("In short", "要点"), (facts, lead, warning)),
            Section("good", Text("How good it is", "検知の精度"), (accuracy(), how)),
            Section("why", Text("Causes", "原因"), (blame(), heat())),
            Section("all", Text("All alarms", "警報の一覧"), (alarms(), "42")),
        ),
    )


def evil():
    """Every place of a page that takes a text has a malicious one."""
    text = " ".join(EVIL)
    lines = Series(EVIL[2], [0.0, 1.0], [1.0, 2.0], label=list(EVIL[:2]))
    chart = Chart("lines", text, EVIL[2], EVIL[3], (lines, lines), text)
    bars = dataclasses.replace(blame(EVIL), title=text, note=text, x_label=EVIL[0])
    matrix = dataclasses.replace(heat(EVIL), unit=EVIL[3], y_label=EVIL[1], title=text)
    table = Table(text, EVIL, (EVIL, EVIL), strong=(1,))
    tiles = Facts((Fact(EVIL[0], EVIL[1], text, "bad"),))
    fold = Details(text, (matrix, Notice(text)))
    parts = (tiles, text, Text(text, text), chart, bars, table, fold, "w" * 3000)
    return Page(text, text, (Section("evil", text, parts), Section("b", EVIL[1], ())))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for lang in ("en", "ja"):
        write_page(sample(), folder / f"{lang}.html", lang=lang)
    write_page(evil(), folder / "evil.html", lang="en")
    return folder


@pytest.fixture(scope="module")
def documents(files):
    return {each.stem: each.read_text("utf-8") for each in files.glob("*.html")}


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.mark.parametrize(
    ("lang", "width", "scheme"), [("en", 1280, "light"), ("ja", 400, "dark")]
)
def test_in_a_browser_every_figure_draws_without_a_request_or_a_complaint(
    files, browser, lang, width, scheme
):
    path = files / f"{lang}.html"
    with open_page(path, width, browser=browser, scheme=scheme) as opened:
        assert opened.wait_for_figures() == 4
        assert opened.overflow() <= 0
        assert colours_of(opened.screenshot()) > 300
        for figure in ("accuracy", "heat"):
            plot = opened.page.locator(f"#{figure} .plot")
            assert plot.bounding_box()["width"] > 0.7 * min(width, 900)
            assert colours_of(opened.screenshot(selector=f"#{figure} .plot")) > 40
            assert not opened.page.locator(f"#{figure} img").is_visible()
        opened.page.locator("details.fold summary").click()
        opened.page.wait_for_selector("#loss .plot .main-svg", state="visible")
        assert opened.overflow() <= 0
        opened.page.emulate_media(media="print")
        assert opened.page.locator("#accuracy img").is_visible()
        assert not opened.page.locator("#accuracy .plot").is_visible()
        assert opened.requests == [path.as_uri()]
        assert opened.messages == []


@pytest.mark.parametrize(("lang", "width"), [("en", 1280), ("ja", 400)])
def test_without_javascript_every_figure_is_a_picture(files, browser, lang, width):
    path = files / f"{lang}.html"
    with open_page(path, width, javascript=False, browser=browser) as opened:
        opened.page.locator("details.fold summary").click()
        images = opened.page.locator("figure img")
        assert images.count() == 4
        for index in range(4):
            assert images.nth(index).is_visible()
        assert opened.overflow() <= 0
        assert colours_of(opened.screenshot(selector="#heat img")) > 40
        assert opened.messages == []


def test_malicious_names_stay_text_in_a_browser(files, browser):
    with open_page(files / "evil.html", 400, browser=browser) as opened:
        assert opened.wait_for_figures() == 3
        assert opened.overflow() <= 0
        page = opened.page
        assert page.locator("img:not(figure img), figure a, b, i").count() == 0
        drawn = page.locator("#lines .plot").text_content()
        assert drawn.count("<b>x</b>") >= 3  # two in the legend, one at the axis
        assert EVIL[3] in drawn
        ticks = page.locator("#heat .plot").text_content()
        # The whole name has no room there, its ends do.
        assert all(shortened(name, 15) in ticks for name in EVIL[2:])
        box = page.locator("#lines .plot .nsewdrag").first
        box.scroll_into_view_if_needed()
        place = box.bounding_box()
        page.mouse.move(place["x"] + 24, place["y"] + place["height"] - 20)
        page.wait_for_selector("#lines .hoverlayer text")
        assert EVIL[0] in page.locator("#lines .hoverlayer").text_content()
        assert opened.dialogs == []
        assert opened.messages == []


def test_a_changed_script_is_refused_and_the_pictures_stay(files, browser, tmp_path):
    text = (files / "en.html").read_text("utf-8")
    changed = tmp_path / "changed.html"
    changed.write_text(text.replace('"use strict";', '"use strict"; '), "utf-8")
    with open_page(changed, browser=browser) as opened:
        assert opened.page.locator("#accuracy img").is_visible()
        assert any("Content Security Policy" in each for each in opened.messages)


@pytest.mark.parametrize("name", ["en", "evil"])
def test_the_policy_allows_the_scripts_of_the_page_and_nothing_else(documents, name):
    found = Elements(documents[name])
    data, *scripts = found.raw["script"]
    policy = [each for each in found.of("meta") if "http-equiv" in each]
    assert [each["content"] for each in policy] == [
        "default-src 'none'; img-src data:; "
        f"style-src {policy_source(found.raw['style'][0])}; "
        f"script-src {' '.join(map(policy_source, scripts))}; "
        "base-uri 'none'; form-action 'none'"
    ]
    assert len(scripts) == 2
    assert len(found.raw["style"]) == 1
    figures = [each["id"] for each in found.of("figure")]
    assert [each["id"] for each in json.loads(data)] == figures


def test_no_element_or_address_comes_from_a_text(documents):
    found = Elements(documents["evil"])
    assert {tag for tag, _ in found.tags} <= set(ALLOWED.split())
    assert all(each["src"].startswith("data:") for each in found.of("img"))
    assert all(each["href"].startswith("#") for each in found.of("a"))
    names = {name for _, attrs in found.tags for name in attrs}
    assert [each for each in names if each.startswith("on") or each == "style"] == []
    assert "".join(found.seen).count(EVIL[0]) >= 8


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_a_page_is_written_in_one_language(documents, lang):
    found = Elements(documents[lang])
    seen = "".join(found.seen)
    everything = f"{seen}{found.tags}{found.raw['script'][0]}"
    both = ("Share of faults found", "故障の検知率"), ("Please note", "ご注意")
    for pair in (*both, ("Warning time", "余裕時間")):
        assert pair[lang == "ja"] in seen
        assert pair[lang == "en"] not in everything
    assert found.of("html")[0]["lang"] == lang


def test_a_page_reads_in_order_for_a_screen_reader(documents):
    found = Elements(documents["en"])
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(np.diff(levels)) <= 1
    assert all(each["alt"].count(". ") >= 1 for each in found.of("img"))
    assert len(found.of("caption")) == len(found.of("table")) == 2
    assert {each["scope"] for each in found.of("th")} == {"col", "row"}
    targets = {attrs["id"] for _, attrs in found.tags if "id" in attrs}
    assert {each["href"][1:] for each in found.of("a")} <= targets
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_the_same_page_gives_the_same_text_and_replaces_the_file(tmp_path, documents):
    path = tmp_path / "page.html"
    path.write_text("old")
    assert write_page(sample(), path, lang="en") == path
    assert path.read_text("utf-8") == documents["en"]
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]


def test_a_page_without_a_figure_brings_no_plotly():
    text = page_html(Page("T", "L", (Section("s", "S", (alarms(),)),)), "en")
    assert len(text) < 60_000
    assert "Plotly.newPlot" in text  # the page's own script, which draws nothing


def test_what_does_not_fit_together_is_refused(tmp_path):
    page = sample()
    with pytest.raises(ConfigError, match="lang='de': a page is written in one of en"):
        write_page(page, tmp_path / "a.html", lang="de")
    assert list(tmp_path.iterdir()) == []
    sections = (*page.sections, Section("short", "again", ()))
    with pytest.raises(ConfigError, match="'short' is used more than once"):
        page_html(dataclasses.replace(page, sections=sections), "en")
    series = accuracy().series[1]
    wrong = {
        "y has 35": dataclasses.replace(series, y=[1.0] * 35),
        "two ends": dataclasses.replace(series, low=series.y),
        "label has 1": dataclasses.replace(series, label=["a"]),
    }
    parts: dict[str, Any] = {
        message: dataclasses.replace(accuracy(), series=(each,))
        for message, each in wrong.items()
    }
    parts["its names say"] = dataclasses.replace(heat(), x_names=("a",))
    parts["2 cells under"] = Table("c", ("a",), (("1", "2"),))
    parts["strong names row 3"] = Table("c", ("a",), (("1",),), strong=(3,))
    for message, part in parts.items():
        fold = Details("more", (part,))
        with pytest.raises(DataError, match=message):
            page_html(Page("t", "l", (Section("s", "S", (fold,)),)), "en")
    for name in ("a b", "page_main", "", '"'):
        with pytest.raises(ConfigError, match="letters a to z"):
            page_html(Page("t", "l", (Section(name, "S", ()),)), "en")


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
