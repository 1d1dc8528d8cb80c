"""Loading rules for a command: where they are, what is said of those that cannot be used."""

from __future__ import annotations

import os
from collections.abc import Iterable

from .. import gc_control
from ..diagnostics import CarError, Severity, codes, counted, fault, ordered
from ..engine import Engine, compiled
from ..fieldmap import MapChoice
from ..filewrite import noting_used_files
from ..resources import RULE_SETS, shipped_rules
from ..rule import Parameters, Rule, RuleSet
from ..rule.model import LEVELS
from . import UsageError
from .options import MapNames, RuleSettings, map_choice
from .rule_cache import cache_entry
from .screen import Screen

_MOST_FINDINGS = 10
_NAMED = 5


def load_with_maps(
    settings: RuleSettings, maps: MapNames, engine: str | None
) -> tuple[RuleSet, MapChoice]:
    """The rules and field maps to run: those in the file of a compiled engine, or those named.

    Raises `CarError` (CE550) for a file that is no engine.
    """
    if engine is None:
        return load(settings), map_choice(maps)
    with gc_control.paused():
        return compiled.read(engine)


def load(settings: RuleSettings) -> RuleSet:
    """The rules that are named, or those that are shipped, with their inputs bound.

    Raises `UsageError` for an input that no rule asks for.
    """
    parameters = settings.inputs
    paths = tuple(map(_place, settings.paths)) or (str(shipped_rules()),)
    files = (*paths, *settings.macros)
    kept = cache_entry(files, settings) if settings.cache else None
    rules = None if kept is None else kept.read()
    if rules is None:
        from ..loading import load_rules

        with noting_used_files() as used:
            rules = load_rules(
                *paths,
                parameters={**settings.placeholders, **parameters},
                lenient=settings.lenient,
                must_exist=False,
                macros=settings.macros,
            )
        # What was changed while it was read has another key.
        if kept is not None and cache_entry(files, settings) == kept:
            kept.write(rules, used)
    unknown = _unknown_inputs(rules, parameters) if parameters and not rules.refused else []
    if unknown:
        raise UsageError(f"carengine: no rule has an input {', '.join(unknown)}")
    return rules


def _unknown_inputs(rules: RuleSet, parameters: Parameters) -> list[str]:
    """The inputs that no rule asks for."""
    from ..syntax import ast

    asked = {
        statement.name.text
        for rule in rules
        if rule.syntax is not None
        for statement in rule.syntax.statements
        if isinstance(statement, ast.InputStatement)
    }
    # What is written so in a rule of Sigma's is a placeholder, or might be one.
    placed = [rule.block.text for rule in rules if rule.syntax is None]
    asked |= {name for name in parameters if any(f"%{name}%" in text for text in placed)}
    return sorted(set(parameters) - asked)


def _place(named: str) -> str:
    """Where rules are: a path as it is, or the folder of a set that ships (``attack``)."""
    if named in RULE_SETS and not os.path.exists(named):
        return str(shipped_rules(named))
    return named


def engine_of(rules: Iterable[Rule], maps: MapChoice, screen: Screen) -> tuple[Engine, bool]:
    """An engine for rules, and whether some are left out of it: a rule that cannot be compiled by a
    fault of the program is named (CE312), and costs the others nothing."""
    chosen = tuple(rules)
    try:
        engine = Engine(chosen, maps)
        screen.report([item for m in engine.maps for item in m.diagnostics], _MOST_FINDINGS)
        return engine, False
    except CarError:
        raise
    except Exception:
        kept, broken = [], []
        for rule in chosen:
            try:
                Engine([rule], maps)
            except Exception as error:
                broken.append(fault(f"the compiling of {rule.id}", error, origin=rule.path))
            else:
                kept.append(rule)
        if not broken:
            raise
        screen.report(broken, _MOST_FINDINGS)
        return Engine(kept, maps), True


def report_refused(rules: RuleSet, screen: Screen) -> bool:
    """Name the rules that cannot be used, with every error; whether there were any errors."""
    errors = [item for item in rules.diagnostics if item.severity is Severity.ERROR]
    errors += [
        item
        for refused in rules.refused
        for item in refused.diagnostics
        if item.severity is Severity.ERROR
    ]
    errors = list(ordered(errors))
    screen.report(errors, _MOST_FINDINGS)
    _report_passed_over(rules, screen)
    if len(rules.refused) <= _MOST_FINDINGS:
        for refused in rules.refused:
            where = next((item.where for item in refused.diagnostics if item.where), refused.path)
            screen.say(f"refused: {refused.id} ({where})")
    else:
        names = ", ".join(one.title or one.id for one in rules.refused[:_MOST_FINDINGS])
        more = len(rules.refused) - _MOST_FINDINGS
        screen.say(
            f"refused: {counted(len(rules.refused), 'rule')}: {names} and {more:,} more; "
            "`carengine check` says why of each"
        )
    return bool(errors)


def _report_passed_over(rules: RuleSet, screen: Screen) -> None:
    """Name the files among the rules that hold none."""
    names = [item.where for item in rules.diagnostics if item.code is codes.NOT_A_RULE]
    if names:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        shown = ", ".join(names[:_NAMED]) + more
        screen.say(f"passed over: {counted(len(names), 'file')} with no rule: {shown}")


def rank(rule: Rule) -> int:
    """How grave what a rule finds is: higher for higher levels, lowest without one."""
    level = rule.metadata.level
    return LEVELS.index(level) if level in LEVELS else -1
