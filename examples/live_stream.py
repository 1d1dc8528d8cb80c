"""Feed events to a session as they come, save it, and go on in what could be another process.

The rule counts failed logons of one user within ten minutes. The session is told that an event may
come up to one minute after a later one, so a group is reported as soon as no event can change it.

It prints::

    saved after 4 events
    2024-05-20T09:16:00+00:00 {'user': 'ann'} 5 failures
    at the end: []
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import carengine

RULE = """
    failures = search Authentication:Failure
    by_user = group failures by user within 10 minutes
    many = filter by_user where count(*) > 3
    output many
"""
START = datetime(2024, 5, 20, 9, tzinfo=UTC)


def events(first: int, last: int) -> Iterator[dict[str, Any]]:
    """One event for each minute of a stretch; ann fails to log on during the first five."""
    for minute in range(first, last):
        yield {
            "object": "authentication",
            "action": "failure" if minute < 5 else "success",
            "time": (START + timedelta(minutes=minute)).isoformat(),
            "user": "ann",
        }


def main() -> None:
    """Run the stream in two halves."""
    engine = carengine.Engine([carengine.parse_rule(RULE)])
    options = carengine.StreamOptions(lateness=timedelta(minutes=1))

    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "session.state"

        session = engine.session(options)
        for event in events(0, 4):
            assert session.feed(event) == []
        session.save(state)
        print("saved after", session.stats.events, "events")

        session = engine.load_session(state, options)
        for event in events(4, 20):
            for match in session.feed(event):
                print(event["time"], match.keys, len(match.events), "failures")
        print("at the end:", session.flush())


if __name__ == "__main__":
    main()
