"""Fields that every log with a user has: the account in one spelling, and what kind it is.

They are worked out when a rule asks for them, from the fields beside them, and are not among those
that an event shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import functions, ir

ACCOUNT_FIELDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "account": ("account_name", ("ad_domain",)),
    "account_type": ("account_type", ("uid", "sid")),
}
"""Each field with its function, and the fields of which the first may go with ``user``."""


def account_value(name: str, fields: Mapping[str, ir.Value]) -> ir.Value | None:
    """The expression for such a field: what the map itself gives, or else what follows from the
    others; None where it gives nothing of the kind."""
    function, others = ACCOUNT_FIELDS[name]
    own, user = fields.get(name), fields.get("user")
    if user is None:
        return own
    beside = [fields[other] for other in others if other in fields]
    first = [beside[0] if len(beside) == 1 else ir.Call("first", tuple(beside))] if beside else []
    made = ir.Call(function, (user, *first))
    return made if own is None else ir.Call("first", (own, made))


def account_of(name: str, fields: Mapping[str, Any]) -> Any:
    """The value of such a field, from the values of the others."""
    function, others = ACCOUNT_FIELDS[name]
    beside = [fields[other] for other in others if fields.get(other) is not None]
    return functions.call(function, [fields.get("user"), *beside[:1]])
