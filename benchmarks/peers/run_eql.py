"""python-eql: queries as analytics of its ``PythonEngine``, which events are streamed to.

The queries are carengine's translations of the rules; its own parser reads them here.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version

import orjson
from eql.ast import EqlAnalytic
from eql.engine import PythonEngine
from eql.events import Event
from eql.parser import parse_query
from protocol import Loaded, Rules, serve, why


def load(rules: Rules) -> Loaded:
    """An engine of all queries that it parses."""
    engine = PythonEngine({"flatten": False})
    loaded = Loaded(version("eql"), 0)
    found: list[str] = []
    for name, path in rules.files.items():
        try:
            query = parse_query(path.read_text(encoding="utf-8"), implied_any=True)
            engine.add_analytic(EqlAnalytic(query=query, metadata={"id": name}))
            loaded.rules += 1
        except Exception as error:
            loaded.refused[name] = why(error)
    engine.add_output_hook(lambda result: found.append(result.analytic_id))

    def one(number: int, line: bytes) -> Iterable[str]:
        found.clear()
        engine.stream_event(Event("generic", number, orjson.loads(line)))
        return tuple(found)

    loaded.one = one
    return loaded


if __name__ == "__main__":
    serve(load)
