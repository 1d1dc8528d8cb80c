"""How long rows are kept: where a query finds what a session has long forgotten.

A session of carengine keeps the rows of joins, groups and sequences for its horizon, 30 days unless
it is told otherwise, where the rule itself sets no bound (`StreamOptions`). A query in another
language looks at all data that it is given. ``note_retention`` says so of a translation, unless the
rule's own bounds make it no difference.
"""

from __future__ import annotations

from .. import ir
from .translation import Findings

RETENTION = (
    "events are related however far apart they are; a session of carengine forgets what the rule "
    "sets no bound to after its horizon (30 days unless told otherwise)"
)


def note_retention(plan: ir.Plan, findings: Findings) -> None:
    """Notes that a query keeps what a session forgets, where a part of the plan has no bound."""
    for part in ir.every_plan((plan,)):
        if _is_open(part):
            findings.differs(RETENTION, getattr(part, "span", None))


def _is_open(plan: ir.Plan) -> bool:
    """Whether rows of a plan's own node may be any time apart.

    A join counts as bounded only if there are as many bounds in words as pairs of neighbours.
    """
    match plan:
        case ir.Group(_, _, within) | ir.Sequence(within=within):
            return within is None
        case ir.Join(branches, condition):
            bounds = sum(
                isinstance(part, ir.Duration)
                for atom in ir.atoms(condition)
                for value in ir.values_of(atom)
                for part in ir.values_in(value)
            )
            return bounds < len(branches) - 1
        case _:
            return False
