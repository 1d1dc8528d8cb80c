"""Values of a log as functions of its events, made once and called for every event.

``evaluate.value_of`` says what a value over raw fields is worth by walking its expression for every
event. ``getter`` walks it once and gives a function that does the rest::

    get = getter(ir.Call("basename", (ir.Raw(("Image",)),)))
    get({"Image": "/bin/sh"})      "sh"

Both give the same for all values and events; tests hold them to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import functions, ir
from ..evaluate import NoContext, RawRow, as_time, value_of, without
from ..values import is_null

_NO_CONTEXT = NoContext()

Get = Callable[[Mapping[str, Any]], Any]
"""A value of an (unwrapped) event."""


def getter(value: ir.Value) -> Get:
    """A function that takes a lowered value from an (unwrapped) raw event."""
    match value:
        case ir.Raw(path, empty, type_):
            return _raw_getter(path, empty, timed=type_ is ir.Type.TIME)
        case ir.Presence(ir.Raw(path)):
            return _presence_getter(path)
        case ir.Presence(of) if not isinstance(of, ir.Field):
            return getter(ir.presence_of(of))
        case ir.Constant(constant):
            return lambda event: constant
        case ir.Call(name, arguments, type_):
            function = functions.FUNCTIONS[name]
            inner = [getter(argument) for argument in arguments]
            timed = type_ is ir.Type.TIME

            if len(inner) == 1 and function.strict and not timed:
                [only], apply = inner, function.apply

                def call_one(event: Mapping[str, Any]) -> Any:
                    given = only(event)
                    if type(given) is str:
                        return apply(given)
                    if given is None:
                        return None
                    many = isinstance(given, list | tuple)
                    return functions.call(name, [given]) if many else apply(given)

                return call_one

            if name == "first":

                def first(event: Mapping[str, Any]) -> Any:
                    for get in inner:
                        found = get(event)
                        if type(found) is str or not is_null(found):
                            return as_time(found) if timed else found
                    return None

                return first
            if not function.strict:

                def call_any(event: Mapping[str, Any]) -> Any:
                    found = function.apply(*[get(event) for get in inner])
                    return as_time(found) if timed else found

                return call_any

            def call(event: Mapping[str, Any]) -> Any:
                found = functions.call(name, [get(event) for get in inner])
                return as_time(found) if timed else found

            return call
        case _:
            return lambda event: value_of(value, RawRow(event), _NO_CONTEXT)


def _raw_getter(path: tuple[str, ...], empty: tuple[str, ...], *, timed: bool) -> Get:
    walk = walker(path)
    if not empty and not timed:
        return walk
    if len(path) == 1 and not timed:
        [key] = path

        def get_at_top(event: Mapping[str, Any]) -> Any:
            found = event.get(key)
            if type(found) is str:
                return None if found in empty else found
            return found if found is None else without(found, empty)

        return get_at_top

    def get(event: Mapping[str, Any]) -> Any:
        found = walk(event)
        if found is None:
            return None
        if type(found) is str:
            if found in empty:
                return None
        else:
            found = without(found, empty)
        return as_time(found) if timed else found

    return get


def _presence_getter(path: tuple[str, ...]) -> Get:
    *before, last = path
    walk = walker(tuple(before)) if before else None

    def is_there(event: Mapping[str, Any]) -> Any:
        inner = event if walk is None else walk(event)
        return True if isinstance(inner, Mapping) and last in inner else None

    return is_there


def walker(path: tuple[str, ...]) -> Get:
    """A function that gives what stands at the end of a path of keys, or None."""
    if len(path) == 1:
        [key] = path
        return lambda event: event.get(key)

    def walk(event: Mapping[str, Any]) -> Any:
        found: Any = event
        for key in path:
            # Asking for the class first spares most the look-up of abstract ones.
            if found is None or not (type(found) is dict or isinstance(found, Mapping)):
                return None
            found = found.get(key)
        return found

    return walk
