"""Each function of field maps has all its parts, or says why not; its traits are true of it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from carengine.functions import FUNCTIONS, call
from carengine.languages.map_functions import SPELLINGS, Cases, Preimage, Unspelled
from strategies import values

TEXT_ONLY = sorted(name for name, function in FUNCTIONS.items() if function.text_only)
RESPELL = sorted(name for name, function in FUNCTIONS.items() if function.respells)


def test_every_function_has_its_spellings_or_a_reason() -> None:
    assert set(SPELLINGS) == set(FUNCTIONS)
    for name, spelling in SPELLINGS.items():
        assert spelling.name == name
        preimage = spelling.preimage
        parts: list[object] = [preimage, spelling.sql, spelling.spl]
        if isinstance(preimage, Preimage):
            parts.append(preimage.match)
        for part in parts:
            if isinstance(part, Unspelled):
                assert part.reason, name
            else:
                assert isinstance(part, Preimage | Cases) or callable(part), name
        if spelling.spl_compares:
            assert not isinstance(spelling.spl, Unspelled), name


def test_what_changes_a_spelling_takes_one_text() -> None:
    """Who follows a field through such a function looks at its only argument."""
    for name in RESPELL:
        assert (FUNCTIONS[name].least, FUNCTIONS[name].most) == (1, 1), name
        assert FUNCTIONS[name].strict, name


mappings = st.dictionaries(st.sampled_from(["a", "b", "Name"]), values(), max_size=2)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(TEXT_ONLY), st.data())
def test_all_mappings_are_alike_to_functions_of_texts(name: str, data: st.DataObject) -> None:
    """The matcher knows only that a mapping is there: a wrong trait would cost matches."""
    function = FUNCTIONS[name]
    count = data.draw(st.integers(function.least, min(function.most, function.least + 3)))
    one: list[Any] = []
    other: list[Any] = []
    for _ in range(count):
        value = data.draw(st.one_of(values(), mappings))
        one.append(value)
        other.append(data.draw(mappings) if isinstance(value, dict) else value)
    first, second = call(name, one), call(name, other)
    if isinstance(first, dict):
        assert isinstance(second, dict), name
    else:
        assert first == second, name
