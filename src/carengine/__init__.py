"""carengine runs MITRE CAR analytics: their pseudocode, executed over the logs you have.

The names below are all there is to know for most uses::

    import carengine

    rules = carengine.load_rules("rules/")
    engine = carengine.Engine(rules)
    for match in engine.run(events):
        print(match.rule.id, match.output, match.time)

They are imported when they are first used, so that ``import carengine`` costs next to nothing.

What a program may rely on is: the names here, and those in ``__all__`` of the modules ``attack``,
``check``, ``coverage``, ``datamodel``, ``diagnostics`` (with ``diagnostics.codes``), ``engine``,
``engine.report``, ``fieldmap``, ``languages.reading``, ``languages.writing``, ``prometheus``,
``readers``, ``rule``, ``runner``, ``spark``, ``sql``, ``statistics``, ``timeline``, ``tuning`` and
``verify``. Every other module is internal, and may change with any version.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .check import apply_fixes, check_rule, check_rules, format_rule
    from .datamodel import declare_model
    from .diagnostics import CarError, Code, Diagnostic, PathNotFoundError, Severity, render
    from .engine import (
        Engine,
        Gap,
        Match,
        MatchedEvent,
        Origin,
        Session,
        SessionStats,
        StreamOptions,
    )
    from .engine.report import (
        Cost,
        ExampleResult,
        Explanation,
        FieldCoverage,
        Outcome,
        Profile,
        RuleNeeds,
        RuleStatus,
        explain,
        needs,
        rule_statuses,
        run_examples,
    )
    from .fieldmap import (
        CarEvent,
        FieldMap,
        NamedLogSource,
        find_maps,
        installed_maps,
        load_map,
        normalize,
        parse_map,
        raw_map,
    )
    from .languages.writing import Translation, translate
    from .loading import load_rule, load_rules, parse_rule
    from .readers import Limits, Reading, Record, read_events
    from .resources import shipped_rules
    from .rule import Example, Metadata, Refused, Rule, RuleSet
    from .runner import Run, WorkerError
    from .syntax import parse_program as parse
    from .tuning import MatchFilter, RuleFilter, TimeRange, Tuning, load_tuning
    from .verify import compare, load_analytics, verify_analytic

__version__ = "0.1.0"

# Where each public name is defined. `__all__` lists the same names for type checkers; a test
# compares the two.
_PUBLIC: dict[str, tuple[str, ...]] = {
    "datamodel": ("declare_model",),
    "diagnostics": ("CarError", "Code", "Diagnostic", "PathNotFoundError", "Severity", "render"),
    "rule": ("Example", "Metadata", "Refused", "Rule", "RuleSet"),
    "loading": ("load_rule", "load_rules", "parse_rule"),
    "resources": ("shipped_rules",),
    "syntax": ("parse",),
    "check": ("apply_fixes", "check_rule", "check_rules", "format_rule"),
    "engine": (
        *("Engine", "Gap", "Match", "MatchedEvent", "Origin", "Session", "SessionStats"),
        *("StreamOptions",),
    ),
    "runner": ("Run", "WorkerError"),
    "readers": ("Limits", "Reading", "Record", "read_events"),
    "fieldmap": (
        *("CarEvent", "FieldMap", "NamedLogSource", "find_maps", "installed_maps", "load_map"),
        *("normalize", "parse_map", "raw_map"),
    ),
    "engine.report": (
        *("Cost", "ExampleResult", "Explanation", "FieldCoverage", "Outcome", "Profile"),
        *("RuleNeeds", "RuleStatus", "explain", "needs", "rule_statuses", "run_examples"),
    ),
    "languages.writing": ("Translation", "translate"),
    "verify": ("compare", "load_analytics", "verify_analytic"),
    "tuning": ("MatchFilter", "RuleFilter", "TimeRange", "Tuning", "load_tuning"),
}
_HOMES = {name: module for module, names in _PUBLIC.items() for name in names}
_DEFINED_AS = {"parse": "parse_program"}

__all__ = [
    "CarError",
    "CarEvent",
    "Code",
    "Cost",
    "Diagnostic",
    "Engine",
    "Example",
    "ExampleResult",
    "Explanation",
    "FieldCoverage",
    "FieldMap",
    "Gap",
    "Limits",
    "Match",
    "MatchFilter",
    "MatchedEvent",
    "Metadata",
    "NamedLogSource",
    "Origin",
    "Outcome",
    "PathNotFoundError",
    "Profile",
    "Reading",
    "Record",
    "Refused",
    "Rule",
    "RuleFilter",
    "RuleNeeds",
    "RuleSet",
    "RuleStatus",
    "Run",
    "Session",
    "SessionStats",
    "Severity",
    "StreamOptions",
    "TimeRange",
    "Translation",
    "Tuning",
    "WorkerError",
    "apply_fixes",
    "check_rule",
    "check_rules",
    "compare",
    "declare_model",
    "explain",
    "find_maps",
    "format_rule",
    "installed_maps",
    "load_analytics",
    "load_map",
    "load_rule",
    "load_rules",
    "load_tuning",
    "needs",
    "normalize",
    "parse",
    "parse_map",
    "parse_rule",
    "raw_map",
    "read_events",
    "render",
    "rule_statuses",
    "run_examples",
    "shipped_rules",
    "translate",
    "verify_analytic",
]


def __getattr__(name: str) -> Any:
    module = _HOMES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{module}", __name__), _DEFINED_AS.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
