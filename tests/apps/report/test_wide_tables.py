"""What a table of a page cuts off is seen to be cut off."""

import pytest

from spectral_tf.apps.report.page.html import write_page
from spectral_tf.apps.report.page.parts import Page, Section, Table, Text
from tests.apps.report.browser import chromium, open_page

ROWS = 40


def table(columns, rows=2):
    head = tuple(Text(f"measurement_{i}", f"測定値_{i}") for i in range(columns))
    cells = tuple(f"value_{i}_of_the_row" for i in range(columns))
    return Table("A table", head, (cells,) * rows)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    parts = {"narrow": table(1), "wide": table(14), "tall": table(1, ROWS)}
    for name, part in parts.items():
        page = Page("Tables", "One.", (Section("one", "One", (part,)),))
        for lang in ("en", "ja"):
            write_page(page, folder / f"{name}-{lang}.html", lang=lang)
    return folder


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def marks(opened):
    """Classes of the table's frame, and the hints that are shown."""
    frame = opened.page.locator(".sheet")
    kinds = {*frame.get_attribute("class").split()} - {"sheet"}
    hints = {n for n in ("aside", "below") if frame.locator(f".{n}").is_visible()}
    return kinds, hints


def scroll(opened, until, aside=0, below=0):
    """Turn the wheel, and wait for the frame that `until` selects."""
    box = opened.page.locator(".scroll").bounding_box()
    opened.page.mouse.move(box["x"] + 30, box["y"] + min(box["height"], 200) / 2)
    opened.page.mouse.wheel(aside, below)
    opened.page.wait_for_selector(until)


def edge(opened, *, right):
    """`[3]` mean colour of the last row at one edge of the table."""
    image = opened.screenshot(selector=".scroll")
    strip = image[-14:-4, -7:-3] if right else image[-14:-4, 3:7]
    return strip.reshape(-1, 3).mean(axis=0)


@pytest.mark.parametrize(("lang", "width"), [("en", 1280), ("ja", 400)])
def test_a_wide_table_says_so_until_its_end_is_seen(files, browser, lang, width):
    path = files / f"wide-{lang}.html"
    with open_page(path, width, browser=browser) as opened:
        opened.page.wait_for_selector(".sheet.right")
        assert marks(opened) == ({"right"}, {"aside"})
        word = opened.page.locator(".sheet .aside").text_content()
        assert "→" in word
        shaded = edge(opened, right=True)
        scroll(opened, ".sheet.left:not(.right)", aside=20_000)
        assert marks(opened) == ({"left"}, {"aside"})
        assert edge(opened, right=True).min() > shaded.max() + 10
        assert opened.overflow() <= 0
        assert opened.messages == []
        opened.page.emulate_media(media="print")
        assert marks(opened)[1] == set()


@pytest.mark.parametrize("width", [1280, 400])
def test_a_table_that_fits_says_nothing(files, browser, width):
    with open_page(files / "narrow-en.html", width, browser=browser) as opened:
        opened.page.wait_for_timeout(300)
        assert marks(opened) == (set(), set())
        light = edge(opened, right=True)
        assert light.min() > 245


def test_a_long_table_says_that_there_are_more_rows(files, browser):
    with open_page(files / "tall-en.html", 1280, browser=browser) as opened:
        opened.page.wait_for_selector(".sheet.down")
        assert marks(opened) == ({"down"}, {"below"})
        scroll(opened, ".sheet:not(.down)", below=20_000)
        assert marks(opened)[0] == set()


@pytest.mark.parametrize("width", [1280, 400])
def test_without_javascript_the_edge_is_shaded(files, browser, width):
    path = files / "wide-en.html"
    with open_page(path, width, javascript=False, browser=browser) as opened:
        wide = edge(opened, right=True)
    path = files / "narrow-en.html"
    with open_page(path, width, javascript=False, browser=browser) as opened:
        assert edge(opened, right=True).min() > wide.max() + 10
