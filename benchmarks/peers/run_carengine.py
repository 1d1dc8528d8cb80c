"""carengine, as a user has it: `load_rules`, an `Engine` with the default field maps, `feed_lines`."""

from __future__ import annotations

from collections.abc import Iterable

from protocol import Loaded, Pair, Rules, serve

import carengine


def load(rules: Rules) -> Loaded:
    """The engine of all rules."""
    found = carengine.load_rules(*rules.files.values())
    feed = carengine.Engine(found).session().feed_lines

    def several(first: int, lines: list[bytes]) -> Iterable[Pair]:
        return [(first + place, m.rule.id) for place, matches in feed(lines) for m in matches]

    refused = {draft.id: draft.diagnostics[0].message for draft in found.refused}
    return Loaded(carengine.__version__, len(found), several=several, at_once=256, refused=refused)


if __name__ == "__main__":
    serve(load)
