"""The ``sensor`` of an entry, read from YAML: see `carengine.fieldmap.sensors`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from attrs import frozen

from .. import ir, yamltext
from ..datamodel import model
from ..diagnostics import Span
from ..syntax.parser import MICROSECONDS
from .deferred import Deferred, Maker
from .sensors import LOWEST_RANK, TIME, Sensor

_KEYS = ("name", "of", "rank", "by", "within", "time")
_LENGTH = re.compile(r"([0-9]{1,6}) ?([A-Za-z]{1,12})", re.ASCII)
_LONGEST = 3_600_000_000


@frozen
class SensorReader:
    """Reads ``sensor`` of an entry. ``maker`` gives what makes the value of an expression,
    ``wrong`` takes what is to be complained of, ``deferred`` leaves values to be made when they
    are asked for."""

    maker: Callable[[yamltext.Node], Maker | None]
    wrong: Callable[[str, Span], None]
    deferred: bool

    def read(
        self, node: yamltext.Node | None, kind: ir.EventKind, fields: Mapping[str, Maker]
    ) -> Sensor | None:
        """The sensor of a node; ``kind`` and ``fields`` are the entry's."""
        if node is None:
            return None
        if not isinstance(node, yamltext.Mapping):
            self.wrong("sensor is a mapping of keys", node.span)
            return None
        parts: dict[str, yamltext.Node] = {}
        for key, value in node.entries:
            if key.text in _KEYS:
                parts[key.text] = value
            else:
                self.wrong(f"sensor has no key {key.text}: {', '.join(_KEYS)}", key.span)
        missing = [name for name in ("name", "by", "within") if name not in parts]
        if missing:
            self.wrong(f"sensor needs {', '.join(missing)}", node.span)
            return None
        of = self._kind(parts.get("of"), kind)
        values = self._values(parts["by"], of, fields)
        if TIME in parts:
            clock = self.maker(parts[TIME])
            if clock is not None:
                values[TIME] = clock
        made: Mapping[str, ir.Value] = Deferred(values)
        return Sensor(
            self._text(parts["name"]),
            of,
            self._length(parts["within"]),
            self._rank(parts.get("rank")),
            made if self.deferred else dict(made),
        )

    def _kind(self, node: yamltext.Node | None, kind: ir.EventKind) -> ir.EventKind:
        if node is not None:
            object_, _, action = self._text(node).partition("/")
            kind = ir.EventKind(object_, action)
            spec = model().object(object_)
            if spec is None or spec.action(action) is None:
                self.wrong(f"the data model has no {kind}", node.span)
        return kind

    def _values(
        self, node: yamltext.Node, of: ir.EventKind, fields: Mapping[str, Maker]
    ) -> dict[str, Maker]:
        spec = model().object(of.object)
        known = {} if spec is None else spec.fields
        made: dict[str, Maker] = {}
        if isinstance(node, yamltext.ListNode):
            for item in node.items:
                name = self._text(item)
                if name in fields:
                    made[name] = fields[name]
                else:
                    self.wrong(f"the entry gives no field {name}", item.span)
        elif isinstance(node, yamltext.Mapping):
            for key, written in node.entries:
                if key.text not in known:
                    self.wrong(f"{of.object} has no field {key.text}", key.span)
                    continue
                maker = self.maker(written)
                if maker is not None:
                    made[key.text] = maker
        if not made:
            self.wrong("by is a list of fields, or a mapping from fields to values", node.span)
        made.pop(TIME, None)
        return made

    def _text(self, node: yamltext.Node) -> str:
        if isinstance(node, yamltext.Scalar) and isinstance(node.value, str) and node.value:
            return node.value
        self.wrong("a text is needed here", node.span)
        return ""

    def _rank(self, node: yamltext.Node | None) -> int:
        match node:
            case None:
                return LOWEST_RANK
            case yamltext.Scalar(int() as rank) if not isinstance(rank, bool):
                return rank
            case _:
                self.wrong("rank is a whole number", node.span)
                return LOWEST_RANK

    def _length(self, node: yamltext.Node) -> int:
        found = _LENGTH.fullmatch(self._text(node))
        unit = "" if found is None else found[2].lower()
        size = MICROSECONDS.get(unit) or MICROSECONDS.get(unit.removesuffix("s"))
        if found is None or size is None or not 0 < int(found[1]) * size <= _LONGEST:
            self.wrong("within is a length of time of at most an hour, such as 5 s", node.span)
            return 1
        return int(found[1]) * size
