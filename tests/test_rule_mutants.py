"""Mutants of rules are told apart, and rewrites that change nothing are not.

What comparing says is held to what the engine finds on events that were drawn by chance, of which
comparing knows nothing: a mutant that an event tells apart is never called the same, nor a rewrite
different, and each witness is run once more. A few rules in the usual tests; ``make mutants`` takes
many (`CARENGINE_MUTANTS` is how much of them, 1 for all) and prints the figures of
docs/prove-equal.md.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import define, evolve, field

import carengine
from carengine import Engine, Rule
from carengine.fieldmap import NamedLogSource, installed_maps, raw_map
from carengine.verify import RuleRelation, Verdict, assumptions, compare_rules
from carengine.verify.changes import by_itself
from carengine.verify.event_kinds import own_names_map
from carengine.verify.kind_conditions import by_kind
from carengine.verify.replay import Witness
from mutant_events import Finding, findings, lists_of, map_of
from rule_mutants import mutants, rewrites

SIGMA = Path(__file__).parents[1].parent / "shared" / "sigma" / "sigmahq-rules-windows.tar.gz"
SHARE = float(os.environ.get("CARENGINE_MUTANTS", "0"))
PART, PARTS = (int(n) for n in os.environ.get("CARENGINE_MUTANTS_PART", "0/1").split("/"))
SEED = int(os.environ.get("CARENGINE_MUTANTS_SEED", "1"))
STEPS = 1_000_000
CHANGED, REWRITTEN = (20, 10) if SHARE else (3, 3)
SINGLE, SEVERAL = (200, 120) if SHARE else (40, 30)

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
    """a = search Process:Create where exe = "a.exe"
b = search Process:Create where parent_exe = "a.exe" and command_line = "*-x*"
c = search Flow:Start where dest_port = 445
j = join (a, b, c) where a.hostname = b.hostname = c.hostname and a.pid = b.ppid
  and b.pid = c.pid and b.time <= c.time <= b.time + 1 hour and a.user != b.user
output j""",
    """p = search UserSession:Login where login_type = "Remote*"
g = group p by user within 10 minutes
s = from g select user, distinct_count(hostname) as hosts, min(time) as first
x = filter s where hosts >= 3 and not (user = "*$")
output x""",
    """a = search Process:Create where exe = "whoami.exe"
b = search Process:Create where exe = "ipconfig.exe" or exe = "systeminfo.exe"
g = group a, b by hostname, ppid within 5 minutes
s = from g select hostname, count(*) as several, distinct_count(exe) as kinds
x = filter s where several > 2 and kinds > 1
output x""",
]


def rules() -> Iterator[Rule]:
    yield from (carengine.parse_rule(text, name=f"own{n}") for n, text in enumerate(TEXTS))
    chance = random.Random(SEED)
    shipped = list(carengine.load_rules(carengine.shipped_rules()))
    yield from chance.sample(shipped, min(round(100 * SHARE) or 4, len(shipped)))
    if SHARE and SIGMA.exists():
        several = list(carengine.load_rules(SIGMA))
        yield from chance.sample(several, round(300 * SHARE))


@define
class Account:
    """What became of the pairs."""

    verdicts: Counter[tuple[str, str, str]] = field(factory=Counter)
    told: Counter[tuple[str, str]] = field(factory=Counter)
    """Mutants that an event drawn by chance tells apart, and of these those decided."""
    witnesses: int = 0
    wrong: list[str] = field(factory=list)

    def decided(self, kind: str, what: str = "") -> tuple[int, int]:
        """How many pairs of a kind were decided, and how many there are."""
        chosen = [(k, n) for k, n in self.verdicts.items() if k[0] == kind and what in k[1]]
        whole = sum(n for _, n in chosen)
        return whole - sum(n for k, n in chosen if k[2] == "undecided"), whole


def account_of(given: Iterator[Rule]) -> Account:
    account = Account()
    for number, loaded in enumerate(given):
        rule = by_itself(loaded)
        began = time.monotonic()
        if rule.program.outputs and number % PARTS == PART:
            _account_for(rule, account, random.Random(f"{SEED} {number}"))
        if SHARE and time.monotonic() - began > 30:
            print(f"{rule.id}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return account


def _account_for(rule: Rule, account: Account, chance: random.Random) -> None:
    kind = "stateful" if by_kind(rule.program) is None else "stateless"
    seed = chance.randrange(1 << 30)
    changed = [
        ("rewrite", how, program) for how, program in rewrites(rule.program, REWRITTEN, seed)
    ] + [("mutant", how, program) for how, program in mutants(rule.program, CHANGED, seed)]
    others = [evolve(rule, program=program) for _, _, program in changed]
    together = kind == "stateful"
    lists = list(
        lists_of([rule, *others], SEVERAL if together else SINGLE, chance, together=together)
    )
    own, *found = findings([rule, *others], map_of(rule), lists)
    for (what, how, _), other, theirs in zip(changed, others, found, strict=True):
        relation = compare_rules(rule, other, STEPS)
        verdict = relation.verdict
        account.verdicts[kind, what, verdict.value] += 1
        where = f"{rule.id} {what} {how} {verdict.value}"
        account.wrong += [f"{where}: {fault}" for fault in _faults(relation, own, theirs)]
        account.witnesses += len(relation.witnesses)
        for witness in relation.witnesses:
            if not _confirmed(witness, rule, other, shown=verdict is Verdict.OVERLAPS):
                account.wrong.append(f"{where}: a witness that is none: {witness}")
        if what == "rewrite":
            if verdict not in (Verdict.SAME, Verdict.UNDECIDED) or relation.witnesses:
                account.wrong.append(f"{where}: called different")
            if own != theirs:
                account.wrong.append(f"{where}: the rewrite itself is no rewrite")
        elif own != theirs:
            account.told[kind, "told apart"] += 1
            account.told[kind, "decided"] += verdict is not Verdict.UNDECIDED
        if SHARE and verdict is Verdict.UNDECIDED:
            reasons = "; ".join(relation.reasons)
            print(f"undecided: {rule.id} {kind} {what} {how}: {reasons}", file=sys.stderr)


def _faults(relation: RuleRelation, own: list[Finding], theirs: list[Finding]) -> Iterator[str]:
    """How a verdict goes against what the engine found."""
    pairs = list(zip(own, theirs, strict=True))
    only_first = any(one.events - other.events for one, other in pairs)
    only_second = any(other.events - one.events for one, other in pairs)
    shown = any(one.matches != other.matches for one, other in pairs)
    if assumptions.REPORTED in relation.assumptions:
        only_first = any(one.events and not other.events for one, other in pairs)
        only_second = any(other.events and not one.events for one, other in pairs)
    match relation.verdict:
        case Verdict.SAME:
            if only_first or only_second or shown:
                yield "an event tells them apart"
        case Verdict.COVERS:
            if only_second:
                yield "the second finds an event that the first does not"
        case Verdict.COVERED:
            if only_first:
                yield "the first finds an event that the second does not"
        case Verdict.DISJOINT:
            if any(one.events & other.events for one, other in pairs):
                yield "both find an event"
        case _:
            return


def _confirmed(witness: Witness, rule: Rule, other: Rule, *, shown: bool) -> bool:
    """Whether the engine finds by a witness what it says."""
    maps = {one.name: one for one in installed_maps()}
    if witness.logsource and "," in witness.logsource:
        names = [text.split("/") for text in witness.logsource.split(", ")]
        fieldmap = own_names_map(tuple(carengine.ir.EventKind(*name) for name in names))
    elif witness.fieldmap == "raw":
        fieldmap = raw_map([NamedLogSource.parse(witness.logsource)])
    else:
        fieldmap = maps[witness.fieldmap]
    seen = []
    for one in (rule, other):
        found = list(Engine([one], fieldmap).run(witness.events))
        events = {repr(event.event) for match in found for event in match.events}
        whole = {
            (tuple(sorted(repr(e.event) for e in match.events)), repr(match.columns))
            for match in found
        }
        seen.append((events, whole))
    (mine, mine_whole), (theirs, theirs_whole) = seen
    match witness.finder:
        case "a":
            return bool(mine - theirs) or (shown and bool(mine_whole - theirs_whole))
        case "b":
            return bool(theirs - mine) or (shown and bool(theirs_whole - mine_whole))
        case _:
            return bool(mine) and bool(theirs)


def test_no_verdict_goes_against_the_engine() -> None:
    began = time.monotonic()
    account = account_of(rules())
    for key in sorted(account.verdicts):
        print(*key, account.verdicts[key])
    for kind in ("stateless", "stateful"):
        for what in ("rewrite", "mutant", ""):
            decided, whole = account.decided(kind, what)
            print(kind, what or "pair", f"{decided} of {whole} decided, {decided / whole:.1%}")
        print(kind, {what: n for (k, what), n in account.told.items() if k == kind})
    print(f"{account.witnesses} witnesses, {time.monotonic() - began:.0f} s")
    assert not account.wrong, "\n".join(account.wrong)
    for kind, least in (("stateless", 0.95), ("stateful", 0.8)):
        decided, whole = account.decided(kind)
        assert decided >= least * whole, kind


@pytest.mark.parametrize("text", TEXTS)
def test_there_are_mutants_of_each(text: str) -> None:
    program = carengine.parse_rule(text).program
    assert len(list(mutants(program, 5))) >= 3
    assert len(list(rewrites(program, 5))) >= 3
