"""Canonical programs, damaged as the published corpus is: the lenient reading recovers the same IR
or refuses.

The programs are our own rules and random ones. ``CARENGINE_DAMAGES=200`` (``make damage``) damages
that many programs in every way instead of a few, with another seed each time.
"""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path
from random import Random

import pytest

from carengine import ir, lenient
from carengine.diagnostics import Block
from carengine.resolve import RunTarget, resolve_program
from carengine.rule import frontmatter
from carengine.syntax import ast, parse_program, print_program
from damages import DAMAGES
from programs import program

RULES = Path(__file__).parents[1] / "rules" / "car"
COUNT = int(os.environ.get("CARENGINE_DAMAGES") or 7)
SEED = time.time_ns() if os.environ.get("CARENGINE_DAMAGES") else 20240501


@functools.cache
def trees() -> dict[str, ast.SyntaxTree]:
    found = {}
    for path in sorted(RULES.glob("*.car")):
        block = Block.of(path.read_text(encoding="utf-8"))
        body = block.text[frontmatter.split(block).body :]
        found[path.stem] = parse_program(body).program
    return found


@functools.cache
def analytic(id_: str) -> RunTarget | None:
    found = trees().get(id_)
    if found is None:
        return None
    outcome = resolve_program(found, analytics=analytic)
    assert outcome.program is not None
    return RunTarget(outcome.program.outputs[0].plan, outcome.shapes[0])


def meaning(text: str) -> ir.Program | None:
    parsed = parse_program(text)
    return (
        None if parsed.diagnostics else resolve_program(parsed.program, analytics=analytic).program
    )


def read(text: str) -> lenient.LenientReading:
    return lenient.read(text, programs=trees().get)


def texts(random: Random, count: int) -> list[str]:
    """Programs: half of them rules of ours, the others random."""
    rules = random.sample(sorted(trees()), min(count, len(trees())))
    made = [print_program(trees()[id_]) for id_ in rules[: (count + 1) // 2]]
    return made + [program(random) for _ in range(count - len(made))]


def test_canonical_text_is_not_touched() -> None:
    random = Random(SEED)
    for text in [*map(print_program, trees().values()), *(program(random) for _ in range(40))]:
        reading = read(text)
        assert reading.block.text == text
        assert reading.diagnostics == ()


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_recovered_or_refused(name: str) -> None:
    random = Random(f"{SEED} {name}")
    recovered = refused = 0
    for text in texts(random, COUNT * 2):
        damaged = DAMAGES[name](text, random)
        if damaged is None or damaged == text:
            continue
        reading = read(damaged)
        found = None
        if not reading.refused:
            found = resolve_program(reading.program, analytics=analytic).program
        if found is None:
            refused += 1
            continue
        if not reading.repairs:
            # The damaged text is a text of the language: nobody can tell that it was another one.
            assert found == meaning(damaged)
            continue
        assert found == meaning(text), f"{name}:\n{damaged}\nread as\n{reading.block.text}"
        recovered += 1
    assert recovered >= refused or recovered + refused < 5


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_line_ends_make_no_difference(ending: str) -> None:
    random = Random(SEED)
    for name, damage in DAMAGES.items():
        text = program(random)
        damaged = damage(text, random)
        if damaged is None:
            continue
        one, other = read(damaged), read(damaged.replace("\n", ending))
        assert [d.code for d in one.diagnostics] == [d.code for d in other.diagnostics], name
        assert one.program == other.program, name


def test_a_list_may_be_the_column_of_any_stream() -> None:
    text = """processes = search Process:Create
before = filter processes where exe = "a.exe"
now_ = filter processes where hostname in before.hostname
output now_
"""
    reading = lenient.read(text)
    assert reading.block.text == text
    assert reading.diagnostics == ()
