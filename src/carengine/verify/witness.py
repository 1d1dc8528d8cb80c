"""Events that make conditions what they have to be, put together from the conditions themselves.

``find`` looks for a CAR event for which one thing is so and another is not; whoever asks says how
an event is judged, and that judgement, by the functions that judge every event, is the only one
that counts. Proposals come from ``solver.satisfiability.solutions``: each says which atoms are
to be true, false or unknown; a value is then chosen for each field. ``smallest`` takes from an
event whatever it can do without.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any as AnyValue
from typing import assert_never

from attrs import define, evolve, field

from .. import ir
from ..evaluate import test_value, work_of
from ..ir import Relation, Wish
from ..pattern import Any, One, Pattern, escape, fold, tokenize
from ..regex import sample_texts
from ..solver.facts import Facts
from ..solver.satisfiability import solutions
from ..solver.texts import Budget, Texts, TextTest, addresses, example, reduced, size_of
from ..values import compare, format_time, number_of
from .event_kinds import Event, empty_event, fixed_names

Judge = Callable[[Event], bool]

_MAX_PROPOSALS = 300
_MAX_SHRINKS = 400
# What a judgement costs, in a budget's steps.
_JUDGEMENT = 500
_NOTHING = ir.Raw(())


def find(
    wishes: list[Wish], kind: ir.EventKind, facts: Facts, judge: Judge, budget: Budget
) -> Event | None:
    """An event of a kind that the judge accepts, or None where none was found."""
    cost = cost_of_judging(wishes)
    for literals in itertools.islice(solutions(wishes, facts, budget), _MAX_PROPOSALS):
        for event in _events(literals, kind, facts, budget):
            if not budget.spend(cost):
                return None
            if judge(event):
                return event
    return None


def cost_of_judging(wishes: Sequence[Wish]) -> int:
    """The steps of a budget that judging an event costs: long lists of patterns cost more."""
    patterns = 0
    for condition, _ in wishes:
        for atom in ir.atoms(condition):
            match atom:
                case ir.Match():
                    patterns += work_of(atom)
                case ir.RawMatch(listed):
                    patterns += len(listed)
                case _:
                    # The rest is in what every judgement costs.
                    continue
    return _JUDGEMENT + 4 * patterns


@define
class _Wanted:
    """What a value has to be."""

    null: bool = False
    passes: set[TextTest] = field(factory=set)
    fails: set[TextTest] = field(factory=set)
    comparisons: list[tuple[Relation, ir.Value, bool, ir.Type]] = field(factory=list)
    present: bool = False


def _events(
    literals: Mapping[ir.Atom, bool | None],
    kind: ir.EventKind,
    facts: Facts,
    budget: Budget,
) -> Iterator[Event]:
    fields: dict[ir.Value, _Wanted] = {}
    raw = _Wanted()
    for atom, value in literals.items():
        _want(atom, value, fields, raw)
    options: list[list[tuple[ir.Value, AnyValue]]] = []
    for of, wanted in fields.items():
        found = list(itertools.islice(_values(of, wanted, facts, budget), 3))
        if not found:
            return
        options.append([(of, value) for value in found])
    text = next(_texts(raw, Texts(), budget), "") if raw.passes else None
    for chosen in itertools.islice(itertools.product(*options), 9):
        event = empty_event(kind)
        for of, value in chosen:
            if value is not None:
                _put(event, of, value)
        if text:
            event["message"] = text
        yield event


def _put(event: Event, of: ir.Value, value: AnyValue) -> None:
    if isinstance(of, ir.Presence):
        # It may be there with null; what is asked of its value is put there besides.
        path = of.of.path if isinstance(of.of, ir.Raw) else ()
        if path and len(path) == 1:
            event.setdefault(path[0], None)
        return
    path = of.path if isinstance(of, ir.Raw) else (of.name,) if isinstance(of, ir.Field) else ()
    if not path:
        return
    if isinstance(of, ir.Field) and of.name.startswith("proto_info."):
        path = ("proto_info", of.name.removeprefix("proto_info."))
    place = event
    for part in path[:-1]:
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            return
        place = inner
    place[path[-1]] = value


def _want(atom: ir.Atom, value: bool | None, fields: dict[ir.Value, _Wanted], raw: _Wanted) -> None:
    def of(inner: ir.Value) -> _Wanted:
        return fields.setdefault(inner, _Wanted())

    match atom:
        case ir.IsNull(inner):
            wanted = of(inner)
            wanted.null = wanted.null or value is True
            wanted.present = wanted.present or value is False
        case ir.Match(inner) | ir.Regex(inner) | ir.InNetwork(inner):
            wanted = of(inner)
            if value is None:
                wanted.null = True
            else:
                (wanted.passes if value else wanted.fails).add(evolve(atom, value=_NOTHING))
        case ir.RawMatch(patterns):
            test = ir.Match(_NOTHING, patterns)
            (raw.passes if value else raw.fails).add(test)
        case ir.RawRegex(pattern, cased, dotall, multiline):
            expression = ir.Regex(_NOTHING, pattern, cased, dotall, multiline)
            (raw.passes if value else raw.fails).add(expression)
        case ir.Compare(left, relation, right, type_):
            wanted = of(left)
            if value is None:
                wanted.null = True
            else:
                wanted.comparisons.append((relation, right, value, type_))
            if isinstance(right, ir.Field | ir.Raw):
                fields.setdefault(right, _Wanted(present=value is not None, null=value is None))
        case ir.Occurs(needle, haystack):
            for inner in (needle, haystack):
                if isinstance(inner, ir.Field | ir.Raw):
                    fields.setdefault(inner, _Wanted(present=value is not None, null=value is None))
        case ir.Rank():
            # Other events decide it.
            return
        case _:
            assert_never(atom)


def _values(of: ir.Value, wanted: _Wanted, facts: Facts, budget: Budget) -> Iterator[AnyValue]:
    if wanted.null:
        yield None
        return
    if wanted.comparisons and not wanted.passes:
        yield from _numbers(of, wanted, fractions=not facts.whole(of))
    base = facts.base_name(of)
    if wanted.passes or wanted.fails or wanted.present or not wanted.comparisons:
        yield from _texts(wanted, Texts(base_name=base), budget)


def _numbers(of: ir.Value, wanted: _Wanted, *, fractions: bool) -> Iterator[AnyValue]:
    """Values near those that are compared with, whole ones first."""
    near: dict[AnyValue, None] = {}
    for relation, right, value, _ in wanted.comparisons:
        match right:
            case ir.Constant(constant):
                number = number_of(constant) if not isinstance(constant, bool) else None
                if number is None:
                    near.update(dict.fromkeys((constant, f"x{constant}")))
                elif relation is Relation.EQUAL and value:
                    near.setdefault(constant)
                else:
                    near.update(dict.fromkeys((constant, number + 1, number - 1)))
            case ir.Moment(micro):
                near.update(dict.fromkeys(format_time(micro + d) for d in (0, 10**6, -(10**6))))
            case _:
                near.update(dict.fromkeys((1, 2)))
    if fractions:
        whole = sorted({one for one in near if isinstance(one, int | float)})
        near.update(dict.fromkeys((a + b) / 2 for a, b in itertools.pairwise(whole)))
    tests = [test for test in wanted.fails if isinstance(test, ir.Match | ir.Regex)]
    for candidate in near:
        fits = all(
            not isinstance(right, ir.Constant)
            or compare(candidate, relation, right.value, right_type) is value
            for relation, right, value, right_type in wanted.comparisons
        )
        if fits and not any(test_value(test, candidate) for test in tests):
            yield candidate


def _texts(wanted: _Wanted, texts: Texts, budget: Budget) -> Iterator[str]:
    """Texts that pass and fail what they have to, the most readable first."""
    passes = sorted(reduced(frozenset(wanted.passes), frozenset(wanted.fails)), key=repr)
    fails = sorted(wanted.fails, key=repr)

    def fits(text: str) -> bool:
        if texts.base_name and ("\\" in text or "/" in text):
            return False
        return all(test_value(t, text) is True for t in passes) and not any(
            test_value(t, text) is True for t in fails
        )

    cost = 4 * (1 + size_of(passes) + size_of(fails))
    seen: set[str] = set()
    spelt: Iterator[str] = itertools.islice(_spelt(passes), 12)
    if any(isinstance(t, ir.Match) and any(p.cased for p in t.patterns) for t in fails):
        # What is found in one case alone is told apart by another.
        few = tuple(spelt)
        spelt = (text for one in few for text in dict.fromkeys((one, one.lower(), one.upper())))
    described = evolve(texts, passes=frozenset(passes), fails=frozenset(fails))
    proposals = itertools.chain(
        spelt,
        _spelt(passes),
        _spelt_near(fails),
        addresses(described),
        ("x", "", "0", r"C:\x\y.exe"),
    )
    for text in proposals:
        if text in seen:
            continue
        if not budget.spend(cost):
            return
        if fits(text):
            seen.add(text)
            yield text
    found = example(described, budget)
    if found is not None:
        for text in (found.replace("\x01", "x"), found, found.upper()):
            if text not in seen and fits(text):
                seen.add(text)
                yield text


def _spelt(tests: list[TextTest]) -> Iterator[str]:
    """Texts made of the patterns of tests as they are written, and of a text for each expression,
    several patterns laid over each other."""
    options = [
        [pattern for pattern in test.patterns[:6] if len(pattern.text) < 2_000]
        for test in tests
        if isinstance(test, ir.Match)
    ]
    for test in tests:
        if isinstance(test, ir.Regex):
            own = [escape(text) for text in sample_texts(test.pattern)]
            places = ("*{}*", "{}", "{}*", "*{}")
            texts = [place.format(text) for text in own for place in places]
            if texts:
                options.append([Pattern(text) for text in texts])
    for chosen in itertools.islice(itertools.product(*options), 48) if options else ():
        for filling in ("", "x", "x\\", "\\x\\", "0"):
            yield laid(chosen, filling)
    for test in tests:
        if isinstance(test, ir.InNetwork):
            yield from (network.partition("/")[0] for network in test.networks[:3])


def _spelt_near(tests: list[TextTest]) -> Iterator[str]:
    """Texts close to patterns that must not match."""
    for test in tests:
        if isinstance(test, ir.Match):
            for pattern in test.patterns[:3]:
                plain = laid((pattern,), "x")
                yield from (f"x{plain}", f"{plain}x")


def laid(patterns: tuple[Pattern, ...], filling: str) -> str:
    """A text that patterns, laid over each other, may match; ``filling`` stands for what may be
    anything."""
    head, tail, middles = "", "", []
    for pattern in patterns:
        pieces = [""]
        for token in tokenize(pattern.text):
            match token:
                case Any():
                    pieces.append("")
                case One():
                    pieces[-1] += "x"
                case str():
                    pieces[-1] += token
        head = max(head, pieces[0], key=len)
        if len(pieces) > 1:
            tail = max(tail, pieces[-1], key=len)
            middles += [piece for piece in pieces[1:-1] if piece]
    middles = [m for m in dict.fromkeys(middles) if fold(m) not in fold(head + tail)]
    if not middles:
        return head + filling + tail if tail or filling else head
    return (
        filling.join(["", *middles, ""])
        if not head + tail
        else (head + filling + filling.join(middles) + filling + tail)
    )


def smallest(event: Event, judge: Judge, budget: Budget, cost: int = _JUDGEMENT) -> Event:
    """The event without what the judge can do without: fields first, then characters of texts.
    ``cost`` is what one judgement takes of the budget."""
    left = _MAX_SHRINKS

    def accepted(candidate: Event) -> bool:
        nonlocal left
        left -= 1
        return left > 0 and budget.spend(cost) and judge(candidate)

    for name in [name for name in event if name not in fixed_names(event)]:
        fewer = {key: value for key, value in event.items() if key != name}
        if accepted(fewer):
            event = fewer
    for name, value in list(event.items()):
        if name in fixed_names(event) or not isinstance(value, str):
            continue
        size = max(len(value) // 2, 1)
        while size:
            at = 0
            while at < len(value):
                shorter = value[:at] + value[at + size :]
                if shorter and accepted({**event, name: shorter}):
                    value = shorter
                else:
                    at += size
            size //= 2
        event = {**event, name: value}
    return event
