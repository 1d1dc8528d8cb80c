"""Mutants of rules are told apart, and rewrites that change nothing are not.

A few rules in the usual tests; ``make mutants`` takes many (`CARENGINE_MUTANTS=1`) and prints the
figures of docs/prove-equal.md.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

import carengine
from carengine.verify import Verdict, compare_rules
from carengine.verify.changes import by_itself
from carengine.verify.kind_conditions import by_kind
from rule_mutants import mutants, rewrites

SIGMA = Path(__file__).parents[1].parent / "shared" / "sigma" / "sigmahq-rules-windows.tar.gz"
MANY = "CARENGINE_MUTANTS" in os.environ
STEPS = 1_000_000
CHANGED, REWRITTEN = (20, 10) if MANY else (3, 3)

TEXTS = [
    'a = search Process:Create where exe = "a*" and not (user = "x" or pid > 4) output a',
    """a = search Process:Create where exe = "cmd.exe" and user != "x"
b = search File:Create where extension = ".ps1"
j = join (a, b) where a.pid = b.pid and a.time <= b.time < a.time + 5 minutes
output j""",
    """p = search Process:Create where exe = "net.exe" or exe = "net1.exe"
c = count(p) by hostname
x = filter c where count > 3
output x""",
]


def rules() -> Iterator[carengine.Rule]:
    yield from (carengine.parse_rule(text, name=f"own{n}") for n, text in enumerate(TEXTS))
    shipped = list(carengine.load_rules(carengine.shipped_rules()))
    yield from shipped[:: max(len(shipped) // (100 if MANY else 4), 1)]
    if MANY and SIGMA.exists():
        several = list(carengine.load_rules(SIGMA))
        yield from several[:: len(several) // 300]


def test_mutants_and_rewrites() -> None:
    told: Counter[tuple[str, str, str]] = Counter()
    for number, given in enumerate(rules()):
        rule = by_itself(given)
        kind = "stateful" if by_kind(rule.program) is None else "stateless"
        for how, program in rewrites(rule.program, REWRITTEN, number):
            verdict = compare_rules(rule, evolve(rule, program=program), STEPS).verdict
            assert verdict in (Verdict.SAME, Verdict.UNDECIDED), (rule.id, how, program)
            told[kind, "rewrite", verdict.value] += 1
        for how, program in mutants(rule.program, CHANGED, number):
            mutant = evolve(rule, program=program)
            relation = compare_rules(rule, mutant, STEPS)
            told[kind, "mutant", relation.verdict.value] += 1
            turned = compare_rules(mutant, rule, STEPS).verdict
            same = Verdict.SAME in (relation.verdict, turned)
            assert (
                not same
                or Verdict.UNDECIDED in (relation.verdict, turned)
                or (relation.verdict is turned)
            ), (rule.id, how)
    for key in sorted(told):
        print(*key, told[key])
    rewritten = {key[2]: n for key, n in told.items() if key[:2] == ("stateless", "rewrite")}
    assert rewritten.get("undecided", 0) <= 0.05 * sum(rewritten.values())


@pytest.mark.parametrize("text", TEXTS)
def test_there_are_mutants_of_each(text: str) -> None:
    program = carengine.parse_rule(text).program
    assert len(list(mutants(program, 5))) == 5
    assert len(list(rewrites(program, 5))) == 5
