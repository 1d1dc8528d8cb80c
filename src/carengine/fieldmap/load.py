"""Field maps from YAML.

A file describes one product's log and the shapes it comes in::

    name: sysmon                       the family
    title: Sysmon
    empty: ["-", ""]                   texts that mean "not known"
    shapes:                            without it: one shape, with the keys at the top
      - name: winlogbeat recognise: 'winlog.channel = "Microsoft-Windows-Sysmon/Operational"'
        fields: winlog.event_data      where a native name is found names: {EventID:
        winlog.event_id}    those found elsewhere, as expressions text: unescape                 a
        function applied to every field (optional) dotted: true                   a path is one key,
        dots and all (optional) within: xml_event(Message)     a mapping that all paths but this
        one's are looked up in (optional)
    shared:                            groups of fields that entries use
      actor: {image_path: Image, pid: ProcessId}
    common: {time: UtcTime}            fields of every entry whose object has them
    without: {Sysmon 22: why}          what is known and no kind of CAR's, for people
    entries:
      - kind: file/create
        when: EventID = 11
        use: [actor]
        fields: {file_path: TargetFilename}

Conditions and values are written in the language itself. In ``recognise`` and in the expressions of
``names`` a name is a path in the raw event (backquotes around a part that has other characters:
Event.System.`#text`); everywhere else it is a native name, which the shape places.

``logsources`` are entries whose events keep their native names, for rules (Sigma's) that are
written in these::

    logsources:
      - source: windows/process_creation   the product, then Sigma's category or service; or *
        service: security                  the service, for rules that name it beside the category
        (optional) when: Channel = "Security" and EventID = 4688 names: {Image: NewProcessName}
        native names that this source has another name for (optional)

    any_case: {md5: 'hash(Hashes, "MD5")'}  names of log sources that rules write in any case, for
                                            what a field of that name does not say

``objects`` declares what CAR does not have (`carengine.datamodel.declaring`), ``sensor`` of an
entry who tells of its events (`carengine.fieldmap.sensors`).

A shape with ``only: true`` has the fields in its ``names`` and no others.

Where CAR says that one field is the base name of another (``exe`` of ``image_path``), a map need
give only the path. All that is wrong is reported together.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from itertools import combinations
from pathlib import Path

from attrs import evolve, frozen

from .. import ir, yamltext
from ..datamodel import DataModel, ObjectSpec, declare_objects, model, nearest
from ..diagnostics import (
    Block,
    CarError,
    Diagnostic,
    Source,
    Span,
    codes,
    has_errors,
    refuse_missing,
)
from ..filewrite import bounded_text
from ..functions import FUNCTIONS, arities
from ..resolve import resolve_map_condition, resolve_map_value, suggestion
from ..syntax import ast, parse_value
from .deferred import Deferred, Maker
from .model import Entry, FieldMap, NativeNames
from .pipeline import PipelineReader, is_pipeline
from .sensor_reading import SensorReader
from .sensors import Sensor

_MAP_KEYS = (
    *("name", "title", "description", "references", "empty", "shapes", "shared", "common"),
    *("without", "any_case", "objects"),
)
_SHAPE_KEYS = ("name", "title", "recognise", "fields", "names", "text", "dotted", "within", "only")
_ENTRY_KEYS = ("kind", "when", "use", "fields", "sensor", "note")
_SOURCE_KEYS = ("source", "service", "when", "names", "sensor", "note")

Lookup = Callable[[tuple[str, ...]], ir.Value]


def load_map(path: str | Path, *, deferred: bool = False) -> tuple[FieldMap, ...]:
    """The field maps (one a shape) of a YAML file.

    With ``deferred`` the fields of entries are read when they are asked for, and are known to be
    right: so the shipped maps are loaded, which tests have checked.

    Raises `CarError` with everything that is wrong, each with its line and column, and
    `PathNotFoundError` when there is no such file.

    >>> import carengine
    >>> folder = Path(carengine.__file__).parent / "fieldmap" / "maps"
    >>> [fieldmap.name for fieldmap in load_map(folder / "car.yaml")]
    ['car']
    """
    refuse_missing([path], codes.BAD_MAP)
    try:
        text = bounded_text(path, "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CarError(
            [Diagnostic(codes.BAD_MAP, f"the field map cannot be read: {error}", origin=str(path))]
        ) from None
    return parse_map(text, str(path), deferred=deferred)


def parse_map(
    text: str, name: str = "<field map>", *, deferred: bool = False
) -> tuple[FieldMap, ...]:
    """The field maps of a YAML text. See `load_map`.

    >>> [own] = parse_map(
    ...     '''
    ... name: own
    ... recognise: proxy_event exists
    ... entries:
    ...   - kind: process/create
    ...     when: proxy_event = "start"
    ...     fields: {exe: program}
    ... '''
    ... )
    >>> own.name, [str(kind) for kind in own.kinds()]
    ('own', ['process/create'])
    """
    reader = _FieldMapReader(model(), deferred)
    made = reader.read(Block.whole(Source(name, text)))
    if has_errors(reader.found):
        raise CarError(reader.found)
    return made


@frozen
class _Shape:
    name: str
    title: str
    recognise: ir.Condition
    names: NativeNames

    def native(self, path: tuple[str, ...]) -> ir.Value:
        """The value that a path means in the file's own expressions."""
        return self.names.at(path)


class _FieldMapReader:
    """One file being read: what was found so far."""

    def __init__(self, datamodel: DataModel, deferred: bool = False) -> None:
        self.model = datamodel
        self.deferred = deferred
        self.found: list[Diagnostic] = []
        # Each shape resolves the shared expressions anew; their texts are parsed once.
        self.parsed: dict[int, ast.Expression | None] = {}

    def read(self, block: Block) -> tuple[FieldMap, ...]:
        try:
            root = yamltext.load_yaml(block, codes.BAD_MAP)
        except CarError as error:
            self.found += error.diagnostics
            return ()
        if not isinstance(root, yamltext.Mapping):
            self._wrong("a field map is a mapping of keys", root.span)
            return ()
        if is_pipeline(root):
            pipeline = PipelineReader()
            stem = Path(block.source.name).stem or "pipeline"
            maps = pipeline.read(root, stem)
            self.found += [item for item in pipeline.found if item.code is codes.BAD_MAP]
            return maps
        declared = root.get("objects")
        if declared is not None:
            try:
                self.model = declare_objects(declared)
            except CarError as error:
                self.found += error.diagnostics
        self._known_keys(root, (*dict.fromkeys(_MAP_KEYS + _SHAPE_KEYS), "entries", "logsources"))
        self._check_without(root.get("without"))
        name = self._text(root, "name")
        title = self._text(root, "title", default=name)
        empty = tuple(self._texts(root.get("empty")))
        shapes = self._shapes(root, title, empty)
        made = []
        for shape in shapes:
            entries = self._entries(root, shape)
            full = f"{name}.{shape.name}" if shape.name else name
            description = self._text(root, "description", default="")
            made.append(FieldMap(full, shape.title, shape.recognise, entries, description))
        if not shapes:  # what is wrong in the entries is to be told as well
            self._entries(root, _Shape("", "", ir.Truth(False), NativeNames()))
        if not self.deferred:
            self._known_fields(root)
        return tuple(made)

    def _known_fields(self, root: yamltext.Mapping) -> None:
        """Report names among ``common`` and ``shared`` fields that no object of the model has.

        A common field that an entry's object lacks is left out there: one may be misspelt.
        """
        shared = root.get("shared")
        groups = [root.get("common")]
        if isinstance(shared, yamltext.Mapping):
            groups += [node for _, node in shared.entries]
        specs = self.model.objects.values()
        told = {item.span for item in self.found}
        for group in groups:
            for key, _ in group.entries if isinstance(group, yamltext.Mapping) else ():
                name = str(key.value)
                known = name == "*" or any(spec.field(name) is not None for spec in specs)
                if known or key.span in told:
                    continue
                names = list(dict.fromkeys(field for spec in specs for field in spec.fields))
                self._add(
                    Diagnostic(
                        codes.MAP_UNKNOWN_FIELD,
                        f"no object of the data model has a field {name}",
                        key.span,
                        fix=suggestion(nearest(name, names, 3), key.span),
                    )
                )

    def _check_without(self, node: yamltext.Node | None) -> None:
        """What is known and gives no CAR events: for people, and only its form is looked at."""
        if isinstance(node, yamltext.Mapping):
            for _, reason in node.entries:
                if not isinstance(reason, yamltext.Scalar):
                    self._wrong("the reason is a text", reason.span)
        elif node is not None:
            self._wrong("without is a mapping from what there is to the reason", node.span)

    # Shapes

    def _shapes(self, root: yamltext.Mapping, title: str, empty: tuple[str, ...]) -> list[_Shape]:
        listed = root.get("shapes")
        if listed is None:
            shape = self._shape(root, "", title, empty)
            return [] if shape is None else [shape]
        if not isinstance(listed, yamltext.ListNode):
            self._wrong("shapes is a list", listed.span)
            return []
        made = []
        for node in listed.items:
            if not isinstance(node, yamltext.Mapping):
                self._wrong("a shape is a mapping of keys", node.span)
                continue
            self._known_keys(node, _SHAPE_KEYS)
            name = self._text(node, "name")
            own_title = self._text(node, "title", default=f"{title} ({name})")
            shape = self._shape(node, name, own_title, empty)
            if shape is not None:
                made.append(shape)
        return made

    def _shape(
        self, node: yamltext.Mapping, name: str, title: str, empty: tuple[str, ...]
    ) -> _Shape | None:
        wrapped = self._text(node, "text", default="")
        if wrapped and wrapped not in FUNCTIONS:
            place = node.get("text")
            assert place is not None
            self._add(
                Diagnostic(
                    codes.MAP_UNKNOWN_FUNCTION,
                    f"there is no function {wrapped}",
                    place.span,
                    fix=suggestion(nearest(wrapped, list(FUNCTIONS), 3), place.span),
                )
            )
            wrapped = ""

        prefix = tuple(part for part in self._text(node, "fields", default="").split(".") if part)
        outside = node.get("within")
        whole = None if outside is None else self._value(outside, ir.Raw)
        dotted, either = self._dotted(node)
        if "*" in prefix and (dotted or either):
            place = node.get("fields")
            assert place is not None
            self._wrong("a path with a * is several keys, and dotted makes it one", place.span)
        bare = NativeNames(prefix, {}, empty, wrapped, dotted, whole, either=either)
        names = Deferred(self._makers(node.get("names"), bare.placed))
        native = evolve(bare, prefix=None if _is_true(node.get("only")) else prefix, names=names)
        recognise = self._condition(node, "recognise", ir.Raw)
        return None if recognise is None else _Shape(name, title, recognise, native)

    def _dotted(self, node: yamltext.Mapping) -> tuple[bool, bool]:
        """Whether a path is one key, and whether it may be one or several."""
        written = node.get("dotted")
        match written:
            case None:
                return False, False
            case yamltext.Scalar(bool() as truth):
                return truth, False
            case yamltext.Scalar("both"):
                return False, True
            case _:
                self._wrong("dotted is true, false or both", written.span)
                return False, False

    # Entries

    def _entries(self, root: yamltext.Mapping, shape: _Shape) -> tuple[Entry, ...]:
        shared = root.get("shared")
        groups: dict[str, yamltext.Node] = {}
        if isinstance(shared, yamltext.Mapping):
            groups = {str(key.value): node for key, node in shared.entries}
        elif shared is not None:
            self._wrong("shared is a mapping of groups of fields", shared.span)
        common = self._makers(root.get("common"), shape.native)
        folded = self._makers(root.get("any_case"), shape.native)
        made = self._sources(root.get("logsources"), shape, common, folded)
        listed = root.get("entries")
        if listed is None and made:
            return tuple(made)
        if not isinstance(listed, yamltext.ListNode):
            self._wrong("a field map needs a list of entries", (listed or root).span)
            return ()
        for node in listed.items:
            if not isinstance(node, yamltext.Mapping):
                self._wrong("an entry is a mapping of keys", node.span)
                continue
            self._known_keys(node, _ENTRY_KEYS)
            entry = self._entry(node, shape, groups, common)
            if entry is not None:
                made.append(entry)
        if not self.deferred:
            self._report_overlaps([entry for entry in made if entry.native is None])
        return tuple(made)

    def _sources(
        self,
        listed: yamltext.Node | None,
        shape: _Shape,
        common: Mapping[str, Maker],
        folded: Mapping[str, Maker],
    ) -> list[Entry]:
        """The entries of ``logsources``."""
        if listed is None:
            return []
        if not isinstance(listed, yamltext.ListNode):
            self._wrong("logsources is a list", listed.span)
            return []
        made = []
        for node in listed.items:
            if not isinstance(node, yamltext.Mapping):
                self._wrong("a log source is a mapping of keys", node.span)
                continue
            self._known_keys(node, _SOURCE_KEYS)
            product, slash, kind = self._text(node, "source").lower().partition("/")
            if not (product and slash and kind):
                self._wrong("source is product/category or product/service", node.span)
                continue
            when = self._condition(node, "when", shape.native)
            if when is None:
                continue
            time = {name: value for name, value in common.items() if name == "time"}
            own = self._makers(node.get("names"), shape.native)
            service = self._text(node, "service", default="").lower()
            if service:
                own[ir.SERVICE] = _constant(service)
            names = Deferred({**_makers(shape.names.names), **own})
            native = evolve(shape.names, names=names, folded=Deferred(folded))
            if not self.deferred:
                native = evolve(native, names=dict(native.names), folded=dict(native.folded))
            fields = self._entry_fields(time)
            event_kind = ir.EventKind(product, kind)
            sensor = self._sensor(node, event_kind, {}, native.at)
            made.append(Entry(event_kind, when, fields, node.span, native, sensor=sensor))
        if not self.deferred:
            self._report_overlaps(made)
        return made

    def _entry_fields(self, makers: Mapping[str, Maker]) -> Mapping[str, ir.Value]:
        fields = Deferred(makers)
        return fields if self.deferred else dict(fields)

    def _entry(
        self,
        node: yamltext.Mapping,
        shape: _Shape,
        groups: Mapping[str, yamltext.Node],
        common: Mapping[str, Maker],
    ) -> Entry | None:
        kind = self._kind(node)
        when = self._condition(node, "when", shape.native)
        if kind is None:
            fields_node = node.get("fields")
            if isinstance(fields_node, yamltext.Mapping):
                for key, written in fields_node.entries:
                    if key.value != "*":
                        self._value(written, shape.native)
            return None
        spec = self.model.objects[kind.object]
        fields = {name: value for name, value in common.items() if spec.field(name) is not None}
        for name in self._texts(node.get("use")):
            group = groups.get(name)
            if group is None:
                use = node.get("use")
                assert use is not None
                fix = suggestion(nearest(name, list(groups), 3), use.span)
                self._add(
                    Diagnostic(codes.BAD_MAP, f"shared has no group {name}", use.span, fix=fix)
                )
                continue
            fields |= self._fields(group, shape.native, spec)
        own = node.get("fields")
        if own is not None:
            fields |= self._fields(own, shape.native, spec)
        if when is None:
            return None
        fields = _with_derived(fields, spec)
        sensor = self._sensor(node, kind, fields, shape.native)
        return Entry(kind, when, self._entry_fields(fields), node.span, sensor=sensor)

    def _sensor(
        self,
        node: yamltext.Mapping,
        kind: ir.EventKind,
        fields: Mapping[str, Maker],
        native: Lookup,
    ) -> Sensor | None:
        reader = SensorReader(lambda one: self._maker(one, native), self._wrong, self.deferred)
        return reader.read(node.get("sensor"), kind, fields)

    def _kind(self, node: yamltext.Mapping) -> ir.EventKind | None:
        written = node.get("kind")
        if not isinstance(written, yamltext.Scalar):
            self._wrong("an entry needs a kind: object/action", node.span)
            return None
        object_, _, action = written.text.partition("/")
        spec = self.model.object(object_)
        if spec is None:
            self._add(
                Diagnostic(
                    codes.UNKNOWN_OBJECT,
                    f"the data model has no object {object_}",
                    written.span,
                    fix=suggestion(
                        [f"{near}/{action}" for near in self.model.nearest_objects(object_)],
                        written.span,
                    ),
                )
            )
            return None
        found = spec.action(action)
        if found is None:
            self._add(
                Diagnostic(
                    codes.UNKNOWN_ACTION,
                    f"{spec.title} has no action {action}",
                    written.span,
                    notes=(f"actions of {spec.title}: {', '.join(spec.actions)}",),
                    fix=suggestion(
                        [f"{spec.name}/{near}" for near in spec.nearest_actions(action)],
                        written.span,
                    ),
                )
            )
            return None
        return ir.EventKind(spec.name, found.name)

    def _fields(self, node: yamltext.Node, native: Lookup, spec: ObjectSpec) -> dict[str, Maker]:
        """A group of fields; ``"*": "*"`` stands for every field of the object by its own name.

        A base name that is not there is taken from its path, as where a map gives the path only.
        """
        if not isinstance(node, yamltext.Mapping):
            self._wrong("fields is a mapping from CAR names to expressions", node.span)
            return {}
        made: dict[str, Maker] = {}
        for key, written in node.entries:
            name = str(key.value)
            if name == "*":
                made |= _own_names(native, spec)
                continue
            known = spec.field(name)
            if known is None:
                near = spec.nearest_fields(name)
                self._add(
                    Diagnostic(
                        codes.MAP_UNKNOWN_FIELD,
                        f"{spec.title} has no field {name}",
                        key.span,
                        fix=suggestion(near, key.span),
                    )
                )
                continue
            maker = self._maker(written, native)
            if maker is not None:
                made[known.name] = maker
        return made

    def _report_overlaps(self, entries: Iterable[Entry]) -> None:
        for first, second in combinations(entries, 2):
            if first.kind == second.kind and not exclusive(first.when, second.when):
                assert second.span is not None
                self._add(
                    Diagnostic(
                        codes.MAP_OVERLAP,
                        f"two entries give {first.kind} to events that could be the same",
                        second.span,
                        notes=(
                            "their conditions must exclude each other: EventID = 1, EventID = 4",
                        ),
                    )
                )

    # Expressions

    def _condition(self, node: yamltext.Mapping, key: str, lookup: Lookup) -> ir.Condition | None:
        written = node.get(key)
        if not isinstance(written, yamltext.Scalar):
            self._wrong(f"{key} is missing", node.span)
            return None
        expression = self._parsed(written)
        if expression is None:
            return None
        resolved = resolve_map_condition(expression, lookup, arities())
        self.found += resolved.diagnostics
        return resolved.condition

    def _parsed(self, node: yamltext.Scalar) -> ast.Expression | None:
        if id(node) not in self.parsed:
            self.parsed[id(node)], found = parse_value(node.text_block)
            self.found += found
        return self.parsed[id(node)]

    def _makers(self, node: yamltext.Node | None, lookup: Lookup) -> dict[str, Maker]:
        if node is None:
            return {}
        if not isinstance(node, yamltext.Mapping):
            self._wrong("this is a mapping from names to expressions", node.span)
            return {}
        made = {}
        for key, written in node.entries:
            maker = self._maker(written, lookup)
            if maker is not None:
                made[str(key.value)] = maker
        return made

    def _maker(self, node: yamltext.Node, lookup: Lookup) -> Maker | None:
        """What gives the value of an expression; None where there is known to be none."""
        if self.deferred:
            return lambda: self._certain(node, lookup)
        value = self._value(node, lookup)
        return None if value is None else lambda: value

    def _certain(self, node: yamltext.Node, lookup: Lookup) -> ir.Value:
        value = self._value(node, lookup)
        if value is None:
            raise CarError(self.found)
        return value

    def _value(self, node: yamltext.Node, lookup: Lookup) -> ir.Value | None:
        if not isinstance(node, yamltext.Scalar):
            self._wrong("an expression is a text", node.span)
            return None
        expression = self._parsed(node)
        if expression is None:
            return None
        resolved = resolve_map_value(expression, lookup, arities())
        self.found += resolved.diagnostics
        return resolved.value

    # Plain YAML

    def _text(self, node: yamltext.Mapping, key: str, default: str | None = None) -> str:
        written = node.get(key)
        if isinstance(written, yamltext.Scalar) and written.value is not None:
            return written.text
        if isinstance(written, yamltext.Mapping | yamltext.ListNode):
            self._wrong(f"{key} is a text", written.span)
            return default or ""
        if default is None:
            self._wrong(f"{key} is missing", node.span)
        return default or ""

    def _texts(self, node: yamltext.Node | None) -> list[str]:
        if node is None:
            return []
        if isinstance(node, yamltext.ListNode) and all(
            isinstance(item, yamltext.Scalar) for item in node.items
        ):
            return [item.text for item in node.items if isinstance(item, yamltext.Scalar)]
        self._wrong("this is a list of texts", node.span)
        return []

    def _known_keys(self, node: yamltext.Mapping, known: tuple[str, ...]) -> None:
        for key, _ in node.entries:
            name = str(key.value)
            if name not in known:
                self._add(
                    Diagnostic(
                        codes.BAD_MAP,
                        f"a field map has no key {name} here",
                        key.span,
                        notes=(f"keys: {', '.join(known)}",),
                        fix=suggestion(nearest(name, list(known), 3), key.span),
                    )
                )

    def _wrong(self, message: str, span: Span) -> None:
        self._add(Diagnostic(codes.BAD_MAP, message, span))

    def _add(self, diagnostic: Diagnostic) -> None:
        if diagnostic not in self.found:
            self.found.append(diagnostic)


def _is_true(node: yamltext.Node | None) -> bool:
    return isinstance(node, yamltext.Scalar) and node.value is True


def _constant(text: str) -> Maker:
    return lambda: ir.Constant(text)


def _makers(values: Mapping[str, ir.Value]) -> dict[str, Maker]:
    """What gives the values of a mapping, each only when it is asked for."""

    def maker(name: str) -> Maker:
        return lambda: values[name]

    return {name: maker(name) for name in values}


def _own_names(native: Lookup, spec: ObjectSpec) -> dict[str, Maker]:
    """Every field of an object under its own name; derived ones fall back on what they derive
    from."""

    def maker(name: str) -> Maker:
        derive = _derived_from(name, frozenset(spec.fields), spec)
        if derive is None:
            return lambda: native((name,))
        function, source = derive
        return lambda: ir.Call("first", (native((name,)), ir.Call(function, (native((source,)),))))

    return {name: maker(name) for name in spec.fields}


def _derived_from(name: str, given: Container[str], spec: ObjectSpec) -> tuple[str, str] | None:
    """The function and the field among the given ones that a field follows from, if it does."""
    base = spec.fields[name].base_name_of
    if base is not None and base in given:
        return "basename", base
    if name == "hostname" and "fqdn" in given:
        return "label", "fqdn"
    if name == "extension" and "file_path" in given:
        return "extension", "file_path"
    return None


def _with_derived(fields: Mapping[str, Maker], spec: ObjectSpec) -> dict[str, Maker]:
    """The fields in the data model's order, with those that follow from another one added."""

    def maker(function: str, source: str) -> Maker:
        return lambda: ir.Call(function, (fields[source](),))

    made: dict[str, Maker] = {}
    for name in dict.fromkeys(("time", *spec.fields)):
        if name in fields:
            made[name] = fields[name]
        elif name in spec.fields and (derive := _derived_from(name, fields, spec)) is not None:
            made[name] = maker(*derive)
    # What stands below an open field (`proto_info.pipe`) is in no list.
    return {**made, **fields}


def exclusive(first: ir.Condition, second: ir.Condition) -> bool:
    """Whether two conditions can be seen never to hold together: one value, no text in common."""
    ours, theirs = _pinned(first), _pinned(second)
    return any(not texts & theirs[value] for value, texts in ours.items() if value in theirs)


def _pinned(condition: ir.Condition) -> dict[ir.Value, frozenset[str]]:
    """The values that a conjunction fixes to a few texts."""
    parts = condition.items if isinstance(condition, ir.And) else (condition,)
    pinned: dict[ir.Value, frozenset[str]] = {}
    for part in parts:
        match part:
            case ir.Compare(value, ir.Relation.EQUAL, ir.Constant(constant)):
                pinned[value] = frozenset({str(constant)})
            case ir.Match(value, patterns):
                exact = [pattern.exact for pattern in patterns]
                if all(text is not None for text in exact):
                    pinned[value] = frozenset(text for text in exact if text is not None)
            case ir.Or(items):
                inner = [_pinned(item) for item in items]
                shared = set(inner[0]).intersection(*inner[1:])
                for value in shared:
                    pinned[value] = frozenset().union(*(found[value] for found in inner))
            case _:
                # Any other test leaves open which texts there can be.
                pass
    return pinned
