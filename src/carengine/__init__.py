"""carengine runs MITRE CAR analytics: their pseudocode, executed over the logs you have.

The names below are all there is to know for most uses::

    import carengine

    rules = carengine.load_rules("rules/")
    engine = carengine.Engine(rules)
    for match in engine.run(events):
        print(match.rule.id, match.output, match.time)

They are imported when they are first used, so that ``import carengine`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .diagnostics import CarError, Diagnostic
    from .engine import Engine, Match, Session, StreamOptions
    from .engine.report import explain, needs
    from .fieldmap import FieldMap, find_maps, load_map, normalize
    from .languages.writing import Translation, translate
    from .loading import load_rule, load_rules, parse_rule
    from .readers import Record, read_events
    from .resources import shipped_rules
    from .rule import Rule, RuleSet
    from .runner import Run
    from .syntax import parse_program as parse
    from .tuning import MatchFilter, Tuning, load_tuning

__version__ = "0.1.0"

_HOMES = {
    "CarError": ("diagnostics", "CarError"),
    "Diagnostic": ("diagnostics", "Diagnostic"),
    "Engine": ("engine", "Engine"),
    "FieldMap": ("fieldmap", "FieldMap"),
    "Run": ("runner", "Run"),
    "Match": ("engine", "Match"),
    "Record": ("readers", "Record"),
    "Rule": ("rule", "Rule"),
    "RuleSet": ("rule", "RuleSet"),
    "Session": ("engine", "Session"),
    "MatchFilter": ("tuning", "MatchFilter"),
    "StreamOptions": ("engine", "StreamOptions"),
    "Translation": ("languages.translation", "Translation"),
    "Tuning": ("tuning", "Tuning"),
    "explain": ("engine.report", "explain"),
    "find_maps": ("fieldmap", "find_maps"),
    "load_map": ("fieldmap", "load_map"),
    "load_rule": ("loading", "load_rule"),
    "load_rules": ("loading", "load_rules"),
    "load_tuning": ("tuning", "load_tuning"),
    "needs": ("engine.report", "needs"),
    "normalize": ("fieldmap", "normalize"),
    "parse": ("syntax", "parse_program"),
    "parse_rule": ("loading", "parse_rule"),
    "read_events": ("readers", "read_events"),
    "shipped_rules": ("resources", "shipped_rules"),
    "translate": ("languages.writing", "translate"),
}

__all__ = [
    "CarError",
    "Diagnostic",
    "Engine",
    "FieldMap",
    "Match",
    "MatchFilter",
    "Record",
    "Rule",
    "RuleSet",
    "Run",
    "Session",
    "StreamOptions",
    "Translation",
    "Tuning",
    "explain",
    "find_maps",
    "load_map",
    "load_rule",
    "load_rules",
    "load_tuning",
    "needs",
    "normalize",
    "parse",
    "parse_rule",
    "read_events",
    "shipped_rules",
    "translate",
]


def __getattr__(name: str) -> Any:
    try:
        module, attribute = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    found = getattr(import_module(f".{module}", __name__), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
