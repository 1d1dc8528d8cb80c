"""Whether CAR's rules find their own true positives in other spellings: ``docs/car-spellings.md``.

Every positive example of a rule over single events that is about a process with a command line, or
about a key of the registry, is spelt in other ways that Windows or the program takes for the same
(`carengine.verify.spellings` has them, with sources), and the rule is run over each::

    python benchmarks/car_spellings.py            write the page
    python benchmarks/car_spellings.py --missed   name every variation that is missed

Nothing is drawn by chance: the same rules give the same page.
"""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen

import carengine
from carengine import Rule, ir
from carengine.verify import Spelling, spellings

TOP = Path(__file__).resolve().parents[1]
PAGE = TOP / "docs" / "car-spellings.md"
LEAST = 20
_TEXTS = ("command_line", "key", "image_path")

REASONS = {
    "quotes inside arguments": (
        "The program takes the quotes out, the recorded line still has them. An expression that "
        "allows for a quote between any two letters is not one that anybody can read. Two quotes "
        "side by side inside a word are rare in honest lines: look for them by a rule of its own."
    ),
    "carets inside words": (
        "cmd.exe takes its own carets out before it starts anything: the line of the program that "
        "it starts has none, and is found. In the line of cmd.exe itself they stay."
    ),
    "backticks inside cmdlets": (
        "PowerShell takes them out when it reads the command. Its log of script blocks (event "
        "4104) has the text as it was written, too."
    ),
}
"""Why a kind of change is missed, where it is."""


@frozen
class Tried:
    """A variation of an example of a rule, and whether the rule finds it."""

    rule: Rule
    example: str
    spelling: Spelling
    found: bool

    @property
    def text(self) -> str:
        """The command line or the key as it was varied."""
        return next(str(self.spelling.event[one]) for one in _TEXTS if one in self.spelling.event)

    @property
    def kinds(self) -> list[str]:
        """The changes that were made."""
        return self.spelling.what.split(" and ")


def tried(rules: Iterable[Rule] | None = None) -> Iterator[Tried]:
    """Every variation of every example."""
    for rule in rules or carengine.load_rules(carengine.shipped_rules("car")):
        if not rule.stateless:
            continue
        engine = carengine.Engine([rule])
        seen: set[tuple[object, ...]] = set()
        for example in rule.examples:
            for event in example.events if example.match else ():
                key = tuple(event.get(name) for name in _TEXTS)
                if len(example.events) > 1 or key in seen or "object" not in event:
                    continue
                seen.add(key)
                for one in spellings(event, LEAST):
                    found = next(iter(engine.run([one.event])), None) is not None
                    yield Tried(rule, example.name, one, found)


def asks_for(rule: Rule) -> set[str]:
    """The names of fields that a rule's conditions are about."""
    plans = ir.every_plan(output.plan for output in rule.program.outputs)
    conditions = [c for plan in plans if (c := ir.condition_of(plan)) is not None]
    return {field.name for condition in conditions for field in ir.fields_of(condition)}


def _share(found: int, of: int) -> str:
    return f"{found:,} of {of:,} ({100 * found / of:.0f} %)" if of else "–"


def page(every: list[Tried]) -> str:
    """The page."""
    plain = [one for one in every if not one.spelling.hides]
    hiding = [one for one in every if one.spelling.hides]
    rules = {one.rule.id: one.rule for one in every}
    asking = {id_ for id_, rule in rules.items() if "command_line" in asks_for(rule)}
    of_lines = [one for one in plain if one.rule.id in asking]
    lines = [
        "# CAR's rules and other spellings",
        "",
        "A command can be written in many ways that mean the same. Each positive example of a shipped",
        "rule of CAR over single events was spelt in other ways that Windows or the program takes for",
        f"the same, at least {LEAST} for each command line, and the rule was run over each. A key of the",
        "registry is varied as other logs write it. `carengine.verify.spellings` makes the variations",
        "for any event; each kind of change has a source that says that it means the same.",
        "`python benchmarks/car_spellings.py` writes this page, and a test holds it to what is found.",
        "",
        "| | rules | variations | found |",
        "| --- | --- | --- | --- |",
        f"| all | {len(rules)} | {len(plain):,} | {_share(sum(o.found for o in plain), len(plain))} |",
        f"| rules that ask for the command line | {len(asking)} | {len(of_lines):,} | "
        f"{_share(sum(o.found for o in of_lines), len(of_lines))} |",
        f"| made to hide: signs inside words | {len({o.rule.id for o in hiding})} | {len(hiding):,} | "
        f"{_share(sum(o.found for o in hiding), len(hiding))} |",
        "",
        "What this does not say: a rule that asks for a name is missed by a copy of the program under",
        "another name (`carengine check --robustness` shows it), and what is encoded (`powershell -enc`)",
        "is not read.",
        "",
        "## By rule",
        "",
        "| rule | asks for the command line | examples | variations found | made to hide, found |",
        "| --- | --- | --- | --- | --- |",
    ]
    for id_, rule in sorted(rules.items()):
        own = [one for one in plain if one.rule.id == id_]
        hidden = [one for one in hiding if one.rule.id == id_]
        examples = len({one.example for one in every if one.rule.id == id_})
        title = f"{id_} {rule.title}".replace("|", "\\|")
        lines.append(
            f"| {title} | {'yes' if id_ in asking else 'no'} | {examples} | "
            f"{_share(sum(o.found for o in own), len(own))} | "
            f"{_share(sum(o.found for o in hidden), len(hidden))} |"
        )
    lines += ["", "## By kind of change", ""]
    lines += ["| change | variations | found | source |", "| --- | --- | --- | --- |"]
    count: Counter[str] = Counter()
    found: Counter[str] = Counter()
    sources: dict[str, str] = {}
    for one in every:
        for kind in one.kinds:
            count[kind] += 1
            found[kind] += one.found
            if len(one.kinds) == 1:
                sources[kind] = one.spelling.sources[0]
    for kind, n in sorted(count.items(), key=lambda item: (found[item[0]] < item[1], item[0])):
        lines.append(f"| {kind} | {n:,} | {found[kind]:,} | <{sources[kind]}> |")
    lines += ["", "## What is missed, and why", ""]
    missed = sorted({kind for one in every if not one.found for kind in one.kinds})
    for kind in [kind for kind in missed if kind in REASONS]:
        shown = next(one for one in every if not one.found and kind in one.kinds)
        said = f"**{kind}**: {REASONS[kind]} For example {shown.rule.id}:"
        lines += [*textwrap.wrap(said, 100), ""]
        lines += ["```text", shown.text, "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def unexplained(every: Iterable[Tried]) -> list[Tried]:
    """The variations that are missed, and of which no reason is written."""
    return [one for one in every if not one.found and not set(one.kinds) & set(REASONS)]


def main() -> None:
    """Run, and write."""
    every = list(tried())
    if "--missed" in sys.argv[1:]:
        for one in every:
            if not one.found:
                print(f"{one.rule.id}: {one.example}: {one.spelling.what}: {one.text}")
    PAGE.write_text(page(every), encoding="utf-8")
    without = unexplained(every)
    for one in without:
        print(f"no reason: {one.rule.id}: {one.spelling.what}: {one.text}")
    sys.exit(bool(without))


if __name__ == "__main__":
    main()
