"""Run the shipped rules over files, and account for everything that was not looked at.

It prints::

    CAR-2013-02-003: Processes Spawning cmd.exe, record 1
    CAR-2013-07-001: Suspicious Arguments, record 1
    CAR-2021-01-006: Unusual Child Process spawned using DDE exploit, record 1
    CAR-2019-08-001: Credential Dumping via Windows Task Manager, record 2
    4 records, 1 unreadable
      CE502 events.jsonl:4: record 4 is not JSON: Expecting value at character 1
    3 events, 1 not recognised by any field map
"""

from __future__ import annotations

from pathlib import Path

import carengine

EVENTS = Path(__file__).with_name("events.jsonl")


def main() -> None:
    """Search the events beside this program."""
    rules = carengine.load_rules(carengine.shipped_rules())
    for diagnostic in rules.diagnostics:  # refused or repaired rules; of those that ship, none
        print(diagnostic.where, diagnostic.message)

    session = carengine.Engine(rules).session()
    reading = carengine.read_events(EVENTS)
    for record in reading:
        for match in session.feed(record.event):
            print(f"{match.rule.id}: {match.rule.metadata.title}, record {record.number}")
    for match in session.flush():  # what only the end of the data decides
        print(f"{match.rule.id}: {match.rule.metadata.title}")

    stats = session.stats
    print(f"{reading.records} records, {reading.unreadable} unreadable")
    for diagnostic in reading.diagnostics:
        print(f"  {diagnostic.code.id} {Path(diagnostic.where).name}: {diagnostic.message}")
    print(f"{stats.events} events, {stats.unrecognised} not recognised by any field map")


if __name__ == "__main__":
    main()
