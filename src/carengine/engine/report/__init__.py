"""What is said of a run and of rules beside the matches.

``rule_status`` tells of a whole run why a rule did not match, ``explanation`` of one event why it
does or does not, ``rule_needs`` what rules need against what logs have, ``profile`` what rules
cost, ``examples`` whether rules keep to the examples they carry, ``unrecognised`` what events of no
known shape look like.

The names below are imported when they are first used: a run needs few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .examples import ExampleResult, maps_of_examples, run_examples, run_input_examples
    from .explanation import (
        Explanation,
        Node,
        Test,
        View,
        explain,
        matches_with,
        streams_of,
    )
    from .map_coverage import MapCoverage
    from .profile import (
        FEEDING,
        MERGING,
        PREFILTERING,
        READING,
        WRITING,
        Cost,
        Profile,
    )
    from .rule_needs import Need, RuleNeeds, Supply, needs
    from .rule_status import (
        FIRST_EVENTS,
        RARE,
        FieldCoverage,
        ObservedFields,
        Outcome,
        RuleStatus,
        events_wanted,
        kind_names,
        missing_source,
        rule_statuses,
        with_only,
    )
    from .unrecognised import KnownLook, UnrecognisedShapes

_MODULES = {
    "examples": ("ExampleResult", "maps_of_examples", "run_examples", "run_input_examples"),
    "explanation": (
        *("Explanation", "Node", "Test", "View"),
        *("explain", "matches_with", "streams_of"),
    ),
    "map_coverage": ("MapCoverage",),
    "profile": (
        *("FEEDING", "MERGING", "PREFILTERING", "READING", "WRITING"),
        *("Cost", "Profile"),
    ),
    "rule_needs": ("Need", "RuleNeeds", "Supply", "needs"),
    "rule_status": (
        *("FIRST_EVENTS", "RARE", "FieldCoverage", "ObservedFields"),
        *("Outcome", "RuleStatus", "events_wanted", "kind_names", "missing_source"),
        "rule_statuses",
        "with_only",
    ),
    "unrecognised": ("KnownLook", "UnrecognisedShapes"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "FEEDING",
    "FIRST_EVENTS",
    "MERGING",
    "PREFILTERING",
    "RARE",
    "READING",
    "WRITING",
    "Cost",
    "ExampleResult",
    "Explanation",
    "FieldCoverage",
    "KnownLook",
    "MapCoverage",
    "Need",
    "Node",
    "ObservedFields",
    "Outcome",
    "Profile",
    "RuleNeeds",
    "RuleStatus",
    "Supply",
    "Test",
    "UnrecognisedShapes",
    "View",
    "events_wanted",
    "explain",
    "kind_names",
    "maps_of_examples",
    "matches_with",
    "missing_source",
    "needs",
    "rule_statuses",
    "run_examples",
    "run_input_examples",
    "streams_of",
    "with_only",
]


def __getattr__(name: str) -> Any:
    module = _HOMES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
