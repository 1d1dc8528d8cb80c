"""What a person says a log is: Sigma's log source, perhaps with a condition.

::

    aws/cloudtrail                              a product, and its service or category
    webserver                                   a category, or a service, of any product
    linux/process_creation/auditd               a product, a category and a service
    aws/cloudtrail where eventVersion exists    those events only for which the condition holds
"""

from __future__ import annotations

import re

from attrs import field, frozen

from .. import ir
from ..diagnostics import Block, CarError, Diagnostic, Fix, Source, codes
from ..functions import arities
from .model import NativeNames

_ANY = "*"
_PART = re.compile(r"[\w.+-]{1,128}")
_ALWAYS = ir.Truth(True)
_WHERE = re.compile(r"\s+where\s+", re.IGNORECASE)

RAW = "raw"
"""What ``-m`` takes for the map of events by their own names."""

ECS = ir.EventKind("ecs", "event")
"""The source that Elastic's rules search: any event, under the names of ECS."""

BY_OWN_NAMES = NativeNames(either=True)
"""Fields by the names that an event has for them, dotted or nested."""


@frozen
class NamedLogSource:
    """The log source that events are of. Parts that are not said are empty, all in lower case.

    ``name`` is Sigma's category or service. ``when`` says of which events it is true.

    >>> NamedLogSource.parse("AWS/CloudTrail").kinds
    (EventKind(object='aws', action='cloudtrail'), EventKind(object='*', action='cloudtrail'), \
EventKind(object='aws', action='*'))
    """

    product: str
    name: str
    service: str = ""
    when: ir.Condition = _ALWAYS
    text: str = field(default="", eq=False)

    @classmethod
    def parse(cls, text: str, origin: str = "--logsource") -> NamedLogSource:
        """The log source that a text names. Raises `CarError` (CE407) where it names none.

        >>> NamedLogSource.parse("webserver").name
        'webserver'
        """
        parted = _WHERE.split(text.strip(), maxsplit=1)
        parts = [part.strip().lower() for part in parted[0].split("/")]
        wrong = [part for part in parts if part != _ANY and _PART.fullmatch(part) is None]
        if wrong or len(parts) > 3 or all(part == _ANY for part in parts):
            message = f"{text[:200]!r} is no log source"
            fix = Fix("write product/service, product/category, or a category alone: webserver")
            raise CarError([Diagnostic(codes.BAD_LOG_SOURCE, message, origin=origin, fix=fix)])
        product = parts[0] if len(parts) > 1 else _ANY
        name = parts[1] if len(parts) > 1 else parts[0]
        service = parts[2] if len(parts) == 3 else ""
        when = _condition(parted[1], origin) if len(parted) > 1 else _ALWAYS
        return cls(product, name, service, when, text.strip())

    def __str__(self) -> str:
        return self.text or f"{self.product}/{self.name}"

    @property
    def kinds(self) -> tuple[ir.EventKind, ...]:
        """The kinds of events that rules for this log source search: those for this product, those
        for any, and those for the product whatever the service."""
        own = ir.EventKind(self.product, self.name)
        if self.product == _ANY:
            return (own,)
        return own, ir.EventKind(_ANY, self.name), ir.EventKind(self.product, _ANY)


def _condition(text: str, origin: str) -> ir.Condition:
    from ..resolve import resolve_map_condition
    from ..syntax import parse_value

    expression, found = parse_value(Block.whole(Source(origin, text)))
    if expression is None:
        raise CarError(found)
    resolved = resolve_map_condition(expression, BY_OWN_NAMES.placed, arities())
    if resolved.condition is None:
        raise CarError([*found, *resolved.diagnostics])
    return resolved.condition
