"""What changed between two versions of a set of rules: in what they find, not in how they read.

``rule_changes`` puts each rule of the old set beside the rule of the new set that stands for it:
the one with its id, or one that was given another id, file or title and finds the same. Each pair
is compared as `compare_rules` does::

    unchanged    the two find the same, as is proved
    wider        the new one finds all that the old one finds, and an event besides
    narrower     the old one finds an event that the new one no longer finds, and nothing less
    both         each finds an event that the other does not
    moved        they have no event in common any more
    new, gone    there is no such rule on the other side
    undecided    neither a proof nor an event settles it
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any

from attrs import evolve, field, frozen

from .. import ir
from ..rule import Refused, Rule, RuleSet
from .data_places import different_places, places_of
from .relations import RuleRelation, Verdict, compare_rules
from .replay import Witness


class Change(enum.Enum):
    """What became of a rule."""

    UNCHANGED = "unchanged"
    WIDER = "wider"
    NARROWER = "narrower"
    BOTH = "both"
    MOVED = "moved"
    NEW = "new"
    GONE = "gone"
    UNDECIDED = "undecided"


_CHANGES = {
    Verdict.SAME: Change.UNCHANGED,
    Verdict.COVERED: Change.WIDER,
    Verdict.COVERS: Change.NARROWER,
    Verdict.OVERLAPS: Change.BOTH,
    Verdict.DISJOINT: Change.MOVED,
    Verdict.UNDECIDED: Change.UNDECIDED,
}


@frozen
class RuleChange:
    """A rule of two versions of a set, and what became of it.

    ``id`` is that of the new version, or of the old one where there is no new one. ``old`` and
    ``new`` are the two, where they can be used. ``witnesses`` are found by ``old`` or by ``new``.
    ``renamed`` tells that the id has changed.
    """

    id: str
    change: Change
    old: Rule | None = field(default=None, repr=False)
    new: Rule | None = field(default=None, repr=False)
    witnesses: tuple[Witness, ...] = ()
    assumptions: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    renamed: bool = False

    @property
    def title(self) -> str:
        """The rule's title, as it is now."""
        rule = self.new or self.old
        return self.id if rule is None else rule.title

    @property
    def path(self) -> str:
        """The file that the rule is in, as it is now."""
        rule = self.new or self.old
        return "" if rule is None else rule.path

    def as_json(self) -> dict[str, Any]:
        """The change as plain data.

        >>> RuleChange("x", Change.NEW).as_json()
        {'id': 'x', 'change': 'new', 'witnesses': []}
        """
        return {
            "id": self.id,
            "change": self.change.value,
            "witnesses": [one.as_json() for one in self.witnesses],
        }


def rule_changes(old: RuleSet, new: RuleSet) -> tuple[RuleChange, ...]:
    """What became of each rule of two versions of a set, in the order of their ids.

    >>> import carengine
    >>> rules = carengine.load_rules(carengine.shipped_rules() / "CAR-2019-08-001.car")
    >>> [change.change.value for change in rule_changes(rules, rules)]
    ['unchanged']
    """
    made = list(_changes(old, new))
    return tuple(sorted(made, key=lambda one: one.id))


def _changes(old: RuleSet, new: RuleSet) -> Iterator[RuleChange]:
    refused = _refused(old, new)
    by_id = {rule.id.lower(): rule for rule in old}
    gone: dict[str, Rule] = dict(by_id)
    fresh: list[Rule] = []
    for rule in new:
        before = gone.pop(rule.id.lower(), None)
        if before is not None:
            yield _compared(before, rule)
        elif rule.id.lower() not in refused:
            fresh.append(rule)
    gone = {id_: rule for id_, rule in gone.items() if id_ not in refused}
    yield from refused.values()
    yield from _renamed(gone, fresh)
    yield from (RuleChange(rule.id, Change.NEW, new=rule) for rule in fresh)
    yield from (RuleChange(rule.id, Change.GONE, old=rule) for rule in gone.values())


def _refused(old: RuleSet, new: RuleSet) -> dict[str, RuleChange]:
    """The rules of which a version cannot be used: nothing is known of what that one finds.

    One that is written as it was is unchanged all the same, and one that is not there any more is
    gone.
    """
    sides = {"old": _by_id(old.refused), "new": _by_id(new.refused)}
    made: dict[str, RuleChange] = {}
    for id_ in (*sides["old"], *sides["new"]):
        before, after = sides["old"].get(id_), sides["new"].get(id_)
        one = after or before
        assert one is not None
        if after is None and new.get(one.id) is None:
            made[id_] = RuleChange(one.id, Change.GONE)
        elif before is not None and after is not None and _written_alike(before, after):
            made[id_] = RuleChange(one.id, Change.UNCHANGED)
        else:
            reasons = tuple(
                f"the {side} version cannot be used: {_why(several[id_])}"
                for side, several in sides.items()
                if id_ in several
            )
            made[id_] = RuleChange(
                one.id, Change.UNDECIDED, old.get(one.id), new.get(one.id), reasons=reasons
            )
    return made


def _by_id(refused: Iterable[Refused]) -> dict[str, Refused]:
    return {one.id.lower(): one for one in refused}


def _why(refused: Refused) -> str:
    return refused.diagnostics[0].message if refused.diagnostics else "it is not right"


def _written_alike(old: Refused, new: Refused) -> bool:
    """Whether two texts are the same, and speak of no other rules that may have changed."""
    if old.block is None or new.block is None or old.block.text != new.block.text:
        return False
    return re.search(r"^correlation\s*:", old.block.text, re.MULTILINE) is None


def _renamed(gone: dict[str, Rule], fresh: list[Rule]) -> Iterator[RuleChange]:
    """The rules that have another id now. They are taken out of what is gone and what is new.

    One that is written as another one was, or in the file or under the title of another one, stands
    for that one; any other only if it is proved to find the same.
    """
    for likeness in (_same_program, _same_title, _same_file):
        for rule in tuple(fresh):
            before = next((one for one in gone.values() if likeness(one, rule)), None)
            if before is None:
                continue
            made = _compared(before, rule)
            if likeness is not _same_program and made.change in (Change.MOVED, Change.UNDECIDED):
                # It has no more in common with it than a name.
                continue
            del gone[before.id.lower()]
            fresh.remove(rule)
            yield evolve(made, renamed=True)


def _same_program(old: Rule, new: Rule) -> bool:
    return bool(old.program.outputs) and old.program == new.program


def _same_title(old: Rule, new: Rule) -> bool:
    return bool(old.metadata.title) and old.metadata.title == new.metadata.title


def _same_file(old: Rule, new: Rule) -> bool:
    names = [PurePosixPath(r.path.replace("!", "/").replace("\\", "/")).name for r in (old, new)]
    return names[0] == names[1] and not names[0].startswith("<")


def _compared(old: Rule, new: Rule) -> RuleChange:
    before, after = by_itself(old), by_itself(new)
    elsewhere = different_places(places_of(before, None), places_of(after, None))
    if before.program.outputs and before.program == after.program and elsewhere is None:
        return RuleChange(new.id, Change.UNCHANGED, old, new)
    relation = compare_rules(before, after)
    return change_of(relation, old, new)


def change_of(relation: RuleRelation, old: Rule, new: Rule) -> RuleChange:
    """The change that a comparison of an old and a new rule comes to."""
    names = {"a": "old", "b": "new"}
    witnesses = tuple(
        evolve(one, finder=names[one.finder]) for one in relation.witnesses if one.finder in names
    )
    return RuleChange(
        new.id,
        _CHANGES[relation.verdict],
        old,
        new,
        witnesses,
        relation.assumptions,
        relation.reasons,
    )


def by_itself(rule: Rule) -> Rule:
    """A rule that only a correlation reports, as it is without the correlation."""
    if rule.program.outputs or rule.syntax is not None:
        return rule
    drafts, _ = import_module("carengine.languages.sigma").read([rule.block])
    for draft in drafts:
        if draft.id == rule.id and isinstance(draft.program, ir.Program) and draft.program.outputs:
            return evolve(rule, program=draft.program)
    return rule
