"""carengine, as a user has it: `load_rules`, an `Engine` with the default field maps, `feed_line`."""

from __future__ import annotations

from collections.abc import Iterable

from protocol import Loaded, Rules, serve

import carengine


def load(rules: Rules) -> Loaded:
    """The engine of all rules."""
    found = carengine.load_rules(*rules.files.values())
    feed = carengine.Engine(found).session().feed_line

    def one(number: int, line: bytes) -> Iterable[str]:
        return [match.rule.id for match in feed(line)]

    refused = {draft.id: draft.diagnostics[0].message for draft in found.refused}
    return Loaded(carengine.__version__, len(found), one, refused=refused)


if __name__ == "__main__":
    serve(load)
