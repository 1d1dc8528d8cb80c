"""Damaged evidence: bits flipped, parts cut out, doubled and exchanged between formats.

Whatever is read, nothing is raised, nothing hangs, and the account adds up. A few mutations of each
form here; ``make fuzz`` (``CARENGINE_FUZZ=10000``) does thousands.
"""

from __future__ import annotations

import io
import os
import random
import time
from collections import Counter

import pytest

from carengine.readers import Limits, read_events
from evidence_forms import FORMS

ROUNDS = int(os.environ.get("CARENGINE_FUZZ", "150"))
LIMITS = Limits(total_bytes=64 << 20, record_bytes=1 << 20)
NEEDED = {"7z": "py7zr", "parquet": "pyarrow", "zstandard": "zstandard", "evtx": "evtx"}


def mutated(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """The data with one to four injuries."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        size = len(found)
        at = chance.randrange(size + 1)
        length = min(chance.choice((1, 2, 8, 64, 600, 5000)), size - at)
        match chance.randrange(7):
            case 0 if at < size:
                found[at] ^= 1 << chance.randrange(8)
            case 1 if at < size:
                found[at] = chance.choice(b'\0\xff\n"{}[]<>,=\\')
            case 2:
                del found[at : at + length]
            case 3:
                del found[at:]
            case 4:
                found[at:at] = found[at : at + length]
            case 5:
                other = chance.choice(others)
                start = chance.randrange(len(other) + 1)
                found[at : at + length] = other[start : start + length]
            case _:
                found[at : at + length] = chance.randbytes(length)
    return bytes(found)


@pytest.mark.parametrize("form", FORMS)
def test_damage_costs_only_what_it_hits(form: str) -> None:
    if form in NEEDED:
        pytest.importorskip(NEEDED[form])
    chance = random.Random(form)
    data = FORMS[form][0]()
    others = [FORMS[name][0]() for name in ("lines", "event xml", "csv", "zeek", "audit", "zip")]
    for number in range(ROUNDS):
        hurt = mutated(data, chance, others)
        start = time.monotonic()
        reading = read_events("-", stdin=io.BytesIO(hurt), limits=LIMITS)
        readable = 0
        last: Counter[str] = Counter()
        for record in reading:
            readable += 1
            assert isinstance(record.event, dict)
            assert record.number > last[record.source], (form, number)
            last[record.source] = record.number
        assert reading.records == readable + reading.unreadable, (form, number)
        assert "CE527" not in {code.id for code in reading.found}, (form, number)
        if reading.unreadable or not reading.records:
            assert reading.diagnostics, (form, number)
        # Generous, because the machine may be busy: what is meant is that nothing hangs.
        assert time.monotonic() - start < 20, (form, number)
