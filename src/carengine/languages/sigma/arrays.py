"""Selectors of array members, as the coming version 3 of Sigma's specification has them.

They are read in rules that say ``sigma-version: 3``; elsewhere the brackets are characters of a
name::

    tags[any]: x          one of the members: what `tags: x` says, too
    tags[none]: x         none of the members; true also of an empty or missing array

What all members are, what one object among them is at once (a block), and members by their number
cannot be told yet: these are refused by name.

https://github.com/SigmaHQ/sigma-specification/issues/212 (array matching)
https://github.com/SigmaHQ/sigma-specification/issues/213 (sigma-version)
"""

from __future__ import annotations

import re

from ... import yamltext

_SELECTOR = re.compile(r"(?<!\\)\[(any|all|all_or_empty|none|-?\d{1,9})\]")
_FIRST_MAJOR = 3


class ArraySelectorError(ValueError):
    """A selector that cannot be told."""


def has_arrays(root: yamltext.Mapping) -> bool:
    """Whether a rule is written for a version of Sigma that has selectors.

    >>> from carengine.diagnostics import Block, codes
    >>> has_arrays(yamltext.load_yaml(Block.of("sigma-version: 3.0.0"), codes.BAD_SIGMA))
    True
    """
    node = root.get("sigma-version")
    if not isinstance(node, yamltext.Scalar):
        return False
    major = re.match(r"\d{1,6}", node.text.strip())
    return major is not None and int(major[0]) >= _FIRST_MAJOR


def selects(field: str) -> bool:
    """Whether there is a selector in a field's name.

    >>> selects("tags[any]"), selects("a[x]")
    (True, False)
    """
    return _SELECTOR.search(field) is not None


def selected(field: str, node: yamltext.Node) -> tuple[str, bool]:
    """The field whose members are meant, and whether none of them may match.

    Raises `ArraySelectorError` for a selector that cannot be told.

    >>> selected("tags[none]", yamltext.ListNode((), None))
    ('tags', True)
    """
    found = list(_SELECTOR.finditer(field))
    if len(found) != 1 or found[0].end() != len(field):
        raise ArraySelectorError(f"{field}: a selector stands at the end of a field, once")
    name, selector = field[: found[0].start()], found[0][1]
    items = node.items if isinstance(node, yamltext.ListNode) else (node,)
    if any(isinstance(item, yamltext.Mapping) for item in items):
        raise ArraySelectorError(f"{field}: what one member is at once cannot be told yet")
    if selector not in ("any", "none"):
        raise ArraySelectorError(f"{field}: [{selector}] cannot be told yet; [any] and [none] can")
    return name, selector == "none"
