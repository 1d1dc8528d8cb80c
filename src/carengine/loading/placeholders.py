"""The values of placeholders (``%name%``) from files.

::

    admins: [ann, 'svc_*']                  a YAML or JSON file of names with values
    vars: {admins: [ann]}                   a pySigma pipeline: its variables
    transformations:                        and placeholders that it makes wildcards
      - {type: wildcard_placeholders, include: [countries]}
    expand/DC-MACHINE-NAME.txt              a folder as Hayabusa's: a value a line

A pipeline may also have placeholders become a query's own text, which means nothing here: that is
refused by name.
"""

from __future__ import annotations

from pathlib import Path

from .. import yamltext
from ..diagnostics import Block, CarError, Diagnostic, Source, Span, codes
from ..filewrite import bounded_text

_MAX_BYTES = 8_000_000
_MAX_FILES = 10_000
_PIPELINE = ("vars", "transformations", "name", "priority", "postprocessing", "finalizers")


def read_placeholders(path: str | Path) -> dict[str, list[str]]:
    """The values of placeholders by their names, from a file or a folder.

    Raises `CarError` (CE816) for what cannot be read or used.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "lists.yml")
    ...     _ = file.write_text("admins: [ann, bob]")
    ...     read_placeholders(file)
    {'admins': ['ann', 'bob']}
    """
    place = Path(path)
    if not place.is_dir():
        return _of_file(place)
    values: dict[str, list[str]] = {}
    files = sorted(place.glob("*.txt"))[:_MAX_FILES]
    if not files:
        raise _wrong(f"there is no file NAME.txt in {place}", str(place))
    for file in files:
        lines = [line.strip() for line in _text(file).splitlines()]
        values[file.stem] = [line for line in lines if line]
    return values


def _wrong(message: str, origin: str, span: Span | None = None) -> CarError:
    return CarError([Diagnostic(codes.PLACEHOLDER_FILE, message, span, origin=origin)])


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise _wrong(f"it is larger than {_MAX_BYTES:,} bytes", str(file))
        return bounded_text(file, "utf-8-sig")
    except (OSError, ValueError) as error:
        raise _wrong(f"it cannot be read: {error}", str(file)) from None


def _of_file(file: Path) -> dict[str, list[str]]:
    block = Block.whole(Source(str(file), _text(file)))
    root = yamltext.load_yaml(block, codes.PLACEHOLDER_FILE, version=yamltext.Version.CORE)
    if not isinstance(root, yamltext.Mapping):
        raise _wrong("placeholders are a mapping of names to values", str(file), root.span)
    if not any(root.get(key) is not None for key in _PIPELINE[:2]):
        return _values(root)
    found = root.get("vars")
    values: dict[str, list[str]] = {}
    if isinstance(found, yamltext.Mapping):
        values = _values(found)
    listed = root.get("transformations")
    for item in listed.items if isinstance(listed, yamltext.ListNode) else ():
        if isinstance(item, yamltext.Mapping):
            _transformation(item, values)
    return values


def _transformation(item: yamltext.Mapping, values: dict[str, list[str]]) -> None:
    """Add what a pipeline's transformation says of placeholders."""
    type_ = item.get("type")
    kind = type_.text if isinstance(type_, yamltext.Scalar) else ""
    if kind == "query_expression_placeholders":
        message = "placeholders that become text of a query have no values"
        raise _wrong(message, item.span.source.name, item.span)
    if kind != "wildcard_placeholders":
        return
    names = item.get("include")
    if not isinstance(names, yamltext.ListNode):
        message = "which placeholders become wildcards is not said: list them under `include`"
        raise _wrong(message, item.span.source.name, item.span)
    for name in names.items:
        if isinstance(name, yamltext.Scalar):
            values.setdefault(name.text, ["*"])


def _values(root: yamltext.Mapping) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for key, node in root.entries:
        items = node.items if isinstance(node, yamltext.ListNode) else (node,)
        texts = []
        for item in items:
            if not isinstance(item, yamltext.Scalar) or item.value is None:
                message = f"the values of {key.text} are texts"
                raise _wrong(message, item.span.source.name, item.span)
            texts.append(item.text)
        values[key.text] = texts
    return values
