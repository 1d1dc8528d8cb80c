"""One Windows event written as XML, as a mapping.

Windows event logs, ``wevtutil``, Sysmon for Linux and many shippers write the same XML. Here it
becomes the mapping that the `evtx` package gives for a record of a binary log, so that one field
map fits both::

    <Event><System><EventID>1</EventID>…</System>
      <EventData><Data Name="Image">C:\\x.exe</Data></EventData></Event>

    {"Event": {"System": {"EventID": 1, …}, "EventData": {"Image": "C:\\x.exe"}}}

* Attributes are under ``#attributes``, and the text of an element that has any under ``#text``.
* A ``Data`` element with a ``Name`` is a key of its own, with a list of values if it is repeated;
  those without one are ``Data: {"#text": …}``, a list if there are several. A name ``x_1`` of the
  event's own stands before ``x`` (`marked_genuine`).
* Another element that is repeated gets a number: ``x``, ``x_1``, ``x_2``.
* What ``System`` holds of numbers are integers; XML says no more about types, so that other
  values are text.

The text is untrusted: a document type, and with it every entity that could be declared, is
refused, and so is nesting beyond 64 elements; the cost is linear in the size.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from xml.parsers import expat

_DEPTH = 64
_NUMBERS = frozenset(
    {"EventID", "Version", "Level", "Task", "Opcode", "EventRecordID"}
    | {"ProcessID", "ThreadID", "Qualifiers", "ProcessorID", "SessionID"}
)
_NO_CHARACTER = re.compile(
    r"&#(?:x0*(?:[0-8bcef]|1[0-9a-f]|fff[ef]|d[89a-f][0-9a-f]{2})|0*(?:[0-8]|1[124-9]|2[0-9]|3[01]));"
    "|[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]",
    re.IGNORECASE,
)
_BARE = re.compile(r"\d{1,18}")


class EventXmlError(ValueError):
    """The text is not one event's XML; the message says why."""


class _Element:
    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.children: list[_Element] = []
        self.text: list[str] = []


def event_of_xml(text: str) -> dict[str, Any]:
    """The mapping that an event's XML stands for.

    Characters that XML does not have (control characters, which scripts put into events) become
    ``\\ufffd``. Raises `EventXmlError`.

    >>> event_of_xml('<Event><EventData><Data Name="Image">a.exe</Data></EventData></Event>')
    {'Event': {'EventData': {'Image': 'a.exe'}}}
    """
    try:
        root = _tree(text)
    except expat.ExpatError as problem:
        mended = _NO_CHARACTER.sub("\ufffd", text)
        if mended == text:
            raise EventXmlError(_said(problem)) from None
        try:
            root = _tree(mended)
        except expat.ExpatError as again:
            raise EventXmlError(_said(again)) from None
    if root.name != "Event":
        raise EventXmlError(f"the element is {root.name[:40]}, not Event")
    event = _mapping(root, in_system=False)
    if isinstance(data := event.get("EventData"), dict):
        event["EventData"] = marked_genuine(data)
    return {"Event": event}


def marked_genuine(data: dict[str, Any]) -> dict[str, Any]:
    """Event data whose every name is the event's own, in an order that tells so.

    In EVTX as JSON ``Lat_1`` after ``Lat`` is a second value of ``Lat``, as its writer numbers
    them (see `fieldmap.shapes`). A field that has the name ``Lat_1`` stands before ``Lat``.

    >>> marked_genuine({"Lat": "1", "Lat_1": "2"})
    {'Lat_1': '2', 'Lat': '1'}
    """
    for name in list(data):
        if name.endswith("_1") and name[:-2] in data:
            data[name[:-2]] = data.pop(name[:-2])
    return data


def _said(problem: expat.ExpatError) -> str:
    return f"{expat.errors.messages[problem.code]} at line {problem.lineno} of it"


def _refuse(*_: object) -> None:
    raise EventXmlError("it declares a document type, which no event has")


def _tree(text: str) -> _Element:
    """The elements of a document. Names lose their prefixes."""
    top = _Element("", {})
    path = [top]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(path) > _DEPTH:
            raise EventXmlError(f"elements are nested deeper than {_DEPTH}")
        element = _Element(name.rpartition(":")[2], attributes)
        path[-1].children.append(element)
        path.append(element)

    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: path.pop()
    parser.CharacterDataHandler = lambda data: path[-1].text.append(data)
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.Parse(text.encode("utf-8", "surrogatepass"), True)
    return top.children[0]


def _number(text: str) -> int | str:
    return int(text) if _BARE.fullmatch(text) and text.isascii() else text


def _mapping(element: _Element, *, in_system: bool) -> dict[str, Any]:
    """The children of an element by name, and its attributes."""
    made: dict[str, Any] = {}
    if element.attributes:
        made["#attributes"] = {
            name: _number(value) if in_system and name in _NUMBERS else value
            for name, value in element.attributes.items()
        }
    unnamed: list[str] = []
    named: set[str] = set()
    repeated: dict[str, int] = {}
    for child in element.children:
        name = child.name
        if name == "Data" and not child.children:
            if "Name" not in child.attributes:
                unnamed.append("".join(child.text))
                continue
            name, value = child.attributes["Name"], "".join(child.text)
            if name in named:
                several = made[name]
                if isinstance(several, list):
                    several.append(value)
                else:
                    made[name] = [several, value]
                continue
            if name not in made:
                named.add(name)
        else:
            value = _value(child, in_system=in_system or name == "System")
        if name in made:
            # Counting on from the last number keeps a thousand equal names from costing a million
            # steps.
            base, number = name, repeated.get(name, 0) + 1
            while (name := f"{base}_{number}") in made:
                number += 1
            repeated[base] = number
        made[name] = value
    if unnamed:
        made["Data"] = {"#text": unnamed[0] if len(unnamed) == 1 else unnamed}
    return made


def _value(element: _Element, *, in_system: bool) -> Any:
    text = "".join(element.text)
    if element.children:
        return _mapping(element, in_system=in_system)
    found: Any = text if text.strip() else None
    if found is not None and in_system and element.name in _NUMBERS:
        found = _number(text.strip())
    if element.attributes:
        made = _mapping(element, in_system=in_system)
        return made if found is None else made | {"#text": found}
    return found


_ENTITY = re.compile(r"&(lt|gt|amp|quot|apos)(?![;\w])")
_CUT = re.compile(r"(?:<[^<>]{0,400}|&[#\w]{0,12})\Z")


@lru_cache(maxsize=256)
def mended_event(text: str) -> Mapping[str, Any] | None:
    """The event of a text, also of one that syslog damaged: entities without their semicolon, the
    end cut off. None where there is none.

    >>> mended_event("no event") is None
    True
    """
    try:
        return event_of_xml(text)
    except EventXmlError:
        pass
    # What syslog does to Sysmon for Linux: entities that lost their semicolon, and messages cut at
    # its limit.
    mended = _ENTITY.sub(r"&\1;", text)
    if "</Event>" not in mended and "<EventData>" in mended:
        mended = _CUT.sub("", mended)
        inside = mended.rfind("<Data ") > mended.rfind("</Data>")
        mended += ("</Data>" if inside else "") + "</EventData></Event>"
    try:
        return event_of_xml(mended)
    except EventXmlError:
        return None
