"""Reading the data model: one YAML file an object.

::

    name: registry                        snake case
    title: Registry                       as programs are printed with it; folds to the name
    description: …
    identity: [key, value]                fields that tell one of them from another
    actions:
      value_edit: The data of a value was set.
    fields:
      exe:
        type: text                        carengine.ir.Type; text where it is left out
        description: …
        example: example.exe              optional, and so are the rest
        base_name_of: image_path          the field with the path whose last part this is
        open: true                        every dotted path below it is a field too
        extension: why it is here         CAR's own model lacks the field

``time`` is on every object and in no file. Everything that is wrong in any file is collected and
raised at once; there is no half of a data model.
"""

from __future__ import annotations

import re
from pathlib import Path

from attrs import define, evolve

from ..diagnostics import Block, CarError, Diagnostic, Fix, Label, Source, Span, codes
from ..ir import Type
from ..yamltext import ListNode, Mapping, Node, Scalar, kind_of, load_yaml
from .specs import TIME, Action, DataModel, FieldSpec, ObjectSpec, camel_case
from .spellings import fold_name, nearest

_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*", re.ASCII)
_OBJECT_KEYS = ("name", "title", "description", "identity", "actions", "fields")
_DECLARED_KEYS = ("title", "description", "identity", "actions", "fields")
_ADDED_KEYS = ("actions", "fields")
_FIELD_KEYS = ("type", "description", "example", "base_name_of", "open", "extension")
_TYPES = {type.value: type for type in Type}


def load_model(folder: Path) -> DataModel:
    """The data model in the ``*.yaml`` files of a folder, in the order of their names.

    Raises ``CarError`` with all that is wrong: code CE218, with positions where there is a text.
    """
    reading = DataModelReader([])
    objects: dict[str, tuple[ObjectSpec, Span]] = {}
    paths = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    if not paths:
        reading.found.append(
            Diagnostic(codes.BAD_DATA_MODEL, "the folder holds no *.yaml file", origin=str(folder))
        )
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            message = f"the file cannot be read: {error}"
            reading.found.append(Diagnostic(codes.BAD_DATA_MODEL, message, origin=str(path)))
            continue
        try:
            node = load_yaml(Block.whole(Source(str(path), text)), codes.BAD_DATA_MODEL)
        except CarError as error:
            reading.found += error.diagnostics
            continue
        spec = reading.object(node)
        if spec is None:
            continue
        first = objects.setdefault(fold_name(spec.name), (spec, node.span))
        if first[0] is not spec:
            labels = (Label(first[1], "first here"),)
            reading.complain(node, f'a second object "{spec.name}"', labels=labels)
    if reading.found:
        raise CarError(reading.found)
    return DataModel(spec for spec, _ in objects.values())


@define
class DataModelReader:
    """The reading of nodes into specifications, and all that was found wrong on the way.

    A method gives what it could read, or a harmless value in the place of what it could not; after
    any complaint, nothing of it is used.
    """

    found: list[Diagnostic]

    def complain(
        self, node: Node, message: str, labels: tuple[Label, ...] = (), near: tuple[str, ...] = ()
    ) -> None:
        """Note what is wrong with a node; ``near`` are known names like the one it holds."""
        fix = Fix(f"did you mean {' or '.join(near)}?") if near else None
        self.found.append(
            Diagnostic(codes.BAD_DATA_MODEL, message, node.span, labels=labels, fix=fix)
        )

    def object(self, node: Node) -> ObjectSpec | None:
        """A file's node as an object."""
        allowed = (*_OBJECT_KEYS, "extension")
        parts = self.parts(node, allowed, _OBJECT_KEYS, "an object of the data model")
        if len({*parts} - {"extension"}) < len(_OBJECT_KEYS):
            return None
        name, title = self.name(parts["name"]), self.text(parts["title"])
        if fold_name(title) != fold_name(name):
            self.complain(parts["title"], f'the title is not a spelling of the name "{name}"')
        actions = {
            key: Action(key, self.text(value)) for key, value in self.named(parts["actions"])
        }
        fields = {TIME.name: TIME}
        for key, value in self.named(parts["fields"]):
            if key == TIME.name:
                self.complain(value, 'every object has "time" already')
            else:
                fields[key] = self.field(key, value)
        self.check_relations(parts["fields"], fields)
        identity = self.identity(parts["identity"], fields)
        reason = self.text(parts["extension"]) if "extension" in parts else ""
        description = self.text(parts["description"])
        return ObjectSpec(name, title, description, actions, fields, identity, reason)

    def field(self, name: str, node: Node) -> FieldSpec:
        """The node under a field's name as the field."""
        parts = self.parts(node, _FIELD_KEYS, ("description",), f'the field "{name}"')
        texts = {
            key: self.text(parts[key])
            for key in ("type", "description", "example", "base_name_of", "extension")
            if key in parts
        }
        kind = texts.get("type", Type.TEXT.value)
        if kind not in _TYPES:
            message = f'there is no type "{kind}"; there are {", ".join(_TYPES)}'
            self.complain(parts["type"], message, near=nearest(kind, _TYPES, 1))
        is_open = False
        if "open" in parts:
            match parts["open"]:
                case Scalar(bool(value)):
                    is_open = value
                case other:
                    self.complain(other, f"true or false is needed here, not {kind_of(other)}")
        return FieldSpec(
            name,
            texts.get("description", ""),
            _TYPES.get(kind, Type.TEXT),
            texts.get("example"),
            "extension" in texts,
            texts.get("base_name_of"),
            texts.get("extension", ""),
            is_open,
        )

    def declared(self, key: Scalar, node: Node, known: ObjectSpec | None) -> ObjectSpec | None:
        """The node under an object's name in ``objects`` of a model file or a field map.

        ``known`` is CAR's object of that name, if there is one: then only actions and fields can be
        added to it, and the object that comes back has those alone.
        """
        name = self.name(key) if known is None else known.name
        if known is not None:
            parts = self.parts(node, _ADDED_KEYS, (), f'what is added to "{name}"')
            if isinstance(node, Mapping) and not parts:
                self.complain(node, f'actions or fields are added to "{name}"')
        else:
            needed = ("description", "actions", "fields")
            parts = self.parts(node, _DECLARED_KEYS, needed, f'the object "{name}"')
        title = self.text(parts["title"]) if "title" in parts else camel_case(name)
        if known is not None:
            title = known.title
        elif fold_name(title) != fold_name(name):
            self.complain(parts["title"], f'the title is not a spelling of the name "{name}"')
        written = self.named(parts["actions"]) if "actions" in parts else []
        actions = {verb: Action(verb, self.text(value)) for verb, value in written}
        fields = {TIME.name: TIME}
        for field_name, value in self.named(parts["fields"]) if "fields" in parts else []:
            if field_name == TIME.name:
                self.complain(value, 'every object has "time" already')
                continue
            own = self.field(field_name, value)
            reason = own.reason or "It was declared beside CAR's."
            fields[field_name] = evolve(own, extension=True, reason=reason)
        before = {} if known is None else known.fields
        if "fields" in parts:
            self.check_relations(parts["fields"], {**before, **fields})
        identity = self.identity(parts["identity"], fields) if "identity" in parts else ()
        description = self.text(parts["description"]) if "description" in parts else ""
        return ObjectSpec(name, title, description, actions, fields, identity)

    def check_relations(self, node: Node, fields: dict[str, FieldSpec]) -> None:
        """Complain of base names of what is no other text field."""
        for key, value in node.entries if isinstance(node, Mapping) else ():
            spec = fields.get(key.text)
            if spec is None or spec.base_name_of is None or not isinstance(value, Mapping):
                continue
            place = value.get("base_name_of") or value
            path = fields.get(spec.base_name_of)
            if path is None:
                near = nearest(spec.base_name_of, fields, 1)
                self.complain(place, f'there is no field "{spec.base_name_of}"', near=near)
            elif path is spec or path.base_name_of is not None:
                self.complain(place, f'"{path.name}" is not a full path')

    def identity(self, node: Node, fields: dict[str, FieldSpec]) -> tuple[str, ...]:
        """The identifying fields: at least one, all of them known."""
        if not isinstance(node, ListNode) or not node.items:
            self.complain(node, "a list of fields is needed here")
            return ()
        names = []
        for item in node.items:
            name = self.text(item)
            if name not in fields:
                near = nearest(name, fields, 1)
                self.complain(item, f'there is no field "{name}"', near=near)
            names.append(name)
        return tuple(names)

    def parts(
        self, node: Node, known: tuple[str, ...], needed: tuple[str, ...], what: str
    ) -> dict[str, Node]:
        """The values of a mapping by key; keys that are not known or not there are complained
        of."""
        if not isinstance(node, Mapping):
            self.complain(node, f"{what} is a mapping, not {kind_of(node)}")
            return {}
        parts: dict[str, Node] = {}
        for key, value in node.entries:
            if key.value in known:
                parts[key.text] = value
            else:
                message = f'no meaning is known for the key "{key.text}"'
                self.complain(key, message, near=nearest(key.text, known, 1))
        for key_needed in needed:
            if key_needed not in parts:
                self.complain(node, f'{what} needs the key "{key_needed}"')
        return parts

    def named(self, node: Node) -> list[tuple[str, Node]]:
        """The entries of a mapping from names; no two of them may differ in spelling only."""
        if not isinstance(node, Mapping):
            self.complain(node, f"a mapping from names is needed here, not {kind_of(node)}")
            return []
        seen: dict[str, Scalar] = {}
        entries = []
        for key, value in node.entries:
            name = self.name(key)
            first = seen.setdefault(fold_name(name), key)
            if first is not key:
                labels = (Label(first.span, "first here"),)
                self.complain(key, f'"{name}" is there in another spelling', labels=labels)
            entries.append((name, value))
        return entries

    def name(self, node: Node) -> str:
        """A name in snake case."""
        name = self.text(node)
        if not _NAME.fullmatch(name):
            self.complain(node, "names are in snake case: letters, digits and single underscores")
        return name

    def text(self, node: Node) -> str:
        """A text that is not empty."""
        match node:
            case Scalar(str(value)) if value.strip():
                return value
            case Scalar(str() | None):
                self.complain(node, "a text is needed here")
            case _:
                self.complain(
                    node, f"text is needed here, not {kind_of(node)}; quotes make it text"
                )
        return ""
