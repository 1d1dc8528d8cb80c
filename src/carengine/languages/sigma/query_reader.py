r"""Sigma rules, as one implementation of an analytic beside others.

pySigma reads them (`carengine.languages.sigma`, with the extra ``sigma``). There a rule searches
for the events of a log source, under the names that the product has for their fields. Here it
becomes a query like any other: the field map of Windows logs says which events a source is, and
where its fields stand::

    logsource: {product: windows, category: process_creation}     Channel is Sysmon's and EventID = 1 and Image = "*\at.exe"
    detection: {s: {Image|endswith: '\at.exe'}, condition: s}     or Channel = Security and EventID = 4688 and NewProcessName = "*\at.exe"

Several rules in one text are alternatives. Correlations, which look at several events, are refused,
and so are logs of other products than Windows.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from attrs import evolve

from ... import ir
from ...diagnostics import Block, Diagnostic, codes, has_errors
from ...fieldmap import find_maps, lower
from ..query import QueryReading, Refusal, finished, native_search, unsupported

LANGUAGE = "sigma"
_MAP = "windows.flat"


def read(block: Block) -> QueryReading:
    """The reading of Sigma rules.

    >>> text = '''
    ... title: at
    ... logsource: {product: windows, service: sysmon}
    ... detection: {s: {EventID: 1, Image|endswith: 'at.exe'}, condition: s}
    ... '''
    >>> [item.name for item in ir.fields_of(read(Block.of(text)).program.outputs[0].plan.condition)]
    ['Channel', 'EventID', 'Image']
    """
    try:
        sigma = import_module("carengine.languages.sigma")
    except ImportError as error:
        message = f"pySigma cannot be imported: {error}"
        missing = Diagnostic(codes.SIGMA_NOT_INSTALLED, message, block.span(0, 0))
        return QueryReading(LANGUAGE, block, None, (missing,))
    drafts, found = sigma.read([block])
    said = [*found, *(item for draft in drafts for item in draft.diagnostics)]
    return of_programs([one.program for one in drafts if one.program is not None], block, said)


def of_programs(
    programs: Iterable[ir.Program], block: Block, diagnostics: Iterable[Diagnostic] = ()
) -> QueryReading:
    """The reading of Sigma rules whose programs are known, of which ``block`` is the text.

    >>> program = ir.Program((ir.Output("a", ir.Search((ir.EventKind("windows", "sysmon"),))),))
    >>> [field.name for field in ir.fields_of(
    ...     of_programs([program], Block.of("")).program.outputs[0].plan.condition)]
    ['Channel']
    """
    said = list(diagnostics)
    conditions: list[ir.Condition] = []
    try:
        for program in programs:
            for output in program.outputs:
                conditions.append(_native(output.plan, block))
    except Refusal as refused:
        said.append(refused.diagnostic)
    plan: ir.Plan | None = None
    if not conditions and not has_errors(said):
        message = "no Sigma rule is in it"
        said.append(Diagnostic(codes.FOREIGN_SYNTAX, message, block.span(0, 0)))
    if conditions:
        span = block.span(0, len(block.text))
        plan = ir.Filter(native_search(LANGUAGE), ir.simplify(ir.Or(tuple(conditions))), span)
    return finished(LANGUAGE, block, plan, said)


def _native(plan: ir.Plan, block: Block) -> ir.Condition:
    """A rule's plan as a condition on events under their own names."""
    span = block.span(0, len(block.text))
    stages = ir.as_stages(plan)
    if stages is None:
        raise unsupported("a correlation looks at several events", span)
    [windows] = find_maps(_MAP)
    parts: list[ir.Condition] = []
    for stage in stages:
        ways = lower(stage, windows)
        if not ways:
            names = ", ".join(dict.fromkeys(map(str, stage.kinds)))
            raise unsupported(f"the log source {names}", span)
        for way in ways:
            whole = ir.And((way.entry.when, way.condition))
            parts.append(in_first_names(whole))
    return ir.simplify(ir.Or(tuple(parts)))


def in_first_names(condition: ir.Condition) -> ir.Condition:
    """A condition of a field map, or one lowered by it, on fields by their first names.

    >>> from ...fieldmap import find_maps
    >>> [windows] = find_maps("windows.flat")
    >>> found = in_first_names(windows.entries[windows.by_kind[ir.EventKind("windows", "system")][0]].when)
    >>> [field.name for field in ir.fields_of(found)]
    ['Channel']
    """
    return ir.rewrite_condition(ir.rewrite_operands(condition, _name), _named_leaf)


def _name(value: ir.Value) -> ir.Value:
    """The value with the product's one name for what shippers call by several."""
    match value:
        case ir.Call("first", (ir.Raw() | ir.Call("choose") as first, *_), type_):
            name = _name(first)
            return evolve(name, type=type_) if isinstance(name, ir.Raw) else name
        case ir.Call("choose", (ir.Raw() as of, *_, rest)) if of == rest:
            # Some shippers write a text of their own over the value.
            return of
        case ir.Call(_, arguments):
            return evolve(value, arguments=tuple(map(_name, arguments)))
        case _:
            return value


def _named_leaf(value: ir.Value) -> ir.Value:
    match value:
        case ir.Raw(path, _, type_):
            return ir.Field(".".join(path), None, type_)
        case _:
            return value
