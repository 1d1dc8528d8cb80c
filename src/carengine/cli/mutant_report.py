"""What ``carengine test --mutants`` says: the parts of rules that no example would miss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from ..diagnostics import Diagnostic, counted, fault, visible
from ..rule import Rule
from ..verify import MutantOutcome, MutantResult, mutant_results
from .rule_report import name_of
from .screen import Screen

RuleMutants = tuple[Rule, tuple[MutantResult, ...]]


def mutants_of(rules: Iterable[Rule], faults: list[Diagnostic]) -> Iterator[RuleMutants]:
    """The mutants of rules; a rule that meets a fault of the program is noted and left out."""
    for rule in rules:
        try:
            yield rule, tuple(mutant_results(rule))
        except Exception as error:
            faults.append(fault(f"the mutants of {rule.id}", error, origin=rule.path))


def show_mutants(rule: Rule, results: tuple[MutantResult, ...], screen: Screen) -> None:
    """The mutants of a rule that live, each with an example to paste."""
    became = Counter(one.outcome for one in results)
    living = [one for one in results if one.outcome is MutantOutcome.LIVES]
    if not living and not became[MutantOutcome.UNDECIDED]:
        return
    screen.show_text(
        "",
        f"{name_of(rule)} ({rule.id}): {became[MutantOutcome.KILLED]:,} of "
        f"{counted(len(results) - became[MutantOutcome.EQUIVALENT], 'mutant')} killed",
    )
    for one in results:
        if one.outcome is MutantOutcome.UNDECIDED:
            word = screen.paint("undecided", "yellow")
            screen.show_text(f"  {word}  ", one.mutant.change)
        elif one.outcome is MutantOutcome.LIVES:
            screen.show_text(f"  {screen.paint('LIVES', 'red')}  ", one.mutant.change)
            for line in _pasted(one):
                screen.show_text("", f"    {line}")


def _pasted(result: MutantResult) -> list[str]:
    """The example that would kill a mutant, as the head of a rule's file has it."""
    example = result.example
    if example is None:
        return []
    data: dict[str, Any] = {"name": example.name, "match": example.match}
    if example.matches is not None:
        data["matches"] = example.matches
    if example.fieldmap != "car":
        data["map"] = example.fieldmap
    data["events"] = [dict(event) for event in example.events]
    text = yaml.safe_dump([data], sort_keys=False, allow_unicode=True, width=1000)
    return [visible(line) for line in text.rstrip("\n").split("\n")]


def mutants_line(every: Iterable[RuleMutants]) -> str:
    """All mutants in numbers that add up."""
    became = Counter(one.outcome for _, results in every for one in results)
    killed, equivalent = became[MutantOutcome.KILLED], became[MutantOutcome.EQUIVALENT]
    needed = became.total() - equivalent
    share = f" ({100 * killed / needed:.0f} % of those that can be)" if needed else ""
    return (
        f"{counted(became.total(), 'mutant')} = {killed:,} killed{share} + "
        f"{equivalent:,} equivalent, as is proved + {became[MutantOutcome.UNDECIDED]:,} undecided + "
        f"{became[MutantOutcome.LIVES]:,} that no example notices"
    )


def mutants_json(every: Iterable[RuleMutants]) -> list[dict[str, Any]]:
    """All mutants as plain data."""
    return [
        {"rule": rule.id, "title": rule.title, "mutants": [one.as_json() for one in results]}
        for rule, results in every
    ]
