"""Compositions are what they were: order of blocks, configuration, every byte."""

import json

import pytest

from spectral_tf.config import parse_schedule
from tests.constructive.golden import FILE, arithmetic, cases, described

GOLDEN = json.loads(FILE.read_text(encoding="utf-8"))
CASES = cases()
VARIANTS = sorted({name.split()[0] for name in CASES})


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_order_and_weights_are_equal_to_the_last_byte(variant):
    is_equal = GOLDEN["arithmetic"] == arithmetic()
    for name in (name for name in CASES if name.split()[0] == variant):
        wanted, got = dict(GOLDEN["cases"][name]), described(*CASES[name]())
        if not is_equal:
            del wanted["params"], got["params"]
        size = wanted["size"]
        for key in ("sum", "size"):
            value = got.pop(key)
            assert value == pytest.approx(wanted.pop(key), abs=1e-5 * size), name
        texts = wanted.pop("schedule"), got.pop("schedule")
        assert got == wanted, name
        # The text may be written better, not mean anything else.
        assert (texts[0] is None) == (texts[1] is None), name
        if texts[0] is not None:
            assert parse_schedule(texts[0]) == parse_schedule(texts[1]), name
            assert len(texts[1]) <= len(texts[0]), name


def test_no_case_is_lost():
    assert list(CASES) == list(GOLDEN["cases"])
    assert len(CASES) >= 68
