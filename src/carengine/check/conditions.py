"""What is wrong with one condition, found by asking ``logic`` about its parts.

First from the inside out, each part on its own: can it be true at all, can it be false at all? The
smallest part that cannot is reported, and what is built on it stays silent. Then from the outside
in, each part among its neighbours: what stands beside it, and what the rows of the stream have
passed before, is taken as given, and then a part may turn out to be

* impossible: it, or one alternative in it, contradicts what is given;
* needless: what is given implies it, or its alternatives cover it.

``not`` turns things round: under it an ``or`` demands and an ``and`` offers. What excludes
each other is narrowed down to as few parts as possible, and these are what a finding points at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import field, frozen

from .. import ir
from ..diagnostics import Code, Diagnostic, Edit, Fix, Label, Span, codes
from ..ir import Goal, Wish
from ..ir_text import condition_text
from ..regex import automaton as regexes
from ..solver.facts import Facts, context
from ..solver.satisfiability import can_be
from ..solver.texts import Budget, Texts, is_empty
from ..syntax import ast
from ..syntax.lexical import scan
from .parts import Part

_SHOWN = 70
_MAX_PARTS = 300


@frozen
class Assumption:
    """Something that holds wherever the part at hand matters."""

    condition: ir.Condition
    goal: Goal
    span: Span | None
    words: str = ""

    @property
    def wish(self) -> Wish:
        """What the search is asked to keep to."""
        return self.condition, self.goal


def check_condition(part: Part, rows: ir.Plan, budget: Budget) -> list[Diagnostic]:
    """The findings about a condition that is put to the rows of a plan."""
    checker = _ConditionChecker(Facts(rows), budget)
    if checker.alone(part) is None:
        passed = [Assumption(c, Goal.TRUE, _place(c)) for c in context(rows)]
        if not checker.can(one.wish for one in passed):
            # The stream is empty, which is said where it became so.
            passed = []
        checker.among(part, Goal.TRUE, passed)
    return checker.found


@frozen
class _ConditionChecker:
    facts: Facts
    budget: Budget
    found: list[Diagnostic] = field(factory=list)
    # Parts that turned out to be always true (of what is there) or never, by identity. Findings
    # about them are made; their neighbours are judged without them.
    decided: dict[int, bool] = field(factory=dict)

    def can(self, wishes: Iterable[Wish]) -> bool:
        """Whether it is possible as far as is known."""
        return can_be(wishes, self.facts, self.budget) is not False

    def report(
        self,
        code: Code,
        message: str,
        part: Part,
        label: str = "",
        labels: tuple[Label, ...] = (),
        notes: tuple[str, ...] = (),
        fix: Fix | None = None,
    ) -> None:
        self.found.append(Diagnostic(code, message, part.span, label, labels, notes, fix))

    # Each part on its own

    def alone(self, part: Part) -> bool | None:
        """Report parts that can never be true or never be false; the value of this one if it is
        such."""
        if len(part.parts) > _MAX_PARTS:
            return None
        inner = [self.alone(item) for item in part.parts]
        value: bool | None = None
        match part.kind:
            case "test":
                value = self._test_alone(part)
            case "not":
                value = None if inner[0] is None else not inner[0]
            case "and" | "or":
                absorbing = part.kind == "or"
                if absorbing in inner:
                    value = absorbing
                elif None not in inner:
                    value = not absorbing
                else:
                    value = self._several_alone(part)
        if value is not None:
            self.decided[id(part)] = value
        return value

    def undecided(self, parts: Iterable[Part]) -> list[Part]:
        """The parts that can be either true or false."""
        return [part for part in parts if id(part) not in self.decided]

    def _test_alone(self, part: Part) -> bool | None:
        condition = part.condition
        if isinstance(condition, ir.Truth) and isinstance(part.syntax, ast.BooleanLiteral):
            # Somebody who writes `true` means it.
            return condition.value
        if not self.can([(condition, Goal.TRUE)]):
            self._impossible_test(part)
            return False
        if not self.can([(condition, Goal.FALSE)]):
            self._certain_test(part)
            return True
        return None

    def _impossible_test(self, part: Part) -> None:
        condition, text = part.condition, _text(part)
        field_ = next(iter(ir.values_of(condition)), None)
        null = [f for f in ir.fields_of(condition) if self.facts.always_null(f)]
        worlds = list(self.facts.worlds())
        null += [f for f in ir.fields_of(condition) if all(w.always_null(f) for w in worlds)]
        if null and not isinstance(condition, ir.IsNull):
            message = f"no event of this stream has a {_name(null[0])}, so {text} is never true"
            self.report(codes.NULL_FIELD, message, part, "never true")
        elif isinstance(condition, ir.Regex) and self._is_plain(condition):
            self._hopeless_regex(part, condition)
        elif isinstance(condition, ir.Match | ir.Regex) and self.facts.base_name(condition.value):
            self._path(part, condition)
        else:
            notes = ("an empty list holds nothing",) if isinstance(condition, ir.Truth) else ()
            if field_ is None and not notes:
                notes = ("it contradicts itself",)
            message = f"{text} can never be true"
            self.report(codes.NEVER_TRUE, message, part, "never true", notes=notes)

    def _is_plain(self, condition: ir.Regex) -> bool:
        """Whether it is the expression itself that matches nothing, whatever the field."""
        return is_empty(Texts(frozenset((condition,))), self.budget) is True

    def _hopeless_regex(self, part: Part, condition: ir.Regex) -> None:
        notes = []
        pattern = condition.pattern
        if "$" in pattern.rstrip("$)"):
            notes.append("`$` is the end of the text: nothing can stand behind it")
        if "^" in pattern.lstrip("^("):
            notes.append("`^` is the beginning of the text: nothing can stand before it")
        notes.append(r"for the characters themselves write \$ and \^")
        place = (
            part.syntax.regex.span if isinstance(part.syntax, ast.MatchExpression) else part.span
        )
        self.found.append(
            Diagnostic(
                codes.REGEX_NEVER_FOUND,
                "this regular expression cannot match any text",
                place,
                "matches nothing",
                notes=tuple(notes),
                fix=_without_anchor(part, condition),
            )
        )

    def _path(self, part: Part, condition: ir.Match | ir.Regex) -> None:
        name = _name(condition.value)
        path = self.facts.path_field(condition.value)
        prefix = ""
        if isinstance(condition.value, ir.Field) and condition.value.source is not None:
            prefix = condition.value.source + "."
        fix = None
        if path is not None:
            fix = Fix(
                f"compare {prefix}{path}, or leave the folders out", self._to_path(part, path)
            )
        self.report(
            codes.PATH_FOR_BASE_NAME,
            f"{name} is a base name, and {_text(part)} has a separator in it",
            part,
            "never true",
            notes=(f"{name} is what stands behind the last separator of {prefix}{path}",),
            fix=fix,
        )

    def _to_path(self, part: Part, path: str) -> tuple[Edit, ...]:
        """Edits that put the path's field in the place of the base name's."""
        match part.syntax:
            case ast.ComparisonExpression(ast.FieldPath(names) as left, _) if not part.item:
                return (Edit(left.span, ".".join((*names[:-1], path))),)
            case _:
                # Only a comparison names its field where a fix can put another one.
                return ()

    def _certain_test(self, part: Part) -> None:
        condition = part.condition
        names = sorted({_name(f) for f in ir.fields_of(condition)})
        fix = None
        if isinstance(condition, ir.Match | ir.Regex) and names:
            edits = (
                () if part.item or part.span is None else (Edit(part.span, f"{names[0]} exists"),)
            )
            fix = Fix(f"to ask whether it is there, write {names[0]} exists", edits)
            if part.words:
                fix = Fix(f"to ask whether it is there, write {names[0]}|exists: true")
        if isinstance(condition, ir.Match) and any(
            set(p.text) == {"*"} for p in condition.patterns
        ):
            message = f"{_text(part)} is true whenever {names[0]} is there"
            self.report(codes.WILDCARD_FOR_EXISTS, message, part, "matches every text", fix=fix)
            return
        when = f" whenever {' and '.join(names)} {'is' if len(names) == 1 else 'are'} there"
        known = not isinstance(condition, ir.IsNull) and names
        message = f"{_text(part)} is true{when}" if known else f"{_text(part)} is always true"
        self.report(codes.ALWAYS_TRUE, message, part, "always true", fix=fix)

    def _several_alone(self, part: Part) -> bool | None:
        parts = self.undecided(part.parts)
        goal = Goal.TRUE if part.kind == "and" else Goal.FALSE
        if self.can([(inner.condition, goal) for inner in parts]):
            return None
        core, _ = self._core(parts, goal)
        if part.kind == "and":
            self._exclusive((core, []), ())
        else:
            self._exhaustive(part, core)
        return part.kind == "or"

    def _core(
        self, parts: Sequence[Part], goal: Goal, given: Sequence[Assumption] = ()
    ) -> tuple[list[Part], list[Assumption]]:
        """As few parts (and given conditions) as possible that still exclude each other."""
        kept = list(parts)
        facts = list(given)
        for one in list(facts):
            rest = [g for g in facts if g is not one]
            if not self.can([*(g.wish for g in rest), *((p.condition, goal) for p in kept)]):
                facts = rest
        for part in list(kept):
            fewer = [p for p in kept if p is not part]
            if fewer and not self.can(
                [*(g.wish for g in facts), *((p.condition, goal) for p in fewer)]
            ):
                kept = fewer
        return kept, facts

    def _exclusive(
        self,
        core: tuple[list[Part], list[Assumption]],
        notes: tuple[str, ...],
        goal: Goal = Goal.TRUE,
    ) -> None:
        parts, given = core
        *others, last = parts
        labels = tuple(Label(p.span, "excludes it") for p in others if p.span is not None)
        labels += tuple(Label(g.span, "the stream is limited to this") for g in given if g.span)
        word = "true" if goal is Goal.TRUE else "false"
        texts = [_text(p) for p in parts]
        if len(parts) == 1 and given:
            message = f"{texts[0]} can never be {word} of these events"
        elif len(parts) == 2:
            message = f"{texts[0]} and {texts[1]} are never {word} of the same event"
        else:
            message = f"{', '.join(texts)} are never all {word} of one event"
        self.report(codes.NEVER_TRUE, message, last, f"never {word}", labels, notes)

    def _exhaustive(self, part: Part, parts: list[Part]) -> None:
        *others, last = parts
        labels = tuple(Label(p.span, "covers the rest") for p in others if p.span is not None)
        names = sorted({_name(f) for p in parts for f in ir.fields_of(p.condition)})
        if len(parts) > 1 and all(p.kind == "not" for p in parts):
            self._negations(part, parts)
            return
        when = f"whenever {' and '.join(names)} {'is' if len(names) == 1 else 'are'} there"
        nulls = any(isinstance(a, ir.IsNull) for p in parts for a in ir.atoms(p.condition))
        message = f"{_text(part)} is {'always true' if nulls or not names else 'true ' + when}"
        self.report(codes.ALWAYS_TRUE, message, last, "always true", labels)

    def _negations(self, part: Part, parts: list[Part]) -> None:
        *others, last = parts
        labels = tuple(Label(p.span, "true of all the others") for p in others if p.span)
        name = next((_name(f) for f in ir.fields_of(last.condition)), "the value")
        edits: tuple[Edit, ...] = ()
        if len(parts) == len(part.parts):
            edits = _connectives(part, "or", "and")
        self.report(
            codes.NEGATIONS_IN_OR,
            f"{_join_texts(part.parts)} is true of every {name}: no value equals all of these",
            last,
            "always true",
            labels,
            ("not (a or b) is (not a) and (not b): exclusions are joined by `and`",),
            Fix("join them by `and`")
            if last.words
            else Fix(f"join them by `and`, or write {name} not in [ … ]", edits),
        )

    # Each part among its neighbours

    def among(self, part: Part, goal: Goal, given: list[Assumption]) -> None:
        """Report what is impossible or needless in a part that has to be the goal."""
        if id(part) in self.decided:
            return
        match part.kind:
            case "not":
                self.among(part.parts[0], goal.under_not, given)
            case "and" | "or" if (part.kind == "and") == (goal is Goal.TRUE):
                self._demanded(part, goal, given)
            case "and" | "or":
                self._offered(part, goal, given)
            case _:
                self._single(part, goal, given)

    def _single(self, part: Part, goal: Goal, given: list[Assumption]) -> None:
        """A condition that is a single test, against what the stream is limited to."""
        if not given:
            return
        wishes = [g.wish for g in given]
        if not self.can([*wishes, (part.condition, goal)]):
            self._exclusive(self._core([part], goal, given), (), goal)
        elif not self.can([*wishes, (part.condition, goal.opposite)]):
            self._needless(part, given, goal, ())

    def _demanded(self, part: Part, goal: Goal, given: list[Assumption]) -> None:
        """All parts have to be the goal."""
        sound = self.undecided(part.parts)
        wishes = [g.wish for g in given]
        if given and not self.can([*wishes, *((p.condition, goal) for p in sound)]):
            self._exclusive(self._core(sound, goal, given), (), goal)
            return
        kept = list(sound)
        for inner in reversed(sound):
            others = [p for p in kept if p is not inner]
            assumed = [*given, *(Assumption(p.condition, goal, p.span, p.words) for p in others)]
            if assumed and not self.can(
                [*(g.wish for g in assumed), (inner.condition, goal.opposite)]
            ):
                kept = others
                if inner.item:
                    self._cover(inner, others, goal.opposite, given, part.parts)
                else:
                    self._needless(inner, assumed, goal, part.parts)
        for inner in kept:
            if inner.kind != "test":
                others = [p for p in kept if p is not inner]
                beside = [Assumption(p.condition, goal, p.span, p.words) for p in others]
                self.among_composite(inner, goal, [*given, *beside])

    def among_composite(self, part: Part, goal: Goal, given: list[Assumption]) -> None:
        """Go on inside a part whose whole has been judged already."""
        while part.kind == "not":
            part, goal = part.parts[0], goal.under_not
        if part.kind != "test":
            self.among(part, goal, given)

    def _offered(self, part: Part, goal: Goal, given: list[Assumption]) -> None:
        """One of the parts has to be the goal."""
        wishes = [g.wish for g in given]
        alive = []
        for inner in self.undecided(part.parts):
            if given and not self.can([*wishes, (inner.condition, goal)]):
                self._dead(inner, goal, given)
            else:
                alive.append(inner)
        kept = self._covered(alive, goal, given, part.parts)
        for inner in kept:
            if inner.kind != "test":
                self.among_composite(inner, goal, given)

    def _covered(
        self,
        alive: Sequence[Part],
        goal: Goal,
        given: Sequence[Assumption],
        siblings: tuple[Part, ...],
    ) -> list[Part]:
        """The alternatives without those that the others cover."""
        kept = list(alive)
        for inner in reversed(alive):
            others = [p for p in kept if p is not inner]
            if not others:
                break
            wishes: list[Wish] = [(p.condition, goal.opposite) for p in others]
            wishes += [(inner.condition, goal), *(g.wish for g in given)]
            if not self.can(wishes):
                kept = others
                self._cover(inner, others, goal, given, siblings)
        return kept

    def _dead(self, part: Part, goal: Goal, given: list[Assumption]) -> None:
        _, against = self._core([part], goal, given)
        labels = tuple(Label(g.span, "excludes it") for g in against if g.span is not None)
        word = "true" if goal is Goal.TRUE else "false"
        what = "item" if part.item else "alternative"
        self.report(
            codes.DEAD_ALTERNATIVE,
            f"{_text(part)} can never be {word} here: {_given_text(against)}",
            part,
            f"this {what} never counts",
            labels,
        )

    def _cover(
        self,
        part: Part,
        others: list[Part],
        goal: Goal,
        given: Sequence[Assumption],
        siblings: tuple[Part, ...],
    ) -> None:
        """An alternative that the others cover."""
        rest = others
        for other in others:
            fewer = [p for p in rest if p is not other]
            wishes: list[Wish] = [(p.condition, goal.opposite) for p in fewer]
            wishes += [(part.condition, goal), *(g.wish for g in given)]
            if fewer and not self.can(wishes):
                rest = fewer
        labels = tuple(Label(p.span, "covers it") for p in rest if p.span is not None)
        fix = _removal(part, siblings)
        if len(rest) == 1 and self._same(part, rest[0]):
            message = f"{_text(part)} is there twice"
            code = codes.DUPLICATE_CONDITION
        else:
            code = codes.SUBSUMED_PATTERN if _is_text(part, rest) else codes.REDUNDANT_CONDITION
            message = f"{_text(part)} adds nothing: {_join_texts(rest)} covers it"
        self.report(code, message, part, "adds nothing", labels, fix=fix)

    def _same(self, one: Part, other: Part) -> bool:
        """Whether two parts are true of the same events."""
        return not self.can(
            [(one.condition, Goal.TRUE), (other.condition, Goal.NOT_TRUE)]
        ) and not (self.can([(other.condition, Goal.TRUE), (one.condition, Goal.NOT_TRUE)]))

    def _needless(
        self, part: Part, assumed: Sequence[Assumption], goal: Goal, siblings: tuple[Part, ...]
    ) -> None:
        """A demand that what is given makes sure of."""
        rest = list(assumed)
        for one in list(rest):
            fewer = [g for g in rest if g is not one]
            if not self.can([*(g.wish for g in fewer), (part.condition, goal.opposite)]):
                rest = fewer
        labels = tuple(Label(g.span, "makes sure of it") for g in rest if g.span is not None)
        twice = len(rest) == 1 and self._same(part, Part("test", rest[0].condition, rest[0].span))
        code = codes.DUPLICATE_CONDITION if twice else codes.REDUNDANT_CONDITION
        message = f"{_text(part)} changes nothing: {_given_text(rest)}"
        self.report(code, message, part, "changes nothing", labels, fix=_removal(part, siblings))


# Words and edits


def _place(condition: ir.Condition) -> Span | None:
    """Where a condition is written: all its tests together, if they stand in one file."""
    spans = [span for atom in ir.atoms(condition) if (span := getattr(atom, "span", None))]
    if not spans or any(span.source is not spans[0].source for span in spans):
        return None
    whole: Span = spans[0]
    for span in spans:
        whole = whole.to(span)
    return whole


def _text(part: Part) -> str:
    """The part as it is written, in one line; what the IR says where it is written nowhere."""
    if part.words:
        text = " ".join(part.words.split())
    elif part.span is not None:
        text = _in_one_line(part.span.text)
    else:
        text = condition_text(part.condition, most=3)
    return f"`{text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}`"


def _in_one_line(text: str) -> str:
    """A part of a program without its line ends and comments."""
    scanned = scan(text)
    for comment in reversed(scanned[1] if scanned is not None else []):
        text = text[: comment.start] + text[comment.end :]
    return " ".join(text.split())


def _join_texts(parts: Sequence[Part]) -> str:
    texts = [_text(part) for part in parts[:4]]
    if len(parts) > 4:
        texts.append(f"{len(parts) - 4} more")
    return " or ".join(texts)


def _given_text(given: Sequence[Assumption]) -> str:
    """What is given, as a reason."""
    shown = []
    for one in given[:3]:
        text = _text(Part("test", one.condition, one.span, words=one.words))
        shown.append(f"{text} {'holds' if one.goal is Goal.TRUE else 'does not hold'}")
    return " and ".join(shown) if shown else "it contradicts what is known of the field"


def _name(value: ir.Value) -> str:
    match value:
        case ir.Field(name, None):
            return name
        case ir.Field(name, source):
            return f"{source}.{name}"
        case _:
            return "value"


def _is_text(part: Part, others: Sequence[Part]) -> bool:
    return all(isinstance(p.condition, ir.Match | ir.Regex | ir.InNetwork) for p in (part, *others))


def _removal(part: Part, siblings: tuple[Part, ...]) -> Fix | None:
    """Leave a part out, together with the word or comma that ties it to a neighbour."""
    message = "leave it out"
    place = next((i for i, p in enumerate(siblings) if p is part), None)
    if place is None or part.shared or len(siblings) < 2:
        return Fix(message)
    before = siblings[place - 1] if place else None
    after = siblings[place + 1] if place + 1 < len(siblings) else None
    if part.span is None or any(p.span is None for p in (before, after) if p is not None):
        return Fix(message)
    source = part.span.source
    if before is not None:
        assert before.span is not None
        cut = Span(source, _end(before.span), _end(part.span))
    else:
        assert after is not None
        assert after.span is not None
        cut = Span(source, _start(part.span), _start(after.span))
    if not _only_a_tie(cut, part.span):
        return Fix(message)
    return Fix(message, (Edit(cut, ""),), safe=True)


def _start(span: Span) -> int:
    return span.start


def _end(span: Span) -> int:
    return span.end


_TIES = ("and", "or", ",")


def _only_a_tie(cut: Span, kept: Span) -> bool:
    """Whether what is cut beside the part is one ``and``, ``or`` or comma, and no comment or
    bracket."""
    text = cut.source.text
    beside = text[cut.start : kept.start] + " " + text[kept.end : cut.end]
    return beside.strip().lower() in _TIES


def _connectives(part: Part, old: str, new: str) -> tuple[Edit, ...]:
    """Edits that put another word between the parts; none where more than the word stands there."""
    edits = []
    for left, right in zip(part.parts, part.parts[1:], strict=False):
        if left.span is None or right.span is None or left.span.source is not right.span.source:
            return ()
        gap = Span(left.span.source, left.span.end, right.span.start)
        if gap.text.strip().lower() != old:
            return ()
        start = gap.start + gap.text.lower().index(old)
        edits.append(Edit(Span(gap.source, start, start + len(old)), new))
    return tuple(edits)


def _without_anchor(part: Part, condition: ir.Regex) -> Fix | None:
    """The expression without a ``$`` at its start or a ``^`` at its end, if that helps."""
    if not isinstance(part.syntax, ast.MatchExpression):
        return None
    pattern = condition.pattern
    better = pattern.lstrip("$") if pattern.startswith("$") else pattern.rstrip("^")
    if better == pattern or not better:
        return None
    test = ir.Regex(condition.value, better, condition.cased, condition.dotall, condition.multiline)
    searcher = regexes.searcher(test)
    if searcher is None:
        return None
    span = part.syntax.regex.span
    place = span.text.find(pattern)
    if place < 0:
        return Fix(f"without the anchor: {better}")
    cut = Span(span.source, span.start + place, span.start + place + len(pattern))
    return Fix(f"without the anchor: {better}", (Edit(cut, better),))
