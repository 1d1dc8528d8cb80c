"""Whether a program in CAR's names and a query find the same events of the logs that the query is
about.

In CAR's names the two may differ where they cannot on these logs: CAR has a field for the name of a
registry value, Sysmon has it as the end of the key. So the program is put into the log's own names
instead, entry by entry of the field maps, with functions of field maps as conditions on what they
are given, and compared there with the query as it stands::

    value = "SafeDllSearchMode"      TargetObject = "*\\SafeDllSearchMode"
                                     TargetObject="*\\SafeDllSearchMode"

``same_in_own_names`` proves, or does not. Taken for granted is what translations note: that a field
holds one text, that whole numbers and addresses are spelt as usual, that a list of hashes has each
algorithm once, and a message one line for each name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from attrs import evolve

from .. import ir
from ..fieldmap import Entry, FieldMap, lower_for
from ..languages.lowered import settle
from ..languages.reading import QueryReading, asked_of_entries
from ..languages.translation import Findings, Untranslatable
from ..languages.two_valued import AllOf, AnyOf, AtomHolds, Const, IsPresent, Negated, TwoValued
from ..languages.two_valued.rewriter import TwoValuedRewriter
from ..pattern import Pattern
from ..regex import alternatives, network_to_regex
from ..solver.texts import Budget
from .comparing import follows
from .kind_conditions import by_kind
from .kind_facts import KindFacts
from .logs import GivenFields

Path = tuple[str, ...]


def same_in_own_names(
    program: ir.Program, query: QueryReading, maps: tuple[FieldMap, ...], steps: int
) -> bool:
    """Whether it is proved that a program and a query (under its own names) find the same events of
    the maps' logs."""
    conditions = by_kind(program)
    asked = asked_of_entries(query, maps)
    if conditions is None or not asked:
        return False
    budget = Budget(steps)
    own = [one for one in asked if one[1].native is None]
    # Where nothing is asked of any event of the logs, there is nothing that the two agree on.
    some = any(
        entry.kind in conditions and theirs not in (ir.Truth(False), ir.Truth(None))
        for _, entry, theirs in own
    )
    return some and all(
        _same(conditions.get(entry.kind, ir.Truth(False)), fieldmap, entry, theirs, budget)
        for fieldmap, entry, theirs in own
    )


def _same(
    condition: ir.Condition, fieldmap: FieldMap, entry: Entry, theirs: ir.Condition, budget: Budget
) -> bool:
    names = _one_name(entry)
    in_eql = fieldmap.family == "eql"
    absent = _unused(entry, {raw.path for raw in _raws_in(theirs)})

    def leaf(value: ir.Value) -> ir.Value:
        unused = isinstance(value, ir.Raw) and value.path in absent
        return ir.Constant(None) if unused else value

    def own(condition: ir.Condition) -> ir.Condition | None:
        """The condition over raw fields alone; None where it cannot be put so."""
        try:
            plain = _renamed(settle(condition, leaf), names)
            return _condition(
                TwoValuedRewriter(Findings("", ""), presence=True).true_of(plain), in_eql=in_eql
            )
        except Untranslatable:
            return None

    mine = own(lower_for(ir.Stage((entry.kind,), condition), fieldmap, entry).condition)
    if mine is None:
        return False
    when = own(entry.when) or ir.Truth(True)
    columns: dict[str, ir.Column] = {}
    mine, when, other = (
        ir.simplify(_over_columns(c, columns)) for c in (mine, when, _renamed(theirs, names))
    )
    plan = ir.Project(_TEXTS, tuple(columns.values()))
    of = KindFacts(entry.kind, GivenFields(frozenset()), plan)
    return all(
        follows(one, two, of, budget) or follows(ir.conjunction((one, when)), two, of, budget)
        for one, two in ((mine, other), (other, mine))
    )


_TEXTS = ir.Search((ir.EventKind("process", "create"),))
_TEXT = ir.Field("command_line")


def _over_columns(condition: ir.Condition, columns: dict[str, ir.Column]) -> ir.Condition:
    """The condition with raw fields as columns, of which no more is known than that they hold one
    text."""

    def change(value: ir.Value) -> ir.Value:
        match value:
            case ir.Raw(path, _, type_):
                name = f"log {'.'.join(path)}"
                columns[name] = ir.Column(name, _TEXT)
                return ir.Field(name, None, type_)
            case _:
                return value

    return ir.rewrite_condition(condition, change)


def _unused(entry: Entry, read: Set[Path]) -> set[Path]:
    """The names that a query does not read though it reads another one that shippers use for the
    same.

    The query is about logs with the names that it reads.
    """
    found: set[Path] = set()
    for value in entry.fields.values():
        for several in _calls(value, "first"):
            ways = [{raw.path for raw in ir.raws_in(way)} for way in several.arguments]
            if any(way & read for way in ways):
                found |= {path for way in ways for path in way} - read
    return found


def _calls(value: ir.Value, function: str) -> Iterator[ir.Call]:
    for part in ir.values_in(value):
        if isinstance(part, ir.Call) and part.function == function:
            yield part


def _raws_in(condition: ir.Condition) -> Iterator[ir.Raw]:
    for atom in ir.atoms(condition):
        for value in ir.values_of(atom):
            yield from ir.raws_in(value)


def _condition(formula: TwoValued, *, in_eql: bool) -> ir.Condition:
    """A formula as a condition; ``in_eql`` with networks as expressions and numbers as texts, as
    EQL has them."""
    match formula:
        case Const(value):
            return ir.Truth(value)
        case AllOf(items):
            return ir.And(tuple(_condition(item, in_eql=in_eql) for item in items))
        case AnyOf(items):
            return ir.Or(tuple(_condition(item, in_eql=in_eql) for item in items))
        case Negated(IsPresent(found, with_null)):
            return ir.IsNull(ir.Presence(found) if with_null else found)
        case Negated(item):
            return ir.Not(ir.IsTrue(_condition(item, in_eql=in_eql)))
        case IsPresent(found, with_null):
            return ir.Not(ir.IsNull(ir.Presence(found) if with_null else found))
        case AtomHolds(ir.Compare(left, ir.Relation.EQUAL, ir.Constant(int() as number))) if in_eql:
            return ir.Match(left, (Pattern.literal(str(number)),))
        case AtomHolds(ir.Compare(type=ir.Type.INTEGER | ir.Type.NUMBER) as atom):
            # What is spelt in hexadecimal is a test of its own in a formula.
            return evolve(atom, type=ir.Type.ANY)
        case AtomHolds(ir.InNetwork(value, networks) as atom) if in_eql:
            found_all = [network_to_regex(network) for network in networks]
            if None in found_all:
                return atom
            bodies = alternatives(body for body, _ in filter(None, found_all))
            return ir.Regex(value, rf"^(?:{bodies}\z)", dotall=True)
        case AtomHolds(atom):
            return atom


def _one_name(entry: Entry) -> Mapping[Path, Path]:
    """For what shippers call by several names, the first of these."""
    made: dict[Path, Path] = {}
    for value in entry.fields.values():
        for several in _calls(value, "first"):
            paths = [way.path for way in several.arguments if isinstance(way, ir.Raw)]
            if len(paths) == len(several.arguments):
                for path in paths[1:]:
                    made.setdefault(path, paths[0])
    return made


def _renamed(condition: ir.Condition, names: Mapping[Path, Path]) -> ir.Condition:
    def change(value: ir.Value) -> ir.Value:
        match value:
            case ir.Call("first", (ir.Raw() as first, *others), type_) if all(
                isinstance(o, ir.Raw) and names.get(o.path) == first.path for o in others
            ):
                return evolve(first, type=type_)
            case ir.Call(_, arguments):
                return evolve(value, arguments=tuple(map(change, arguments)))
            case ir.Raw(path) if path in names:
                return evolve(value, path=names[path])
            case _:
                return value

    return ir.rewrite_operands(condition, change)
