"""Programs as values: what follows from them, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectral_tf.config import ConfigError, parse_schedule
from spectral_tf.constructive.explain import explained
from spectral_tf.constructive.power_method import VARIANTS, power_method_composition
from spectral_tf.constructive.program import Series, series

PROGRAMS = st.recursive(
    st.integers(0, 5),
    lambda inner: st.builds(
        lambda parts, times: series(*parts) * times,
        st.lists(inner, min_size=1, max_size=4),
        st.integers(0, 3),
    ),
    max_leaves=12,
).map(lambda part: series(part))


def expanded(part):
    """The visits, written the other way round."""
    if not isinstance(part, Series):
        return [part]
    return [step for inner in part.parts for step in expanded(inner)] * part.times


@given(PROGRAMS)
def test_blocks_text_and_visits_say_the_same(program):
    visits = [*program.visits()]
    assert visits == expanded(program)
    steps = program.steps()
    assert list(steps) == list(dict.fromkeys(visits))
    if not visits:
        assert program.schedule(steps) == str(program) == ""
        return
    order = parse_schedule(program.schedule(steps))
    assert [steps[index] for index in order] == visits
    # The same program over other steps, and numbered another way.
    moved = program.mapped(lambda step: step + 10)
    assert [*moved.visits()] == [step + 10 for step in visits]
    backwards = steps[::-1]
    order = parse_schedule(program.schedule(backwards))
    assert [backwards[index] for index in order] == visits
    assert str(moved).replace("1", "").count("*") == str(program).count("*")


@given(PROGRAMS, st.integers(0, 3), st.integers(0, 3))
def test_products_multiply(program, first, second):
    assert [*(program * first * second).visits()] == [*program.visits()] * (
        first * second
    )


def test_a_text_has_no_bracket_that_says_nothing():
    schedule = lambda program: program.schedule((0, 1, 2))
    assert schedule(series(0, series(1, 2) * 1, series(1) * 3)) == "0 1 2 1*3"
    assert schedule(series(series(1) * 2) * 3) == "(1*2)*3"
    assert schedule(series(0, series(1, series(2) * 0) * 2, series())) == "0 1*2"
    with pytest.raises(ConfigError, match="cannot run -1 times"):
        series(0).__mul__(-1)


def test_a_gadget_is_the_same_block_wherever_it_stands():
    composition = power_method_composition(5, 3, 9)
    assert str(composition.program) == (
        "centre (multiply (squared_norm scale deflate)*3)*6 "
        "(multiply squared_norm scale deflate)*3 (squared_norm scale deflate)*2 "
        "squared_norm scale polish*2 deflate polish image rayleigh"
    )
    names = [gadget.name for gadget in composition.gadgets]
    assert len(set(names)) == len(names) == 8


@pytest.mark.parametrize("variant", VARIANTS)
def test_places_are_where_gadgets_of_that_name_run(variant):
    composition = power_method_composition(4, 2, 7, variant)
    names = [composition.gadgets[index].name for index in composition.order]
    for name in set(names):
        places = composition.places(name)
        assert list(places) == [at for at, other in enumerate(names) if other == name]
    total = sum(len(composition.places(name)) for name in set(names))
    assert total == len(composition.order)
    runs = {block["block"]: block["runs"] for block in explained(composition)}
    assert sum(runs.values()) == total
    np.testing.assert_array_equal(
        np.bincount(composition.order), [runs[index] for index in range(len(runs))]
    )


def test_an_unknown_name_is_answered_with_the_names_there_are():
    composition = power_method_composition(4, 2, 7, "rms")
    with pytest.raises(ConfigError, match=r"no gadget is named 'scale'.*multiply"):
        composition.places("scale")
