"""A real browser for tests of pages: it opens a file and tells all that happened."""

import base64
import contextlib
import dataclasses
import hashlib
import io
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@dataclasses.dataclass(frozen=True)
class OpenPage:
    """A page that is open, and what it did so far.

    Attributes:
        page: playwright's page.
        messages: what came to the console, and errors that nobody caught.
        requests: addresses that were asked for, the file's own among them; data
            addresses are none.
        dialogs: texts of dialogs; each was dismissed.
    """

    page: Any
    messages: list[str]
    requests: list[str]
    dialogs: list[str]

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window; more than 0 is a fault."""
        width = "document.documentElement.scrollWidth - innerWidth"
        return int(self.page.evaluate(width))

    def wait_for_figures(self, seconds: float = 20) -> int:
        """How many figures the page drew; waits until all did."""
        count = self.page.locator("html").get_attribute("data-figures")
        # Not wait_for_function: it evaluates a string, which the page's policy refuses.
        drawn = f'html[data-drawn="{count}"]'
        self.page.wait_for_selector(drawn, state="attached", timeout=1000 * seconds)
        return int(count)

    def screenshot(self, path: Path | None = None, selector: str = "") -> np.ndarray:
        """`[height, width, 3]` pixels of the whole page or of one element."""
        if selector:
            data = self.page.locator(selector).first.screenshot(path=path)
        else:
            data = self.page.screenshot(path=path, full_page=True)
        return pixels(data)


def colours_of(image: np.ndarray) -> int:
    """How many different colours a picture has; an empty one has few."""
    return len(np.unique(image.astype(np.int32) @ [65536, 256, 1]))


class Elements(HTMLParser):
    """The elements of a document, and its texts.

    Attributes:
        tags: `(name, attributes)` of every element, in their order.
        raw: the texts of scripts and of styles, as they stand.
        seen: all other texts, as a reader sees them.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.seen: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.raw.get(self.cdata_elem or "", self.seen).append(data)

    def of(self, tag: str) -> list[dict[str, Any]]:
        """Attributes of the elements of one name."""
        return [attrs for name, attrs in self.tags if name == tag]


def policy_source(text: str) -> str:
    """How a content-security policy names a script or a style by its hash."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def pixels(png: bytes) -> np.ndarray:
    """`[height, width, 3]` of a picture."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def has_colour(image: np.ndarray, colour: str, within: int = 45) -> bool:
    """Whether a pixel is close to a colour; thin lines are blended."""
    goal = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return bool((np.abs(image.astype(int) - goal).max(axis=-1) <= within).any())


def contrast(one: str, other: str) -> float:
    """Of two colours, 1 to 21; WCAG 2.2, relative luminance."""
    lights = []
    for colour in (one, other):
        parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
        steep = ((parts + 0.055) / 1.055) ** 2.4
        linear = np.where(parts <= 0.04045, parts / 12.92, steep)
        lights.append(float(linear @ [0.2126, 0.7152, 0.0722]))
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """The system's chromium; the test is skipped where there is none."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: no browser test"
    )
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium is installed: no browser test")
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def open_page(
    path: Path,
    width: int = 1280,
    javascript: bool = True,
    *,
    browser: Any = None,
    scheme: str = "light",
) -> Iterator[OpenPage]:
    """Open a file in a window of some width.

    Args:
        path: HTML file.
        width: pixels of the window.
        javascript: False: as a reader without it.
        browser: from `chromium`, to be shared; a new one if None.
        scheme: "light" or "dark".

    Yields:
        The page, loaded; its figures may still be drawing.
    """
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(chromium()) if browser is None else browser
        context = own.new_context(
            viewport={"width": width, "height": 900},
            java_script_enabled=javascript,
            color_scheme=scheme,
        )
        stack.callback(context.close)
        page = context.new_page()
        opened = OpenPage(page, [], [], [])
        page.on(
            "console", lambda each: opened.messages.append(f"{each.type}: {each.text}")
        )
        page.on("pageerror", lambda each: opened.messages.append(f"error: {each}"))
        page.on("request", lambda each: _note_request(opened, each.url))
        page.on("dialog", lambda each: _dismiss(opened, each))
        page.goto(path.resolve().as_uri())
        yield opened


def _note_request(opened: OpenPage, address: str) -> None:
    if not address.startswith("data:"):
        opened.requests.append(address)


def _dismiss(opened: OpenPage, dialog: Any) -> None:
    opened.dialogs.append(dialog.message)
    dialog.dismiss()
