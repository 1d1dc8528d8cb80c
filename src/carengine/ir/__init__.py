"""The intermediate representation: what a rule means, with every name resolved.

The IR is the narrow waist. The resolver writes it; field maps lower it; the engine, the
translators and the checker read it. It has three kinds of nodes, all frozen and hashable:

* **values**, which an event (or a row) gives: a field, a constant, an expression over them;
* **conditions**, which are true, false or unknown of an event;
* **plans**, which are streams of rows: a search, a filter of a plan, a join of plans, …

The seed rule::

    Program(outputs=(Output("lsass_dump",
        Filter(
            Search((EventKind("file", "create"),)),
            And((
                Match(Field("file_name"), (Pattern("lsass*.dmp"),)),
                Match(Field("image_path"), (Pattern("C:\\Windows\\*\\taskmgr.exe"),)),
            )))),))

A *row* is what flows through a plan. Over a search it is one CAR event. Over a join it has one
row for each branch, reached by ``Field(name, source=branch)``. Over a grouping
projection it has the projected columns.

Plans are shared between the streams built on them, so hashes are cached: computing them afresh each
time would be exponential. Before lowering, values read ``Field``; afterwards they read ``Raw`` and
``Call``. ``time`` is a field like any other.

``nodes`` has the nodes, ``walking`` what goes through them and rewrites them, ``stages`` the plans
that one event at a time decides.
"""

from .nodes import (
    EVERY,
    SERVICE,
    Aggregate,
    Aggregated,
    And,
    Arithmetic,
    Assign,
    Branch,
    Call,
    Column,
    Compare,
    Condition,
    Constant,
    Difference,
    Distinct,
    Duration,
    EventKind,
    Field,
    Filter,
    Group,
    InNetwork,
    IsNull,
    IsTrue,
    Join,
    Lookup,
    Match,
    Moment,
    Not,
    Now,
    Occurs,
    Or,
    Output,
    Parameter,
    Plan,
    Program,
    Project,
    Rank,
    Raw,
    RawMatch,
    RawRegex,
    Regex,
    Relation,
    Search,
    Truth,
    Type,
    Union,
    Value,
    Whole,
    Window,
)
from .stages import Stage, as_stages
from .traversal import (
    atoms,
    conjunction,
    every_plan,
    fields_in,
    fields_of,
    is_stateless,
    operands,
    plans_below,
    plans_beside,
    rewrite_condition,
    rewrite_operands,
    rewrite_value,
    searched,
    simplify,
    type_of,
    value_is_stateless,
    values_of,
)

__all__ = [
    "EVERY",
    "SERVICE",
    "Aggregate",
    "Aggregated",
    "And",
    "Arithmetic",
    "Assign",
    "Branch",
    "Call",
    "Column",
    "Compare",
    "Condition",
    "Constant",
    "Difference",
    "Distinct",
    "Duration",
    "EventKind",
    "Field",
    "Filter",
    "Group",
    "InNetwork",
    "IsNull",
    "IsTrue",
    "Join",
    "Lookup",
    "Match",
    "Moment",
    "Not",
    "Now",
    "Occurs",
    "Or",
    "Output",
    "Parameter",
    "Plan",
    "Program",
    "Project",
    "Rank",
    "Raw",
    "RawMatch",
    "RawRegex",
    "Regex",
    "Relation",
    "Search",
    "Stage",
    "Truth",
    "Type",
    "Union",
    "Value",
    "Whole",
    "Window",
    "as_stages",
    "atoms",
    "conjunction",
    "every_plan",
    "fields_in",
    "fields_of",
    "is_stateless",
    "operands",
    "plans_below",
    "plans_beside",
    "rewrite_condition",
    "rewrite_operands",
    "rewrite_value",
    "searched",
    "simplify",
    "type_of",
    "value_is_stateless",
    "values_of",
]
