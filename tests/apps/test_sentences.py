"""Sentences in two languages: the files agree with each other and with the code."""

import ast
import fnmatch
import itertools
import re
import string
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from spectral_tf.apps.report.page import sentences as of_pages
from spectral_tf.apps.report.page.parts import Text
from spectral_tf.apps.report.page.sentences import Sentences, filled
from spectral_tf.apps.studies import words as of_studies
from tests.test_wording import PLURAL

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "spectral_tf"
BOOKS = {
    "apps/studies": of_studies.say,
    "apps/report/page": of_pages.say,
}
"""Folder -> its sentences; those of the room are said by all files below it."""
ENGLISH_ALONE = {"stock.kinds.note": {"week"}}
"""Placeholders that the Japanese sentence goes without."""
MEANS = {("shipping.feature.items.phrase", "value")}
"""Places before a noun in the plural for numbers with decimals."""
JAPANESE = re.compile(r"[\u3000-\u30ff\u4e00-\u9fff\uff01-\uff5e]")
PROBE = PACKAGE / "apps" / "report" / "page" / "fonts.py"
"""Holds two letters by which a font is tried."""


def keys_of(folder: str) -> dict[str, dict[str, str]]:
    """Language -> key -> sentence, as in the files."""
    book = BOOKS[folder]
    return {lang: dict(book._files[lang]) for lang in ("en", "ja")}


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def spoken(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """How a sentence is asked for - say, table, joined, template - and the call."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        target = node.func
        if isinstance(target, ast.Name) and target.id == "say":
            yield "say", node
        elif isinstance(target, ast.Attribute) and ast.unparse(target.value) == "say":
            yield target.attr, node


def calls_of(folder: str) -> list[tuple[str, str, ast.Call, Path]]:
    """How, key, call and file, for all calls below a folder."""
    found = []
    for path in sorted((PACKAGE / folder).rglob("*.py")):
        for how, call in spoken(ast.parse(path.read_text("utf-8"))):
            key = call.args[0]
            assert isinstance(key, ast.Constant), f"{path}:{call.lineno} has no key"
            found.append((how, str(key.value), call, path))
    return found


def is_used(key: str, calls: list[tuple[str, str, ast.Call, Path]]) -> bool:
    return any(
        key.startswith(f"{name}.") if how == "table" else key == name
        for how, name, _, _ in calls
    )


@pytest.mark.parametrize("folder", BOOKS)
def test_both_languages_have_the_same_keys_and_placeholders(folder):
    english, japanese = keys_of(folder).values()
    assert english.keys() == japanese.keys()
    for key, sentence in english.items():
        alone = placeholders(sentence) ^ placeholders(japanese[key])
        assert alone == ENGLISH_ALONE.get(key, set()), key


@pytest.mark.parametrize("folder", BOOKS)
def test_every_key_is_used_and_every_key_that_is_used_is_there(folder):
    calls, keys = calls_of(folder), keys_of(folder)["en"]
    assert [key for key in keys if not is_used(key, calls)] == []
    lacking = [
        f"{path.name}:{call.lineno} {name}"
        for how, name, call, path in calls
        if not any(is_used(key, [(how, name, call, path)]) for key in keys)
    ]
    assert lacking == []


@pytest.mark.parametrize("folder", BOOKS)
def test_a_sentence_gets_the_values_that_it_has_places_for(folder):
    english = keys_of(folder)["en"]
    for how, key, call, path in calls_of(folder):
        if how != "say":
            continue
        values = {word.arg for word in call.keywords}
        needed = placeholders(english[key])
        where = f"{path.name}:{call.lineno} {key}"
        # With `**` among them, the others are in a dictionary.
        assert values - {None} <= needed, where
        assert None in values or values == needed, where


def test_no_japanese_is_in_the_code():
    for path in sorted(PACKAGE.rglob("*.py")):
        if path != PROBE:
            assert not JAPANESE.search(path.read_text("utf-8")), path


@pytest.mark.parametrize("folder", BOOKS)
def test_english_sentences_keep_the_rules_of_wording(folder):
    for key, sentence in keys_of(folder)["en"].items():
        assert not JAPANESE.search(sentence), key
        assert not re.search(r"(\d|^) %(?![\w(])", sentence), key
        parts = [*string.Formatter().parse(sentence)]
        for (_, name, spec, _), (text, *_) in itertools.pairwise(parts):
            may_count = name and "." not in (spec or "") and (key, name) not in MEANS
            assert not (may_count and PLURAL.match(text)), f"{key}: {name}:count"


def test_the_wheel_carries_the_files():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    globs = project["tool"]["setuptools"]["package-data"]["spectral_tf"]
    files = [path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.toml")]
    assert sorted(files) == sorted(
        f"{f}/{lg}.toml" for f in BOOKS for lg in ("en", "ja")
    )
    for file in files:
        assert any(fnmatch.fnmatch(file, each) for each in globs), file


def test_those_checks_see_what_they_look_for():
    code = 'say("a.b", x=1)\nsay.table("c")\nsay.joined("d", [])\nother("e")'
    calls = [(how, ast.literal_eval(c.args[0])) for how, c in spoken(ast.parse(code))]
    assert calls == [("say", "a.b"), ("table", "c"), ("joined", "d")]
    assert placeholders("{a:count row} {b!r}{{c}} {d:.1%}") == {"a", "b", "d"}
    node = ast.parse("f()").body[0]
    assert isinstance(node, ast.Expr)
    assert isinstance(node.value, ast.Call)
    assert is_used("c.d", [("table", "c", node.value, PROBE)])
    assert not is_used("cd", [("table", "c", node.value, PROBE)])
    assert not is_used("a.b.c", [("say", "a.b", node.value, PROBE)])


@pytest.mark.parametrize(
    ("template", "values", "written"),
    [
        ("{n:count row}", {"n": 1}, "1 row"),
        ("{n:count entry|entries}", {"n": 1200}, "1,200 entries"),
        ("{n:is|are} {n:,}", {"n": 1000}, "are 1,000"),
        ("{x:.1%} of {name!r}", {"x": 0.123, "name": "a"}, "12.3% of 'a'"),
        ("{text:capital}, {text}", {"text": Text("the end", "-")}, "The end, the end"),
        ("{{x}} {x}", {"x": "{y}"}, "{x} {y}"),
    ],
)
def test_a_place_is_filled_as_it_says(template, values, written):
    assert filled(Text(template, "-"), **values) == Text(written, "-")


def test_a_text_is_written_in_the_language_of_its_sentence():
    say = Sentences("spectral_tf.apps.studies")
    day = say.table("day")["Tue"]
    assert say("shipping.groups.only", levels=day) == Text("only Tue", f"{day.ja}のみ")
    assert say.joined("list.slash", [day, "x"]) == Text("Tue/x", f"{day.ja}/x")
    assert say.joined("list.slash", []) == Text("", "")


def test_what_is_not_there_is_refused():
    say = Sentences("spectral_tf.apps.studies")
    with pytest.raises(KeyError, match=r"no\.such\.key"):
        say("no.such.key")
    with pytest.raises(KeyError, match="levels"):
        say("shipping.groups.only")
