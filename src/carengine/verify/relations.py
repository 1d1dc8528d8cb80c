"""Any two rules: which of them finds what the other finds, proved, or with events that tell.

``compare_rules`` takes rules of any language and answers with a `Verdict`::

    relation = compare_rules(old, new)
    relation.verdict                 Verdict.COVERS: the first finds all that the second finds
    relation.witnesses[0].events     an event that only the first finds, as the engine confirms

Rules are compared under the names that they are written in where both are about the same log
source, and otherwise in CAR's. `distinguishing_event` gives an event that one rule finds and
another does not, `matching_event` one that a rule finds.
"""

from __future__ import annotations

import enum
from typing import Any

from attrs import evolve, frozen

from .. import ir
from ..diagnostics import Block, Diagnostic, Source
from ..fieldmap import ECS, FieldMap, find_maps, installed_maps
from ..ir import Goal, Wish
from ..languages.reading import LANGUAGES, as_rule, read
from ..loading import FORMATS, ReadingOptions, RuleFile
from ..pattern import Pattern
from ..rule import Rule, from_drafts
from ..solver.texts import Budget
from . import assumptions
from .common_names import (
    Subject,
    demanded_system,
    exclude,
    in_car_names,
    in_windows_names,
    may_be_one,
    nameless,
    subject_of,
    with_reading,
)
from .comparing import Comparison, Direction, compare, shared_event
from .counterexamples import shared_list
from .data_places import different_places, places_of
from .event_kinds import Event, is_native
from .kind_conditions import by_kind
from .kind_facts import KindFacts, possible, shortest
from .logs import GivenFields
from .own_source import has_names_of, of_source, with_values
from .replay import ReplayedEvents, Witness, witness_of

_STEPS = 2_000_000


class Verdict(enum.Enum):
    """What is known of what a first and a second rule find."""

    SAME = "same"
    COVERS = "covers"
    COVERED = "covered"
    OVERLAPS = "overlaps"
    DISJOINT = "disjoint"
    UNDECIDED = "undecided"


_MIRRORED = {Verdict.COVERS: Verdict.COVERED, Verdict.COVERED: Verdict.COVERS}


@frozen
class RuleRelation:
    """How two rules compare.

    ``assumptions`` is what the verdict takes for granted; of an undecided one, ``reasons`` says why
    it is undecided. All witnesses were replayed by the engine.
    """

    first: str
    second: str
    verdict: Verdict
    witnesses: tuple[Witness, ...] = ()
    assumptions: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def mirrored(self) -> RuleRelation:
        """The same, of the second rule and the first."""
        turned = {"a": "b", "b": "a"}
        return evolve(
            self,
            first=self.second,
            second=self.first,
            verdict=_MIRRORED.get(self.verdict, self.verdict),
            witnesses=tuple(
                evolve(one, finder=turned.get(one.finder, one.finder)) for one in self.witnesses
            ),
        )

    def as_json(self) -> dict[str, Any]:
        """The relation as plain data; the reasons of an undecided one stand beside what it assumes.

        >>> RuleRelation("x", "y", Verdict.SAME).as_json()["verdict"]
        'same'
        """
        return {
            "a": self.first,
            "b": self.second,
            "verdict": self.verdict.value,
            "witnesses": [one.as_json() for one in self.witnesses],
            "assumptions": [*self.assumptions, *(f"undecided: {r}" for r in self.reasons)],
        }


def languages() -> tuple[str, ...]:
    """The languages that `subjects_of_text` reads.

    >>> "car" in languages() and "splunk" in languages()
    True
    """
    return tuple(dict.fromkeys((*LANGUAGES, "car", "elastic")))


def subjects_of_text(
    text: str, language: str, name: str = "<text>"
) -> tuple[tuple[Subject, ...], tuple[Diagnostic, ...]]:
    """The rules or the query of a text in a language, and what there is to say about it.

    >>> [query], said = subjects_of_text('process where process_name == "a.exe"', "eql")
    >>> query.native
    True
    """
    source = Source(name, text)
    formats = [one for one in FORMATS if one.name == language and language != "eql"]
    if not formats:
        reading = read(Block.whole(source), language, raise_names=False)
        if reading.program is None:
            return (), reading.diagnostics
        return (subject_of(as_rule(reading, name), reading),), reading.diagnostics
    [format_] = formats
    file = RuleFile(name, text, format_.endings[0], None)
    drafts, found = format_.read([file], ReadingOptions())
    rules = from_drafts(drafts, diagnostics=found)
    said = tuple(one for refused in rules.refused for one in refused.diagnostics)
    return tuple(map(subject_of, rules)), (*rules.diagnostics, *said)


def compare_rules(first: Rule, second: Rule, steps: int = _STEPS) -> RuleRelation:
    """Two rules compared, whatever they are written in.

    ``steps`` bounds the work for each kind of event and direction.

    >>> import carengine
    >>> wide, narrow = (
    ...     carengine.parse_rule(f'a = search Process:Create where exe = "{name}" output a')
    ...     for name in ("*.exe", "cmd.exe")
    ... )
    >>> compare_rules(wide, narrow).verdict
    <Verdict.COVERS: 'covers'>
    """
    return compare_subjects(subject_of(first), subject_of(second), steps)


def compare_subjects(first: Subject, second: Subject, steps: int = _STEPS) -> RuleRelation:
    """Two subjects compared; `compare_rules` for rules that were read in any way."""
    names = first.rule.id, second.rule.id
    if not all(one.rule.program.outputs for one in (first, second)):
        silent = "a rule that reports nothing by itself cannot be compared"
        return RuleRelation(*names, Verdict.UNDECIDED, reasons=(silent,))
    elsewhere = different_places(*(places_of(one.rule, one.reading) for one in (first, second)))
    if elsewhere is not None:
        return RuleRelation(*names, Verdict.UNDECIDED, reasons=(elsewhere,))
    if first.kinds == second.kinds or not (first.native or second.native):
        return _unnamed(first, second) or _alike(first, second, steps)
    systems = {demanded_system(one) for one in (first, second)} - {None}
    if len(systems) > 1:
        reason = f"they are about different systems: {', '.join(sorted(map(str, systems)))}"
        return RuleRelation(*names, Verdict.UNDECIDED, reasons=(reason,))
    first, second = with_reading(first), with_reading(second)
    made: RuleRelation | None = None
    if all(map(_of_product, (first, second))):
        # CAR takes together what logs tell apart.
        return _of_sources(first, second, steps)
    for way in (_in_car_names, _in_all_names, _of_own_source):
        found = way(first, second, steps)
        if found is not None and found.verdict is not Verdict.UNDECIDED:
            return found
        made = made or found
    if made is not None:
        return made
    reason = "the two are about different logs, and one cannot be put into CAR's names"
    return RuleRelation(*names, Verdict.UNDECIDED, reasons=(reason,))


def _unnamed(first: Subject, second: Subject) -> RuleRelation | None:
    """That nothing is decided of two rules in CAR's names of which one alone reads what CAR has no
    name for: it may be what the other one has a name for."""
    read = nameless(first.rule.program), nameless(second.rule.program)
    if bool(read[0]) == bool(read[1]):
        return None
    reason = f"only one of the two reads {', '.join(sorted(read[0] | read[1]))}, {_NAMELESS}"
    return RuleRelation(first.rule.id, second.rule.id, Verdict.UNDECIDED, reasons=(reason,))


_NAMELESS = "for which CAR has no name there"


def _alike(first: Subject, second: Subject, steps: int) -> RuleRelation:
    """Two subjects about the same kinds of events, or about CAR's."""
    lost = (*first.lost, *second.lost)
    if lost:
        names = first.rule.id, second.rule.id
        return RuleRelation(*names, Verdict.UNDECIDED, reasons=lost)
    relation = _compared(first, second, steps)
    if relation.verdict is Verdict.UNDECIDED and first.native and second.native:
        # A number may be asked for as a text, which says the same of a number in one spelling.
        several = (_with_digits(first), _with_digits(second))
        if several != (first, second):
            digits = _compared(*several, steps)
            # An event that tells them apart might be one that the rules as they are both find, so
            # that of the witnesses those of the rules themselves are shown.
            if digits.verdict is Verdict.SAME or digits.verdict is Verdict.DISJOINT:
                return evolve(digits, witnesses=relation.witnesses)
    return relation


def _of_sources(first: Subject, second: Subject, steps: int) -> RuleRelation:
    """Two rules about log sources, under the names that the events of Windows have, or as rules
    about logs that no event is in both of."""
    relation = _under_windows_names(first, second, steps)
    return _of_other_sources(first, second, steps) if relation is None else relation


def _under_windows_names(first: Subject, second: Subject, steps: int) -> RuleRelation | None:
    own = in_windows_names(first, second), in_windows_names(second, first)
    if own[0] is None or own[1] is None:
        return None
    relation = _alike(own[0], own[1], steps)
    return _replayed(relation, *(one.rule for one in (first, second)))


def _of_product(subject: Subject) -> bool:
    """Whether a subject is about logs of products, under names of their own."""
    return all(
        is_native(kind) and kind != ECS and kind.object not in LANGUAGES for kind in subject.kinds
    )


def _replayed(relation: RuleRelation, first: Rule, second: Rule) -> RuleRelation:
    """A relation of rules that were put into the names of Windows, with witnesses that the rules
    as they are were run on."""
    witnesses = []
    for one in relation.witnesses:
        event = {name: value for name, value in one.events[0].items() if name != ir.SERVICE}
        shaped = ReplayedEvents((event,), find_maps(_WINDOWS)[0])
        finders = {"a": (first, second), "b": (second, first), "both": (first, None)}
        finder, misser = finders[one.finder]
        seen = shaped.found_by(finder)
        wrong = shaped.found_by(misser) if misser is not None else frozenset()
        if len(one.events) != 1 or not seen - wrong:
            reason = "the engine does not confirm what a proof says of the log sources"
            return RuleRelation(
                relation.first, relation.second, Verdict.UNDECIDED, reasons=(reason,)
            )
        witnesses.append(evolve(one, events=(event,), fieldmap=_WINDOWS, logsource=""))
    return evolve(relation, witnesses=tuple(witnesses))


_WINDOWS = "windows.flat"


def _in_car_names(first: Subject, second: Subject, steps: int) -> RuleRelation | None:
    return _raised(first, second, steps, sources=False)


def _in_all_names(first: Subject, second: Subject, steps: int) -> RuleRelation | None:
    """Two subjects in CAR's names, and in Sigma's for events that CAR has no object for."""
    return _raised(first, second, steps, sources=True)


def _raised(first: Subject, second: Subject, steps: int, *, sources: bool) -> RuleRelation | None:
    mine, theirs = (in_car_names(one, sources=sources) for one in (first, second))
    if mine is None or theirs is None:
        return None
    read = [nameless(one.rule.program) for one in (mine, theirs)]
    # The names of a Sigma rule are known, those of a query are its own.
    queries = [one.reading is not None or not one.of_windows for one in (first, second)]
    unknown = (read[0] - read[1] if queries[0] else frozenset()) | (
        read[1] - read[0] if queries[1] else frozenset()
    )
    if unknown:
        # It may be what the other one reads under one of CAR's names.
        which = ", ".join(sorted(unknown))
        reason = f"only one of the two reads {which}, {_NAMELESS}"
        return RuleRelation(first.rule.id, second.rule.id, Verdict.UNDECIDED, reasons=(reason,))
    relation = _alike(mine, theirs, steps)
    if read[0] != read[1] and relation.verdict in _SHOWN_BY_EVENTS:
        # An event in CAR's names has none of these, so that it shows no difference.
        reason = f"only one of the two reads {', '.join(sorted(read[0] ^ read[1]))}, {_NAMELESS}"
        return evolve(relation, verdict=Verdict.UNDECIDED, witnesses=(), reasons=(reason,))
    return relation


_SHOWN_BY_EVENTS = (Verdict.COVERS, Verdict.COVERED, Verdict.OVERLAPS)


def _of_own_source(first: Subject, second: Subject, steps: int) -> RuleRelation | None:
    """A rule about a log source, and a query that names none and has the rule's names."""
    if second.reading is None and first.reading is not None:
        found = _of_own_source(second, first, steps)
        return None if found is None else found.mirrored
    if first.reading is not None or second.reading is None or not _of_product(first):
        return None
    if not has_names_of(second.reading, first.rule):
        return _under_windows_names(first, second, steps)
    query = of_source(second.reading, first.rule, any_case=False)
    if query is None:
        return None
    taken = (*first.taken, assumptions.OWN_SOURCE)
    mine = evolve(first, rule=with_values(first.rule), taken=taken)
    return _alike(mine, evolve(second, rule=evolve(query, id=second.rule.id)), steps)


def _compared(first: Subject, second: Subject, steps: int) -> RuleRelation:
    taken = (*first.taken, *second.taken)
    made = compare(first.rule.program, second.rule.program, steps, most=1)
    return _relation(first.rule, second.rule, made, taken, steps)


def _with_digits(subject: Subject) -> Subject:
    """A subject for which a field is a number where it has the digits of it; itself if it asks for
    no number."""

    def change(atom: ir.Atom) -> ir.Condition:
        match atom:
            case ir.Compare(left, ir.Relation.EQUAL, ir.Constant(int() as number)) if not (
                isinstance(number, bool)
            ):
                return ir.Match(left, (Pattern(str(number)),), atom.span)
            case _:
                return atom

    outputs = []
    for output in subject.rule.program.outputs:
        stages = ir.as_stages(output.plan)
        if stages is None:
            return subject
        parts = tuple(
            ir.Filter(ir.Search(stage.kinds), ir.map_atoms(stage.condition, change))
            for stage in stages
        )
        outputs.append(evolve(output, plan=parts[0] if len(parts) == 1 else ir.Union(parts)))
    program = evolve(subject.rule.program, outputs=tuple(outputs))
    if program == subject.rule.program:
        return subject
    taken = tuple(dict.fromkeys((*subject.taken, assumptions.DIGITS)))
    return evolve(subject, rule=evolve(subject.rule, program=program), taken=taken)


def _relation(
    first: Rule, second: Rule, made: Comparison, taken: tuple[str, ...], steps: int
) -> RuleRelation:
    names = first.id, second.id
    assumed = tuple(dict.fromkeys((*made.assumptions, *taken)))
    if made.equivalent:
        note = () if _finds_something(first, steps) else (assumptions.NEVER,)
        return RuleRelation(*names, Verdict.SAME, assumptions=(*assumed, *note))
    forth = _witnesses("a", made.only_first, first, second, made)
    back = _witnesses("b", made.only_second, second, first, made)
    found = (*forth, *back)
    reasons = []
    if not made.shown:
        if found:
            return RuleRelation(*names, Verdict.OVERLAPS, found, assumed)
        reason = "they find the same events, but what they show of them is not the same"
        return RuleRelation(*names, Verdict.UNDECIDED, (), assumed, (reason,))
    if not made.compared:
        reasons.append(f"no proof; {made.lists} small lists of events show no difference")
    for finder, direction, confirmed in (
        ("first", made.only_first, forth),
        ("second", made.only_second, back),
    ):
        kinds = ", ".join(map(str, direction.undecided))
        if kinds:
            reasons.append(f"whether only the {finder} finds some events of {kinds}")
        if direction.differences and not confirmed:
            reasons.append(f"the engine does not confirm an event that only the {finder} finds")
    if not made.compared or _several(first) or _several(second):
        return _of_several_events(first, second, made, (forth, back), assumed, steps, reasons)
    common = _common(first, second, steps)
    if isinstance(common, Witness):
        shared = (common,)
        within = (made.only_first, made.only_second)
        contained = [one == Direction() for one in within]
        if contained[1] and forth:
            return RuleRelation(*names, Verdict.COVERS, found, assumed)
        if contained[0] and back:
            return RuleRelation(*names, Verdict.COVERED, found, assumed)
        if forth and back:
            return RuleRelation(*names, Verdict.OVERLAPS, (*found, *shared), assumed)
    elif common is False:
        return RuleRelation(*names, Verdict.DISJOINT, found, assumed)
    else:
        reasons.append("whether there is an event that both find")
    return RuleRelation(*names, Verdict.UNDECIDED, found, assumed, tuple(reasons))


def _several(rule: Rule) -> bool:
    """Whether one of a rule's outputs looks at several events."""
    return by_kind(rule.program, keyed=True) is None


def _of_several_events(
    first: Rule,
    second: Rule,
    made: Comparison,
    witnesses: tuple[tuple[Witness, ...], tuple[Witness, ...]],
    assumed: tuple[str, ...],
    steps: int,
    reasons: list[str],
) -> RuleRelation:
    """The relation of two rules of which one looks at several events. Lists of events show
    differences; that there are none takes a proof."""
    names = first.id, second.id
    forth, back = witnesses
    found = (*forth, *back)
    if made.apart:
        return RuleRelation(*names, Verdict.DISJOINT, found, assumed)
    verdict = None
    if forth and back:
        verdict = Verdict.OVERLAPS
    elif forth and made.within[1]:
        verdict = Verdict.COVERS
    elif back and made.within[0]:
        verdict = Verdict.COVERED
    if verdict is not None:
        events = [dict(event) for event in shared_list(first.program, second.program, steps)]
        both = witness_of("both", events, first, also=second) if events else None
        if both is not None:
            return RuleRelation(*names, verdict, (*found, both), assumed)
        reasons.append("whether there is an event that both find")
    return RuleRelation(*names, Verdict.UNDECIDED, found, assumed, tuple(reasons) or (_OPEN,))


_OPEN = "lists of events show differences; whether one finds all that the other finds is not known"


def _witnesses(
    name: str, direction: Direction, finder: Rule, misser: Rule, made: Comparison
) -> tuple[Witness, ...]:
    """The differences that the engine confirms."""
    found: list[Witness] = []
    for item in direction.differences:
        events = item.among or (item.event,)
        demanded = "" if item.span is None else " ".join(item.span.text.split())
        one = witness_of(
            name,
            [dict(event) for event in events],
            finder,
            misser,
            demanded=demanded,
            shown=not made.shown,
        )
        if one is not None and all(one.events != other.events for other in found):
            found.append(one)
    return tuple(found)


def _finds_something(rule: Rule, steps: int) -> bool:
    """Whether an event is found that a rule finds; True of one that looks at several."""
    if _several(rule):
        return True
    return shared_event(rule.program, rule.program, steps, keyed=True) is not None


def _common(first: Rule, second: Rule, steps: int) -> Witness | bool | None:
    """An event that both rules find, as the engine confirms; False where it is proved that there is
    none, None where neither is known."""
    mine, theirs = (by_kind(one.program, keyed=True) for one in (first, second))
    assert mine is not None
    assert theirs is not None
    open_ = False
    for kind, condition in mine.items():
        other = theirs.get(kind)
        if other is None:
            continue
        of = KindFacts(kind, GivenFields(frozenset()))
        wishes: list[Wish] = [(condition, Goal.TRUE), (other, Goal.TRUE)]
        budget = Budget(steps)
        event = shortest(wishes, of, of.judge(condition, None, (other,)), budget)
        if event is not None:
            found = witness_of("both", [event], first, also=second)
            if found is not None:
                return found
            open_ = True
        elif possible(wishes, of, budget) is not False:
            open_ = True
    open_ = open_ or any(
        is_native(one) != is_native(other) and may_be_one(one, other)
        for one in mine
        for other in theirs
    )
    return None if open_ else False


def matching_event(rule: Rule, steps: int = _STEPS) -> Witness | None:
    """An event that a rule finds, in the shape of its log; None where none was found.

    Of rules that single events decide.

    >>> import carengine
    >>> rule = carengine.parse_rule('a = search File:Create where exe = "x" output a')
    >>> matching_event(rule).events
    ({'object': 'file', 'action': 'create', 'exe': 'x'},)
    """
    for event in _events_of(rule, steps):
        found = witness_of("a", [event], rule)
        if found is not None:
            return found
    return None


def _events_of(rule: Rule, steps: int) -> list[Event]:
    """Small events that the solver says a rule finds, one of each kind at most."""
    made = []
    for kind, condition in (by_kind(rule.program, keyed=True) or {}).items():
        of = KindFacts(kind, GivenFields(frozenset()))
        judge = of.judge(condition, None, ())
        event = shortest([(condition, Goal.TRUE)], of, judge, Budget(steps))
        if event is not None:
            made.append(event)
    return made


def distinguishing_event(finder: Rule, misser: Rule, steps: int = _STEPS) -> Witness | None:
    """An event that ``finder`` finds and ``misser`` does not, in the shape of the log that they are
    about, as the engine confirms; None where none was found, which proves nothing.

    >>> import carengine
    >>> one, other = (
    ...     carengine.parse_rule(f"a = search Process:Create where {text} output a")
    ...     for text in ('exe = "*.exe"', 'exe = "cmd.exe"')
    ... )
    >>> distinguishing_event(one, other).events
    ({'object': 'process', 'action': 'create', 'exe': 'x.exe'},)
    >>> distinguishing_event(other, one) is None
    True
    """
    made = compare(finder.program, misser.program, steps, most=1)
    found = _witnesses("a", made.only_first, finder, misser, made)
    return found[0] if found else None


# Rules of different log sources


def _of_other_sources(first: Subject, second: Subject, steps: int) -> RuleRelation:
    """Two rules under native names of different log sources."""
    names = first.rule.id, second.rule.id
    kinds = [sorted(one.kinds, key=str) for one in (first, second)]
    apart = all(are_apart(one, other) for one in kinds[0] for other in kinds[1])
    if apart:
        assumed = (assumptions.sources(kinds[0][0], kinds[1][0]),)
        found = []
        for name, finder, misser in (("a", first, second), ("b", second, first)):
            for event in _events_of(finder.rule, steps)[:1]:
                one = witness_of(name, [event], finder.rule, misser.rule)
                found += [one] if one is not None else []
        return RuleRelation(*names, Verdict.DISJOINT, tuple(found), assumed)
    reason = (
        f"the log sources {', '.join(map(str, kinds[0][:3]))} and "
        f"{', '.join(map(str, kinds[1][:3]))} may hold the same events"
    )
    return RuleRelation(*names, Verdict.UNDECIDED, reasons=(reason,))


_APART: dict[tuple[ir.EventKind, ir.EventKind], bool] = {}


def are_apart(one: ir.EventKind, other: ir.EventKind) -> bool:
    """Whether no event is of both log sources: of two products, or told apart by a field map.

    >>> are_apart(ir.EventKind("windows", "dns_query"), ir.EventKind("windows", "image_load"))
    True
    >>> are_apart(ir.EventKind("windows", "sysmon"), ir.EventKind("windows", "image_load"))
    False
    """
    if one == other or "*" in (one.object, one.action, other.object, other.action):
        return False
    if one.object != other.object:
        # What has the names of ECS, or of a query, may be an event of any product.
        products = not {one.object, other.object} & {ECS.object, *LANGUAGES}
        return products and is_native(one) and is_native(other)
    known = _APART.get((one, other))
    if known is None:
        known = _APART[one, other] = _told_apart(one, other)
    return known


def _told_apart(one: ir.EventKind, other: ir.EventKind) -> bool:
    both = [m for m in installed_maps() if one in m.sources() and other in m.sources()]
    return bool(both) and all(_exclude(m, one, other) for m in both)


def _exclude(fieldmap: FieldMap, one: ir.EventKind, other: ir.EventKind) -> bool:
    """Whether the conditions of a map's entries for two log sources exclude each other."""
    entries = fieldmap.entries
    return all(
        a != b and exclude(entries[a].when, entries[b].when)
        for a in fieldmap.by_kind.get(one, ())
        for b in fieldmap.by_kind.get(other, ())
    )
