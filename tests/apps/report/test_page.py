"""A page is one safe file: it draws, reads without JavaScript, and adds nothing."""

import dataclasses
import json
import re
from typing import Any

import numpy as np
import pytest

from spectral_tf.apps.report.page.html import page_html, write_page
from spectral_tf.apps.report.page.parts import (
    Details,
    Page,
    Section,
    Table,
)
from spectral_tf.apps.report.page.words import (
    shortened,
)
from spectral_tf.config import ConfigError, DataError
from tests.apps.report.browser import (
    Elements,
    chromium,
    colours_of,
    open_page,
    policy_source,
)
from tests.apps.report.pages import (
    EVIL,
    accuracy,
    alarms,
    evil,
    heat,
    sample,
)

ALLOWED = (
    "html head meta title link style template body a header h1 p div nav ol li details "
    "summary main section h2 dl dt dd span figure h3 button img figcaption table "
    "caption thead tbody tr th td strong footer script"
)


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
