"""Hunt through a Redis stream; every match is written once, whenever the process is killed.

Entries of the stream hold an event as JSON in the field ``event``. How far the stream was read is
saved with the session, in one step, after the matches have gone to another stream under ids that
come of what made them: what is read again after a kill is added again under the same id, which
Redis refuses.

    redis-server --port 6379 &
    python redis_consumer.py --rules rules --state hunt.state
    redis-cli XADD events '*' event '{"object": "process", "action": "create", "exe": "cmd.exe"}'
"""

from __future__ import annotations

import argparse
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import redis

import carengine

OPTIONS = carengine.StreamOptions(lateness=timedelta(seconds=5))
AT_ONCE = 500


class Consumer:
    """One reader of a stream, with its session."""

    def __init__(self, client: Any, engine: carengine.Engine, state: Path) -> None:
        self.client = client
        self.state = state
        self.session = (
            engine.load_session(state, OPTIONS, update=True)
            if state.exists()
            else engine.session(OPTIONS)
        )
        self.unreadable = 0

    @property
    def position(self) -> str:
        """The id of the last entry that the saved session knows of."""
        return str(self.session.attached.get("position", "0-0"))

    def poll(self, milliseconds: int = 1_000) -> int:
        """Read what is there, at most so many entries; how many there were."""
        read = self.client.xread({"events": self.position}, count=AT_ONCE, block=milliseconds)
        entries = read[0][1] if read else []
        for entry, fields in entries:
            time, _, place = entry.decode().partition("-")
            try:
                event = json.loads(fields[b"event"])
                origin = carengine.Origin("events", int(time))
                found = self.session.feed(event, origin)
            except (KeyError, ValueError, AttributeError):
                self.unreadable += 1
                continue
            for order, match in enumerate(found):
                self.write(f"{time}-{int(place) * 1_000 + order}", match)
        if entries:
            self.session.attached["position"] = entries[-1][0].decode()
            self.session.save(self.state)
        return len(entries)

    def write(self, id_: str, match: carengine.Match) -> None:
        """Add a match to the stream of matches, unless it is there from before a kill."""
        try:
            self.client.xadd("matches", {"match": json.dumps(match.as_json())}, id=id_)
        except redis.ResponseError as error:
            if "equal or smaller" not in str(error):
                raise


def main() -> None:
    """Read the command line and consume until interrupted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rules", default=str(Path(__file__).parent / "rules"))
    parser.add_argument("--state", type=Path, default=Path("hunt.state"))
    parser.add_argument("--url", default="redis://127.0.0.1:6379")
    values = parser.parse_args()
    engine = carengine.Engine(carengine.load_rules(values.rules))
    consumer = Consumer(redis.Redis.from_url(values.url), engine, values.state)
    while True:
        consumer.poll()


if __name__ == "__main__":
    main()
