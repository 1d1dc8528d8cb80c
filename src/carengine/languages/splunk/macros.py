r"""Splunk's macros: texts of searches under a name, put in where the name stands between backticks.

::

    [failed(2)]
    args = user, least
    definition = search user=$user$ count>$least$

    `failed(ann, 5)`   becomes   search user=ann count>5

They come from ``macros.conf`` and from the files of Splunk's security content
(``macros/NAME.yml``). A macro whose text only says where data lies (indexes, source types, event
types) says nothing of an event, and stays such a statement. One that an ``eval`` computes is
refused by name.

https://docs.splunk.com/Documentation/Splunk/latest/Knowledge/Definesearchmacros
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from attrs import field, frozen

from ... import yamltext
from ...diagnostics import Block, CarError, Diagnostic, Source, codes
from ..query import unsupported, wrong
from .conf import stanzas_of

_MAX_DEPTH = 20
_MAX_TEXT = 100_000
_HEAD = re.compile(r"(?P<name>[^\s()`]+)(?:\((?P<count>\d{1,3})\))?")
_CALL = re.compile(r"\s*(?P<name>[^\s()`]+)\s*(?:\((?P<arguments>[\s\S]*)\))?\s*")
_ARGUMENT = re.compile(r"""(?:[^,"'()]|"(?:[^"\\]|\\.)*"|'[^']*'|\([^()]*\))+|(?<=,)(?=,|$)""")
_PLACED = re.compile(r"\$([^\s$]{1,100})\$")
# Strings and comments, in which no macro stands, and macros.
_PIECE = re.compile(r'```[\s\S]*?```|"(?:[^"\\]|\\.)*"|`[^`]*`')
# Terms that say where data lies. A channel of Windows is one: the number of an event goes with it.
_PLACE = re.compile(
    r"""(?:\s*(?:\(|\)|(?:AND|OR)\b
      |(?:index|sourcetype|source|eventtype|tag|host|channel|splunk_server)\s*=\s*
       (?:"[^"]*"|[^\s()"]+)
      |(?:index|sourcetype|source|eventtype)\s+IN\s*\([^()]*\)))+\s*""",
    re.VERBOSE | re.IGNORECASE,
)


@frozen
class Macro:
    """One macro. ``computed`` tells that its text is the result of an ``eval``, ``origin`` which
    file it is in."""

    name: str
    arguments: tuple[str, ...]
    definition: str = field(repr=False)
    computed: bool = False
    origin: str = ""

    @property
    def is_place(self) -> bool:
        """Whether the text only says where data lies.

        >>> Macro("a", (), "index=main OR sourcetype=x").is_place, Macro("a", (), "a=1").is_place
        (True, False)
        """
        return _PLACE.fullmatch(self.definition) is not None


Macros = Mapping[tuple[str, int], Macro]
"""Macros by their names and how many arguments they take."""


def known_macros(macros: Iterable[Macro]) -> Macros:
    """The macros to look up; of two with one name, the later one counts, as with Splunk's
    ``local`` behind ``default``."""
    return {(macro.name, len(macro.arguments)): macro for macro in macros}


def macros_of_conf(source: Source) -> tuple[list[Macro], list[Diagnostic]]:
    """The macros of a ``macros.conf``.

    >>> found, _ = macros_of_conf(Source("macros.conf", "[a(1)]\\nargs = x\\ndefinition = b=$x$\\n"))
    >>> found[0].name, found[0].arguments, found[0].definition
    ('a', ('x',), 'b=$x$')
    """
    stanzas, said = stanzas_of(source)
    made = []
    for stanza in stanzas:
        head = _HEAD.fullmatch(stanza.name)
        if head is None or "definition" not in stanza.settings:
            message = f"the stanza [{stanza.name}] defines no macro"
            said.append(Diagnostic(codes.SPLUNK_SETTING, message, stanza.span))
            continue
        arguments = tuple(filter(None, re.split(r"[\s,]+", stanza.text("args"))))
        if len(arguments) != int(head["count"] or 0):
            message = f"[{stanza.name}] and its args do not have as many arguments"
            said.append(Diagnostic(codes.SPLUNK_SETTING, message, stanza.span))
            continue
        computed = stanza.text("iseval").lower() in ("1", "true", "t", "yes", "y")
        made.append(
            Macro(head["name"], arguments, stanza.text("definition"), computed, source.name)
        )
    return made, said


def macros_of_yaml(source: Source) -> tuple[list[Macro], list[Diagnostic]]:
    """The macro of a file of Splunk's security content.

    >>> found, _ = macros_of_yaml(Source("a.yml", "name: a\\ndefinition: b=1\\n"))
    >>> found[0].name, found[0].definition
    ('a', 'b=1')
    """
    try:
        root = yamltext.load_yaml(Block.whole(source), codes.SPLUNK_SETTING)
    except CarError as error:
        return [], list(error.diagnostics)
    found = yamltext.plain(root) if isinstance(root, yamltext.Mapping) else {}
    name, definition = found.get("name"), found.get("definition")
    listed = found.get("arguments") or []
    if not isinstance(name, str) or not isinstance(definition, str) or not isinstance(listed, list):
        message = "a macro has a name and a definition, both texts"
        return [], [Diagnostic(codes.SPLUNK_SETTING, message, root.span)]
    head = _HEAD.fullmatch(name.strip())
    plain = head["name"] if head is not None else name.strip()
    return [Macro(plain, tuple(map(str, listed)), definition.strip(), False, source.name)], []


def expanded(block: Block, macros: Macros) -> Block:
    """The text of a search with its macros put in; what they put in has the macro's own place.

    Macros that are not known stay. Raises `Refusal` for one that calls itself, is computed by an
    ``eval``, or makes the text too long.

    >>> known = known_macros([Macro("a", ("x",), "b=$x$")])
    >>> expanded(Block.of('c=1 `a("2")`'), known).text
    'c=1 b=2'
    """
    return _expanded(block, macros, 0) if macros and "`" in block.text else block


def _expanded(block: Block, macros: Macros, depth: int) -> Block:
    parts: list[str] = []
    offsets: list[int] = []
    at = 0

    def keep(end: int) -> None:
        parts.append(block.text[at:end])
        offsets.extend(block.offsets[at:end])

    length = 0
    for piece in _PIECE.finditer(block.text):
        if not piece[0].startswith("`") or piece[0].startswith("```"):
            continue
        call = _CALL.fullmatch(piece[0][1:-1])
        given = _arguments(call["arguments"]) if call is not None else []
        macro = macros.get((call["name"], len(given))) if call is not None else None
        if macro is None:
            continue
        span = block.span(*piece.span())
        if macro.computed:
            what = f"the macro `{macro.name}`, whose text an `eval` computes"
            raise unsupported(what, span)
        if depth >= _MAX_DEPTH:
            message = f"macros stand in macros more than {_MAX_DEPTH} deep, or in a circle"
            raise wrong(message, span)
        keep(piece.start())
        at = piece.end()
        text = f"index={macro.name}" if macro.is_place else _filled(macro, given)
        places = _stretched(block.offsets[piece.start()], block.offsets[at - 1], len(text))
        inner = Block(block.source, text, [*places, block.offsets[at - 1] + 1])
        inner = _expanded(inner, macros, depth + 1) if "`" in text else inner
        length += len(inner.text)
        if length > _MAX_TEXT:
            raise wrong(f"macros make the search longer than {_MAX_TEXT:,} characters", span)
        parts.append(inner.text)
        offsets.extend(inner.offsets[:-1])
    keep(len(block.text))
    return Block(block.source, "".join(parts), [*offsets, block.offsets[-1]])


def _stretched(first: int, last: int, length: int) -> list[int]:
    """A place for each character put in: from the first character of the macro to its last."""
    if length < 2:
        return [first] * length
    return [first + (last - first) * number // (length - 1) for number in range(length)]


def _arguments(written: str | None) -> list[str]:
    """The arguments of a call, without the quotes around them."""
    if written is None or not written.strip():
        return []
    found = [part.strip() for part in _ARGUMENT.findall(written)]
    return [
        part[1:-1] if len(part) > 1 and part[0] == part[-1] and part[0] in "\"'" else part
        for part in found
    ]


def _filled(macro: Macro, given: list[str]) -> str:
    """The text of a macro with its arguments put in. They may be given by their names."""
    named = [part.partition("=") for part in given]
    by_name = {name.strip(): value.strip() for name, equals, value in named if equals}
    if set(by_name) == set(macro.arguments):
        values: Mapping[str, str] = by_name
    else:
        values = dict(zip(macro.arguments, given, strict=True))
    return _PLACED.sub(lambda found: values.get(found[1], found[0]), macro.definition)
