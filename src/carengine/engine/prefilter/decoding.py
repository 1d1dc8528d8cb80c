"""Decoding some fields of a line of JSON, and passing over the rest.

``msgspec`` (the extra ``carengine[fast]``) makes a decoder for each choice of fields. There are two
kinds: to dictionaries, like those of the whole decoder with fields left out; and to structures of a
class of their own, from which a few values are taken at once, as a tuple, faster than from a
dictionary.

Both refuse, by one of `NOT_DECODED`, every value that they would read otherwise than the whole
decoder does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Annotated, Any, TypedDict

from attrs import field, frozen

try:
    import msgspec
except ImportError:
    msgspec = None  # type: ignore[assignment]

AVAILABLE = msgspec is not None
"""Whether lines can be decoded in part."""

NOT_DECODED: tuple[type[Exception], ...] = (
    ValueError,
    TypeError,
    AttributeError,
    RecursionError,
    # A ``ValueError`` of its own since msgspec 0.21 only.
    *((msgspec.MsgspecError,) if AVAILABLE else ()),
)
"""What a decoder raises for a line that does not fit, or is no JSON."""

Path = tuple[str, ...]
Decode = Callable[[bytes], Any]

WRAPPERS: frozenset[Path] = frozenset(
    {("_source",), ("result",), ("Event", "EventData", "Data"), ("EventData", "Data")}
)
"""A wrapped event is decoded whole, and one whose fields are a list of elements: these keys must
not hold a mapping or a list. (Other shapes that are brought into a known one first, no field map
recognises as they are; see `fieldmap.shapes`.)"""


@frozen(eq=False)
class FieldDecoder:
    """Decoding into a structure of a class made for it, which is faster to read from than a
    dictionary.

    ``attributes`` are the attributes that lead to each path that ends in a value; ``deciding``
    takes the fields that decide what an event is.
    """

    decode: Decode
    attributes: Mapping[Path, str]
    deciding: Callable[[Any], Any]


def _tree(paths: frozenset[Path]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path in sorted(paths):
        inner = tree
        for key in path:
            inner = inner.setdefault(key, {})
    return tree


def decoder_of(paths: frozenset[Path], opaque: frozenset[Path]) -> Decode | None:
    """A decoder that gives the values at these paths only; None if it cannot be made.

    Of mappings at the ends of paths it gives nothing but that they are there; it refuses them at
    ``opaque`` paths.
    """
    try:
        return msgspec.json.Decoder(_type_of(_tree(paths), paths, opaque, ())).decode
    except (TypeError, ValueError, RecursionError):
        return None


def _integer() -> Any:
    return Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]


def _type_of(
    tree: dict[str, Any], paths: frozenset[Path], opaque: frozenset[Path], at: Path
) -> Any:
    scalar: Any = str | bool | _integer() | float | None
    types: dict[str, Any] = {}
    for key, below in tree.items():
        path = (*at, key)
        if path in opaque or path in WRAPPERS:
            types[key] = scalar
        elif not below:
            # A mapping is there and has no text, whatever is in it.
            types[key] = scalar | _typed_dict({})
        else:
            inner = _type_of(below, paths, opaque, path)
            # A place that is read itself and looked into: a mapping there has no text either way.
            types[key] = inner | scalar if path in paths else inner | None
    return _typed_dict(types)


def long_fields(decoder: FieldDecoder, fields: Any, most: int) -> frozenset[Path]:
    """The paths of a structure whose values are texts of more than so many characters."""
    return frozenset(
        path
        for path, attribute in decoder.attributes.items()
        if type(value := attrgetter(attribute)(fields)) is str and len(value) > most
    )


def _typed_dict(types: dict[str, Any]) -> Any:
    make: Any = TypedDict
    return make("Fields", types, total=False)


def field_decoder_of(
    paths: frozenset[Path],
    deciding: frozenset[Path],
    lacking: frozenset[Path],
    opaque: frozenset[Path],
    keys: frozenset[Path],
) -> FieldDecoder | None:
    """A decoder to structures for the values at these paths; None if it cannot be made.

    It refuses what `decoder_of` refuses, and more: anything but null at ``lacking`` paths, whatever
    is no mapping where paths go on, of the other deciding fields numbers that are no integers and
    truth values, and mappings at ``keys``, whose values are keys of tables.
    """
    form = _Form(deciding, lacking, opaque | WRAPPERS | keys)
    try:
        structure, _ = form.structure(_tree(paths), (), "")
        decode = msgspec.json.Decoder(structure).decode
    except (TypeError, ValueError, RecursionError):
        return None
    attributes = form.attributes
    wanted = [
        # Whether there is a mapping shows in the class.
        attributes[path] if path in attributes else f"{form.branches[path]}.__class__"
        for path in sorted(deciding)
        if not any(path[:end] in attributes for end in range(1, len(path)))
        and not (path in attributes and path in lacking)
    ]
    return FieldDecoder(decode, attributes, attrgetter(*wanted) if wanted else _nothing)


def _nothing(fields: Any) -> None:
    return None


@frozen(eq=False)
class _Form:
    """How structures are made. ``attributes`` lead to values, ``branches`` to structures."""

    deciding: frozenset[Path]
    lacking: frozenset[Path]
    opaque: frozenset[Path]
    attributes: dict[Path, str] = field(factory=dict)
    branches: dict[Path, str] = field(factory=dict)

    def structure(self, tree: dict[str, Any], at: Path, prefix: str) -> tuple[Any, Any]:
        """A structure's class, and what stands for one that is not there."""
        fields: list[tuple[str, Any, Any]] = []
        nothing: dict[str, Any] = {}
        for number, (key, below) in enumerate(tree.items()):
            path = (*at, key)
            name = f"f{number}"
            kind: Any
            absent: Any = None
            if below and path not in self.opaque:
                self.branches[path] = prefix + name
                kind, absent = self.structure(below, path, f"{prefix}{name}.")
            else:
                self.attributes[path] = prefix + name
                kind = self._kind(path)
            nothing[name] = absent
            fields.append((name, kind, msgspec.field(default=absent, name=key)))
        made = msgspec.defstruct("Fields", fields, frozen=True, gc=False)
        return made, msgspec.defstruct("Nothing", list(nothing), frozen=True, gc=False)(**nothing)

    def _kind(self, path: Path) -> Any:
        simple: Any = str | _integer() | None
        if path not in self.deciding:
            return simple | bool | float
        if path in self.lacking:
            return None
        return simple if path in self.opaque else simple | _SomeMapping


if AVAILABLE:

    class _SomeMapping(msgspec.Struct, frozen=True):
        """A mapping, whatever is in it."""
