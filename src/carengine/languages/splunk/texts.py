"""Texts, numbers and names as Splunk's search language writes them."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def string(text: str) -> str:
    """A text in double quotes, backslashes doubled.

    >>> string('C:\\\\x "y"')
    '"C:\\\\\\\\x \\\\"y\\\\""'
    """
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def listed_name(name: str) -> str:
    """A field's name where fields are listed."""
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.*]*", name) else string(name)


def quoted(name: str) -> str:
    """A field's name within an expression."""
    return name if _PLAIN.fullmatch(name) else f"'{name}'"


def seconds(microseconds: int) -> str:
    """A length of time in seconds."""
    whole, rest = divmod(microseconds, 1_000_000)
    return f"{whole}.{rest:06}" if rest else str(whole)


def constant_text(constant: object) -> str:
    """A constant as an expression of ``eval``."""
    match constant:
        case None:
            return "null()"
        case bool():
            return '"true"' if constant else '"false"'
        case int() | float():
            return repr(constant)
        case _:
            return string(str(constant))


def removed(x: str, expression: str) -> str:
    """A text without what an expression matches; null where nothing is left."""
    return f'nullif(replace({x}, {string(expression)}, ""), "")'


def captured(x: str, expression: str) -> str:
    """What the group of an expression for the whole text catches; null where that is nothing."""
    body, group = string(expression), string(r"\1")
    return f'if(match({x}, {body}), nullif(replace({x}, {body}, {group}), ""), null())'
