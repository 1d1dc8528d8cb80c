"""The fields of an event through an entry, read when somebody asks for them.

A match report shows all fields of an event, a join asks for two or three of them, and most matches
are counted and never looked at. So a view holds the event and a ``Reader``, which is the entry with
its values compiled, once::

    fields = entry.reader.fields({"Image": "/bin/sh", "ProcessId": 4})
    fields["exe"]      "sh", and nothing else was computed
    dict(fields)       all fields that are not null, in the entry's order
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import TYPE_CHECKING, Any

from .. import ir
from ..evaluate import as_time
from ..functions import FUNCTIONS
from ..values import elements, is_null, text_of
from .getters import Get, getter, walker

if TYPE_CHECKING:
    from .model import NativeNames

# Names of native fields come from events; for more of them than any log has, no getter is kept.
_MOST_NAMES = 4096
# What nearly every event has, whatever it is about.
_COMMON = frozenset({"time", "start_time", "fqdn", "hostname"})


class Reader:
    """The fields of one entry, compiled.

    ``own`` are the entry's values over raw fields by name, ``native`` the names of a log source,
    ``time`` the value of the event time, which is no field. Each value is compiled when it is first
    asked for. What comes out is what `evaluate.value_of` says, without what is null.
    """

    __slots__ = (
        *("_all", "_clocks", "_native", "_natives", "_own", "_telling"),
        *("clock_paths", "getters", "time"),
    )

    def __init__(
        self, own: Mapping[str, ir.Value], native: NativeNames | None, time: ir.Value | None
    ) -> None:
        self._own = own
        self._native = native
        self.getters: dict[str, Get | None] = {}
        """What reads the fields that were asked for; None for one that is found only among all that
        an event has."""
        self._all: tuple[tuple[str, Get], ...] | None = None
        self._telling: tuple[Get, ...] | None = None
        # Made when all fields are first asked for: most log sources of a map never show an event.
        self._natives: _Natives | None = None
        self._clocks = _clocks(time)
        self.clock_paths = frozenset(
            inner.path
            for one in (_alternatives(time) if self._clocks else ())
            for inner in ir.values_in(one)
            if isinstance(inner, ir.Raw)
        )
        """The paths of the raw fields that `clocks` reads."""
        self.time = _clock(time)
        """The event time of an (unwrapped) event in microseconds, or None."""

    def clocks(self, event: Mapping[str, Any]) -> list[tuple[str, int]]:
        """The times that an (unwrapped) event has, each with the field that it is from: the event
        time, then those that would be if it were not there. Empty where there can be only one."""
        found = []
        for name, get in self._clocks:
            time = as_time(get(event))
            if isinstance(time, int):
                found.append((name, time))
        return found

    def fields(self, event: Mapping[str, Any]) -> Fields:
        """The fields of an (unwrapped) event, as a mapping that reads them when they are asked
        for."""
        return Fields(self, event)

    def value(
        self,
        name: str,
        event: Mapping[str, Any],
        everything: Callable[[], dict[str, Any]] | None = None,
    ) -> Any:
        """One field of an (unwrapped) event; None where it is null or there is none of that name.

        ``everything`` gives all fields of the event, where the caller keeps them.
        """
        try:
            get = self.getters[name]
        except KeyError:
            get = self._getter(name)
        if get is None:
            return _at(self.everything(event) if everything is None else everything(), name)
        value = get(event)
        return None if type(value) is not str and is_null(value) else value

    @property
    def telling_prefix(self) -> tuple[str, ...] | None:
        """The path of the mapping whose texts are what an event of a log source says; None where
        there is no such path."""
        native = self._native
        if native is None or ir.SERVICE not in native.names:
            return None
        if native.dotted or native.either or native.whole is not None:
            return None
        prefix = native.prefix
        return prefix if prefix and "*" not in prefix else None

    @property
    def telling_values(self) -> tuple[ir.Value, ...]:
        """The values of which one is there in an event that says something; none for those of a log
        source."""
        if self._native is not None:
            return ()
        return tuple(
            value
            for name, value in self._own.items()
            if name not in _COMMON and not isinstance(value, ir.Constant)
        )

    def says_something(self, event: Mapping[str, Any]) -> bool | None:
        """Whether an (unwrapped) event has any field of the entry but when and where it was; None
        where that cannot be told, or is nothing to wonder at.

        An event of a CAR kind, or of a category of Sigma's, has none where a tool wrote the fields
        in a way that no map knows. An event of a channel may have none.
        """
        if self._native is not None:
            prefix = self.telling_prefix
            if prefix is None:
                return None
            below = walker(prefix)(event)
            if not isinstance(below, Mapping):
                return False
            return any(
                text_of(item) is not None for value in below.values() for item in elements(value)
            )
        telling = self._telling
        if telling is None:
            telling = self._telling = tuple(map(getter, self.telling_values))
        if not telling:
            return None
        for get in telling:
            value = get(event)
            if type(value) is str or not is_null(value):
                return True
        return False

    def everything(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """All fields of an (unwrapped) event that are not null: the entry's in its order, then
        native ones."""
        own = self._all
        if own is None:
            own = self._all = tuple(
                (name, getter(value)) for name, value in self._own.items() if name != "time"
            )
        made: dict[str, Any] = {}
        for name, get in own:
            _add(made, name, get(event))
        if self._native is not None:
            natives = self._natives
            if natives is None:
                natives = self._natives = _Natives(self._native, self._own)
            natives.add_to(made, event)
        return made

    def _getter(self, name: object) -> Get | None:
        """What reads one field; None for one that is only found by going through all that the event
        has."""
        if not isinstance(name, str) or name == "time":
            return _nothing
        found: Get | None = _nothing
        own, native = self._own.get(name), self._native
        if own is not None:
            found = getter(own)
        elif native is not None and name != ir.SERVICE:
            found = native.getter(name) if _is_direct(name, native) else None
        if len(self.getters) < _MOST_NAMES:
            self.getters[name] = found
        return found


class _Natives:
    """The native fields of a log source's events, all of them. ``own`` names the fields that are
    not native."""

    __slots__ = ("_below", "_declared", "_elsewhere", "_empty", "_finish", "_native", "_own")

    def __init__(self, native: NativeNames, own: Iterable[str]) -> None:
        self._native = native
        self._own = frozenset((*own, "time", ir.SERVICE))
        self._declared = tuple(
            (name, getter(value)) for name, value in native.names.items() if name not in self._own
        )
        # Names that are found elsewhere than below the prefix.
        self._elsewhere = self._own.union(native.names)
        plain = native.prefix is not None and native.whole is None and "*" not in native.prefix
        self._below = (
            walker(native.prefix or ()) if plain and not (native.dotted or native.either) else None
        )
        self._empty = frozenset(native.empty)
        # What becomes of a value there that is no text, and of any where a function is applied.
        value: ir.Value = ir.Raw(("",), native.empty)
        self._finish = getter(ir.Call(native.function, (value,)) if native.function else value)

    def add_to(self, made: dict[str, Any], event: Mapping[str, Any]) -> None:
        """Add the fields of an (unwrapped) event that are not null."""
        native = self._native
        if self._below is None:
            for name in native.present(event):
                if name not in self._own:
                    _add(made, name, _read(native, name, event))
            return
        for name, get in self._declared:
            _add(made, name, get(event))
        found = self._below(event)
        if not isinstance(found, Mapping):
            return
        elsewhere, empty, finish, as_it_is = (
            self._elsewhere,
            self._empty,
            self._finish,
            not native.function,
        )
        for name, value in found.items():
            if name in elsewhere or not isinstance(name, str):
                continue
            if "." in name or name == "*":
                # Such a name is a path from the top, or no name at all.
                _add(made, name, _read(native, name, event))
            elif as_it_is and type(value) is str:
                if value not in empty:
                    made[name] = value
            else:
                _add(made, name, finish({"": value}))


def _add(made: dict[str, Any], name: str, value: Any) -> None:
    if type(value) is str or not is_null(value):
        made[name] = value


def _read(native: NativeNames, name: str, event: Mapping[str, Any]) -> Any:
    get = native.getter(name)
    return None if get is None else get(event)


def _is_direct(name: str, native: NativeNames) -> bool:
    """Whether an event has a native name exactly where reading it gives something."""
    if native.folded and name.lower() in native.folded:
        return False
    if name in native.names:
        return True
    if native.prefix is None or native.whole is not None or "*" in native.prefix:
        return False
    if native.either:
        return True
    strict = not native.function or FUNCTIONS[native.function].strict
    return strict and "." not in name and name != "*"


def _nothing(event: Mapping[str, Any]) -> None:
    return None


def _clock(value: ir.Value | None) -> Callable[[Mapping[str, Any]], int | None]:
    if value is None:
        return _nothing
    get = getter(value)

    def time(event: Mapping[str, Any]) -> int | None:
        found = get(event)
        return found if isinstance(found, int) else None

    return time


def _clocks(value: ir.Value | None) -> tuple[tuple[str, Get], ...]:
    """What reads the times among which the event time is chosen, each with the name of its
    field."""
    values = list(_alternatives(value))
    named = [(name, one) for one in values if (name := _field_of(one))]
    return tuple((name, getter(one)) for name, one in named) if len(named) > 1 else ()


def _alternatives(value: ir.Value | None) -> Iterator[ir.Value]:
    match value:
        case None:
            return
        case ir.Call("first", arguments):
            for argument in arguments:
                yield from _alternatives(argument)
        case _:
            yield value


def _field_of(value: ir.Value) -> str:
    match value:
        case ir.Raw(path):
            return ".".join(part for part in path if part != "#attributes")
        case ir.Call(_, arguments):
            return next(filter(None, map(_field_of, arguments)), "")
        case _:
            return ""


class Fields(Mapping[str, Any]):
    """The fields of a view that are not null, by name; each is read from the event when it is asked
    for.

    Equal to any mapping with the same fields, and shown, pickled and copied as a ``dict``. The
    event is not copied: whoever changes it changes what is read from it later.
    """

    __slots__ = ("_event", "_made", "_reader")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, reader: Reader, event: Mapping[str, Any]) -> None:
        self._reader = reader
        self._event = event
        self._made: dict[str, Any] | None = None

    def _everything(self) -> dict[str, Any]:
        made = self._made
        if made is None:
            made = self._made = self._reader.everything(self._event)
        return made

    def get(self, name: str, default: Any = None) -> Any:
        """A field, or the default where it is null."""
        # Names with dots are read from inside the values of others: going through all fields does
        # not give them.
        if self._made is not None and (value := self._made.get(name)) is not None:
            return value
        if (read := self._reader.getters.get(name)) is not None:
            # The short way to what `Reader.value` gives.
            value = read(self._event)
            if type(value) is not str and is_null(value):
                return default
        else:
            value = self._reader.value(name, self._event, self._everything)
        return default if value is None else value

    def __getitem__(self, name: str) -> Any:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return self.get(name) is not None  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[str]:
        return iter(self._everything())

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._everything())

    def __len__(self) -> int:
        return len(self._everything())

    def keys(self) -> KeysView[str]:
        """The names of the fields."""
        return self._everything().keys()

    def values(self) -> ValuesView[Any]:
        """The values of the fields."""
        return self._everything().values()

    def items(self) -> ItemsView[str, Any]:
        """Names and values."""
        return self._everything().items()

    def read(self) -> dict[str, Any]:
        """The fields as a ``dict`` of the caller's own, which is not kept for the next one who
        asks."""
        made = self._made
        return self._reader.everything(self._event) if made is None else made.copy()

    def copy(self) -> dict[str, Any]:
        """The fields as a ``dict`` of the caller's own."""
        return self._everything().copy()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Fields):
            return self._everything() == other._everything()
        return self._everything() == other

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**self._everything(), **other}

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**other, **self._everything()}

    def __repr__(self) -> str:
        return repr(self._everything())

    def __reduce__(self) -> tuple[Any, ...]:
        return CopiedFields, (self._everything(),)


class CopiedFields(dict[str, Any]):
    """The fields of a view that came from another process, where the event is not at hand.

    A name with dots leads into a mapping, as in an event of a log source.

    >>> CopiedFields({"userIdentity": {"userName": "ann"}}).get("userIdentity.userName")
    'ann'
    """

    def get(self, name: str, default: Any = None) -> Any:
        """A field, or the default where it is null."""
        value = _at(self, name)
        return default if value is None else value


def _at(fields: dict[str, Any], name: str) -> Any:
    """A field by its name, or what a name with dots leads to in a mapping."""
    value: Any = dict.get(fields, name)
    if value is None and "." in name:
        value = fields
        for part in name.split("."):
            value = dict.get(value, part) if isinstance(value, dict) else None
    return value
