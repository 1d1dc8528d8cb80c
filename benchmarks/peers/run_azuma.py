"""azuma: ``Rule.model_validate_file``, then ``rule.match(event)`` for each rule."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version

import orjson
from azuma.schemas import Rule
from protocol import Loaded, Rules, serve, why


def load(rules: Rules) -> Loaded:
    """All rules that azuma reads."""
    taken = []
    loaded = Loaded(version("azuma"), 0)
    for name, path in rules.files.items():
        try:
            taken.append((name, Rule.model_validate_file(path).match))
        except Exception as error:
            loaded.refused[name] = why(error)
    loaded.rules = len(taken)

    def one(number: int, line: bytes) -> Iterable[str]:
        event = orjson.loads(line)
        found = []
        for name, match in taken:
            try:
                if match(event):
                    found.append(name)
            except Exception as error:
                loaded.raised.append((number, name, why(error)))
        return found

    loaded.one = one
    return loaded


if __name__ == "__main__":
    serve(load)
