"""pySigma's processing pipelines as field maps, where they say the same.

A pipeline rewrites a rule step by step: it renames fields, adds conditions, changes the log source.
A field map leaves the rule and says where each of its names is in an event. For renamed fields,
prefixes, suffixes and added conditions that is the same, and so is refusing the rules of a log
source. What rewrites the *values* of a rule has no counterpart; such a step is named (CE408) and
left out.

The format: https://sigmahq-pysigma.readthedocs.io/en/latest/Processing_Pipelines.html. The file is
read here; pySigma need not be installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import define, evolve, field, frozen

from .. import ir, yamltext
from ..diagnostics import Diagnostic, Fix, Span, codes
from ..pattern import Pattern
from .logsource import BY_OWN_NAMES
from .model import Entry, FieldMap

_ANY = "*"
_SYSTEMS = ("windows", "linux", "macos", _ANY)
_EVENT = ir.EventKind("pipeline", "event")
_MOST_SOURCES = 2_000
# What changes nothing about which events match.
_OF_THE_QUERY = ("postprocessing", "finalizers", "priority", "name", "allowed_backends", "vars")
_VALUES = {
    "value_placeholders": "give the values: --input NAME=VALUE",
    "query_expression_placeholders": "give the values: --input NAME=VALUE",
    "file_placeholders": "give the values: --input NAME=VALUE",
}


def is_pipeline(root: yamltext.Node) -> bool:
    """Whether a YAML document is a pipeline and no field map."""
    return (
        isinstance(root, yamltext.Mapping)
        and root.get("transformations") is not None
        and root.get("recognise") is None
    )


@frozen
class _Step:
    """One transformation that has a counterpart; without ``sources`` it is for any rule."""

    kind: str
    node: yamltext.Mapping
    sources: tuple[tuple[str, str], ...] | None
    all_of: bool
    negated: bool
    only: frozenset[str] | None
    but: frozenset[str]

    def concerns(self, product: str, name: str) -> bool:
        """Whether the step is for rules of a log source."""
        if self.sources is None:
            return True
        held = [p in ("", product) and n in ("", name) for p, n in self.sources]
        return (all(held) if self.all_of else any(held)) is not self.negated

    def takes(self, name: str) -> bool:
        """Whether the step is for a field."""
        return name not in self.but and (self.only is None or name in self.only)


@define
class _PipelineNames:
    """What the steps so far make of a rule's names: some by name, all others with what is put
    around them."""

    named: dict[str, str] = field(factory=dict)
    before: str = ""
    behind: str = ""
    added: list[tuple[str, yamltext.Node, bool]] = field(factory=list)
    refused: bool = False

    def rename(self, mapping: Mapping[str, str]) -> None:
        for name, now in list(self.named.items()):
            self.named[name] = mapping.get(now, now)
        for now, then in mapping.items():
            if now.startswith(self.before) and now.endswith(self.behind):
                name = now[len(self.before) : len(now) - len(self.behind)]
                if f"{self.before}{name}{self.behind}" == now:
                    self.named.setdefault(name, then)
        self.added = [(mapping.get(n, n), value, no) for n, value, no in self.added]

    def surround(self, before: str, behind: str) -> None:
        self.named = {name: f"{before}{now}{behind}" for name, now in self.named.items()}
        self.before, self.behind = f"{before}{self.before}", f"{self.behind}{behind}"
        self.added = [(f"{before}{n}{behind}", value, no) for n, value, no in self.added]


class PipelineReader:
    """Reads one pipeline; what cannot be said is in ``found``."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []

    def read(self, root: yamltext.Mapping, name: str) -> tuple[FieldMap, ...]:
        """The field map that a pipeline is."""
        listed = root.get("transformations")
        for key, _ in root.entries:
            if key.text not in ("transformations", *_OF_THE_QUERY):
                self._named(f"a pipeline has no key {key.text}", key.span)
        if not isinstance(listed, yamltext.ListNode):
            place = root.span if listed is None else listed.span
            self.found.append(Diagnostic(codes.BAD_MAP, "transformations is a list", place))
            return ()
        steps = [step for node in listed.items if (step := self._step(node)) is not None]
        entries = self._entries(steps)
        whens = [entry.when for entry in entries]
        recognise = ir.simplify(ir.Or(tuple(whens))) if len(whens) > 1 else whens[0]
        title = root.get("name")
        shown = title.text if isinstance(title, yamltext.Scalar) else name
        return (
            FieldMap(
                name,
                f"pySigma pipeline {shown}"[:200],
                recognise,
                entries,
                diagnostics=tuple(self.found),
            ),
        )

    def _named(self, message: str, span: Span, fix: str = "") -> None:
        self.found.append(
            Diagnostic(codes.PIPELINE_STEP, message, span, fix=Fix(fix) if fix else None)
        )

    # Steps

    def _step(self, node: yamltext.Node) -> _Step | None:
        kind = _text_of(node, "type")
        if not isinstance(node, yamltext.Mapping) or not kind:
            self._named("a transformation is a mapping with a type", node.span)
            return None
        if kind in ("set_state", "set_custom_attribute"):
            # Of itself it changes nothing; a condition on it is named where it stands.
            return None
        known = (
            *("field_name_mapping", "field_name_prefix", "field_name_suffix", "add_condition"),
            *("change_logsource", "rule_failure"),
        )
        if kind not in known:
            self._named(
                f"{kind} rewrites what a rule says, which a field map does not; it is left out",
                node.span,
                _VALUES.get(kind, ""),
            )
            return None
        conditions = self._sources(node, kind)
        fields = self._fields(node, kind)
        if conditions is False or fields is None:
            return None
        for key in ("detection_item_conditions", "rule_cond_expression", "field_name_cond_not"):
            if (wrong := node.get(key)) is not None:
                self._named(f"{kind} with {key} is left out", wrong.span)
                return None
        op = _text_of(node, "rule_cond_op") or "and"
        negated = _is_true(node.get("rule_cond_not"))
        only, but = fields
        sources = conditions if isinstance(conditions, tuple) else None
        return _Step(kind, node, sources, op == "and", negated, only, but)

    def _sources(self, node: yamltext.Mapping, kind: str) -> tuple[tuple[str, str], ...] | bool:
        """The log sources that a step is for; True for any, False where that cannot be said."""
        listed = node.get("rule_conditions")
        if listed is None:
            return True
        made = []
        for item in listed.items if isinstance(listed, yamltext.ListNode) else (listed,):
            if _text_of(item, "type") != "logsource":
                what = _text_of(item, "type") or "such a condition"
                self._named(f"{kind} for rules with {what} is left out", item.span)
                return False
            parts = [_text_of(item, k).lower() for k in ("product", "category", "service")]
            if parts[1] and parts[2]:
                self._named(f"{kind} for a category with a service is left out", item.span)
                return False
            made.append((parts[0], parts[1] or parts[2]))
        return tuple(made)

    def _fields(
        self, node: yamltext.Mapping, kind: str
    ) -> tuple[frozenset[str] | None, frozenset[str]] | None:
        """The fields that a step is for, and those that it is not for; None where that cannot be
        said."""
        listed = node.get("field_name_conditions")
        only: frozenset[str] | None = None
        but: frozenset[str] = frozenset()
        if listed is None:
            return only, but
        for item in listed.items if isinstance(listed, yamltext.ListNode) else (listed,):
            what, given = _text_of(item, "type"), _texts_of(item, "fields")
            plain = (_text_of(item, "mode") or "plain") == "plain"
            if what == "include_fields" and plain and only is None and kind == "field_name_mapping":
                only = frozenset(given)
            elif what == "exclude_fields" and plain and kind == "field_name_mapping":
                but |= frozenset(given)
            else:
                self._named(f"{kind} for some fields only is left out", item.span)
                return None
        return only, but

    # Entries

    def _entries(self, steps: list[_Step]) -> tuple[Entry, ...]:
        products = {p for s in steps for p, _ in s.sources or () if p}
        names = {n for s in steps for _, n in s.sources or () if n}
        kinds = [
            ir.EventKind(product, name)
            for product in sorted({*products, *_SYSTEMS})
            for name in sorted(names)
        ][:_MOST_SOURCES]
        wide = [ir.EventKind(product, _ANY) for product in sorted(products)]
        groups: list[tuple[_PipelineNames, list[ir.EventKind]]] = []
        for kind in kinds:
            made = self._run(steps, kind.object, kind.action)
            for other, members in groups:
                if other == made:
                    members.append(kind)
                    break
            else:
                groups.append((made, [kind]))
        entries = [self._entry(made, members[0], tuple(members[1:])) for made, members in groups]
        entries += [
            evolve(self._entry(self._run(steps, kind.object, ""), kind, ()), any_source=True)
            for kind in wide
        ]
        general = self._entry(self._run(steps, "", ""), _EVENT, ())
        return (*entries, evolve(general, any_source=True))

    def _run(self, steps: list[_Step], product: str, name: str) -> _PipelineNames:
        """What the steps make of the rules of a log source."""
        made = _PipelineNames()
        for step in steps:
            if not step.concerns(product, name):
                continue
            node = step.node
            match step.kind:
                case "change_logsource":
                    product = _text_of(node, "product").lower() or product
                    given = _text_of(node, "category") or _text_of(node, "service")
                    name = given.lower() or name
                case "field_name_mapping":
                    mapping = self._mapping(node)
                    made.rename({n: to for n, to in mapping.items() if step.takes(n)})
                case "field_name_prefix":
                    made.surround(_text_of(node, "prefix"), "")
                case "field_name_suffix":
                    made.surround("", _text_of(node, "suffix"))
                case "rule_failure":
                    made.refused = True
                case _:
                    self._add(node, made)
        return made

    def _mapping(self, node: yamltext.Mapping) -> dict[str, str]:
        mapping = node.get("mapping")
        made: dict[str, str] = {}
        for key, to in mapping.entries if isinstance(mapping, yamltext.Mapping) else ():
            several = to.items if isinstance(to, yamltext.ListNode) else (to,)
            if len(several) == 1 and isinstance(several[0], yamltext.Scalar):
                made[key.text] = several[0].text
            else:
                self._once(f"{key.text} as one of several fields is left out", to.span)
        return made

    def _once(self, message: str, span: Span) -> None:
        if all(item.span != span for item in self.found):
            self._named(message, span)

    def _add(self, node: yamltext.Mapping, made: _PipelineNames) -> None:
        conditions = node.get("conditions")
        if _is_true(node.get("template")) or not isinstance(conditions, yamltext.Mapping):
            self._once("add_condition with a template is left out", node.span)
            return
        negated = _is_true(node.get("negated"))
        if negated and len(conditions.entries) > 1:
            self._once("add_condition of several fields, negated, is left out", node.span)
            return
        for key, value in conditions.entries:
            several = value.items if isinstance(value, yamltext.ListNode) else (value,)
            scalars = [item for item in several if isinstance(item, yamltext.Scalar)]
            odd = any(
                item.value is None or any(mark in item.text for mark in "*?\\") for item in scalars
            )
            if "|" in key.text or odd or len(scalars) < len(several) or not scalars:
                self._once(f"the condition on {key.text} is left out", value.span)
            else:
                made.added.append((key.text, value, negated))

    def _entry(
        self, made: _PipelineNames, kind: ir.EventKind, also: tuple[ir.EventKind, ...]
    ) -> Entry:
        own = BY_OWN_NAMES
        conditions = [
            _condition(own.placed(tuple(name.split("."))), value, negated)
            for name, value, negated in made.added
        ]
        when: ir.Condition = ir.simplify(ir.conjunction(tuple(conditions)))
        if made.refused:
            when = ir.Truth(False)
        names = {name: own.placed(tuple(to.split("."))) for name, to in made.named.items()}
        native = evolve(own, names=names, before=made.before, behind=made.behind)
        return Entry(kind, when, {}, None, native, also)


def _condition(value: ir.Value, node: yamltext.Node, negated: bool) -> ir.Condition:
    several = node.items if isinstance(node, yamltext.ListNode) else (node,)
    scalars = [item for item in several if isinstance(item, yamltext.Scalar)]
    found: list[ir.Condition] = []
    for item in scalars:
        if isinstance(item.value, int | float) and not isinstance(item.value, bool):
            number = ir.Constant(item.value)
            found.append(ir.Compare(value, ir.Relation.EQUAL, number, ir.Type.NUMBER))
        else:
            found.append(ir.Match(value, (Pattern(item.text),)))
    made = found[0] if len(found) == 1 else ir.Or(tuple(found))
    return ir.Not(ir.IsTrue(made)) if negated else made


def _text_of(node: yamltext.Node, key: str) -> str:
    found = node.get(key) if isinstance(node, yamltext.Mapping) else None
    return found.text if isinstance(found, yamltext.Scalar) and found.value is not None else ""


def _texts_of(node: yamltext.Node, key: str) -> Iterable[str]:
    found = node.get(key) if isinstance(node, yamltext.Mapping) else None
    items = found.items if isinstance(found, yamltext.ListNode) else ()
    return [item.text for item in items if isinstance(item, yamltext.Scalar)]


def _is_true(node: yamltext.Node | None) -> bool:
    return isinstance(node, yamltext.Scalar) and node.value is True
