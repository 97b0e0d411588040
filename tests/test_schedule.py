"""The text that says which block's weights run where."""

import pytest

from spectral_tf.config import ConfigError, parse_schedule


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("0", (0,)),
        ("0 1", (0, 1)),
        ("0*3", (0, 0, 0)),
        ("0 (1 2)*2 3", (0, 1, 2, 1, 2, 3)),
        (" ( 0  1 )*1 2 ", (0, 1, 2)),
        ("0 ((1*2 2)*2 3)*2", (0, *(1, 1, 2, 1, 1, 2, 3) * 2)),
        ("(0 * 2) * 2", (0, 0, 0, 0)),
    ],
)
def test_what_a_schedule_means(text, blocks):
    assert parse_schedule(text) == blocks


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no blocks"),
        ("0 (1", "open bracket"),
        ("0 )*2", "cannot be read from"),
        ("0 (1)", "cannot be read from"),
        ("0 x", "cannot be read from ' x'"),
        ("-1", "cannot be read"),
        ("0*0", "repeats 1 block 0 times"),
        ("()*3", "repeats 0 blocks 3 times"),
        ("0 2", r"never runs the blocks \[1\]"),
        ("1", r"never runs the blocks \[0\]"),
        ("(0*9999)*9999", "10000000"),
    ],
)
def test_a_schedule_that_cannot_be_read_is_named(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_schedule(text)
