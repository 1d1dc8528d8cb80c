"""What all tests share.

Hypothesis draws the same examples each time, so that a test that passes, passes.
``CARENGINE_FUZZ=2000`` draws that many new ones a test instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from carengine.datamodel import declared_for_now

# Tests read rules afresh, and leave nothing in the home of who runs them.
os.environ["CARENGINE_CACHE"] = ""

_PATIENT = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "fixed", deadline=None, derandomize=True, database=None, suppress_health_check=_PATIENT
)
settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=int(os.environ.get("CARENGINE_FUZZ") or 100),
    suppress_health_check=_PATIENT,
)
settings.load_profile("fuzz" if os.environ.get("CARENGINE_FUZZ") else "fixed")


@pytest.fixture(autouse=True)
def _declared_for_one_test() -> Iterator[None]:
    """What a test declares beside CAR's objects, no other test knows."""
    with declared_for_now():
        yield
