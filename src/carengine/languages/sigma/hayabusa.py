r"""What Hayabusa's rules have beyond Sigma, and what it means.

::

    Event.System.Provider_attributes.Name: x     event keys: Provider_Name
    Event.EventData.Image: x                     Image
    ServiceName:
        - value: malicious-service               the same as without `value`
        - regexes: ./rules/config/regex/x.txt    one of the expressions in a file is found in it
    ImagePath:
        min_length: 1000                         has at least so many characters
        allowlist: ./rules/config/regex/y.txt    none of the expressions in a file is found in it
    TargetUserName|endswithfield: x              `fieldref|endswith`

`equalsfield` compares with case, which fields are not here: it is refused. Files are named from the
root of the rules, the nearest folder above the rule that has them, and may not leave it. A rule
with a ``ruletype`` and a ``Channel`` in its detection is not bound to its log source, which
Hayabusa does not read.

https://github.com/Yamato-Security/hayabusa-rules (README, "Detection field", "Deprecated features")
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ... import ir, yamltext
from ...diagnostics import Span
from ...filewrite import bounded_text, note_used

VALUES = frozenset({"value", "min_length", "regexes", "allowlist"})
"""The keys of a value that is a mapping."""

MODIFIERS = {"endswithfield": ("fieldref", "endswith")}
"""Modifiers that are others of Sigma's."""

WITH_CASE = "equalsfield"
"""The modifier that compares two fields with case."""

_MAX_BYTES = 4_000_000
_MAX_LINES = 20_000
_EVENT_DATA = "Event.EventData."
_SYSTEM = "Event.System."
_ATTRIBUTES = "_attributes."


class HayabusaError(ValueError):
    """What is wrong with something of Hayabusa's."""


def native_name(field: str) -> str:
    """The name that Sigma has for an event key; any other name as it is.

    >>> native_name("Event.System.Provider_attributes.Name"), native_name("Event.EventData.Image")
    ('Provider_Name', 'Image')
    """
    if field.startswith(_EVENT_DATA):
        return field.removeprefix(_EVENT_DATA)
    if field.startswith(_SYSTEM):
        return field.removeprefix(_SYSTEM).replace(_ATTRIBUTES, "_")
    return field


def is_value(node: yamltext.Node) -> bool:
    """Whether a value is a mapping of Hayabusa's."""
    return (
        isinstance(node, yamltext.Mapping)
        and bool(node.entries)
        and all(key.value in VALUES for key, _ in node.entries)
    )


def is_unbound(root: yamltext.Mapping) -> bool:
    """Whether a rule is Hayabusa's, and says in its detection which channel it is for."""
    kind = root.get("ruletype")
    if not isinstance(kind, yamltext.Scalar) or kind.text.lower() not in ("hayabusa", "sigma"):
        return False
    waiting = [root.get("detection")]
    while waiting:
        match waiting.pop():
            case yamltext.Mapping(entries):
                if any(native_name(key.text.partition("|")[0]) == "Channel" for key, _ in entries):
                    return True
                waiting += [value for _, value in entries]
            case yamltext.ListNode(items):
                waiting += items
            case _:
                pass
    return False


def longer_than(field: ir.Field, node: yamltext.Node, span: Span) -> ir.Condition:
    """``min_length``. Raises `HayabusaError`."""
    if (
        not isinstance(node, yamltext.Scalar)
        or not isinstance(node.value, int)
        or isinstance(node.value, bool)
        or not 0 <= node.value <= 1_000_000_000
    ):
        raise HayabusaError("min_length is a number of characters")
    length = ir.Call("length", (field,))
    least = ir.Constant(node.value)
    return ir.Compare(length, ir.Relation.GREATER_EQUAL, least, ir.Type.INTEGER, span)


def expressions(node: yamltext.Node, rule: str) -> list[str]:
    """The regular expressions in the file that a rule names. Raises `HayabusaError`."""
    if not isinstance(node, yamltext.Scalar) or not isinstance(node.value, str):
        raise HayabusaError("a file of regular expressions is named by its path")
    written = PurePosixPath(node.value.replace("\\", "/"))
    if written.is_absolute() or ".." in written.parts or ":" in node.value or "\0" in node.value:
        raise HayabusaError(f"{node.value} is no path below the root of the rules")
    if "!" in rule or rule.startswith("<"):
        raise HayabusaError(f"{node.value} is looked for beside rules in folders only")
    for folder in Path(rule).absolute().parents:
        note_used(folder / written)
        if (folder / written).is_file():
            return _lines(folder / written, folder, node.value)
    raise HayabusaError(f"there is no file {node.value} in a folder above the rule")


def _lines(file: Path, root: Path, name: str) -> list[str]:
    try:
        if not file.resolve(strict=True).is_relative_to(root.resolve()):
            raise HayabusaError(f"{name} leads out of the root of the rules")
        if file.stat().st_size > _MAX_BYTES:
            raise HayabusaError(f"{name} is larger than {_MAX_BYTES:,} bytes")
        text = bounded_text(file, "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise HayabusaError(f"{name} cannot be read: {error}") from None
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > _MAX_LINES:
        raise HayabusaError(f"{name} has more than {_MAX_LINES:,} expressions")
    return lines
