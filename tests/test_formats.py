"""Formats of evidence: each gives the same events, and says what it cannot read."""

from __future__ import annotations

import io

import pytest

from carengine.readers import Reading, Record, read_events
from evidence_forms import FORMS

NEEDED = {"parquet": "pyarrow", "zstandard": "zstandard", "evtx": "evtx"}


def read(data: bytes) -> tuple[list[Record], Reading]:
    reading = read_events("-", stdin=io.BytesIO(data))
    return list(reading), reading


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_its_events(form: str) -> None:
    if form in NEEDED:
        pytest.importorskip(NEEDED[form])
    make, expected = FORMS[form]
    records, reading = read(make())
    assert [d.message for d in reading.diagnostics] == []
    number = expected if isinstance(expected, int) else len(expected)
    assert (len(records), reading.records, reading.unreadable) == (number, number, 0)
    assert [record.number for record in records] == list(range(1, number + 1))
    if not isinstance(expected, int):
        assert [record.event for record in records] == expected
