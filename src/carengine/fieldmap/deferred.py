"""Values of a field map that are worked out when somebody asks for them.

The shipped maps give a few hundred fields in each of several dozen shapes; a run asks for those
that its rules read, of the kinds they search. ``Deferred`` is a mapping that knows its names at
once and each value only when it is first looked up::

    Deferred({"exe": lambda: ir.Call("basename", …)})["exe"]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .. import ir

Maker = Callable[[], ir.Value]


class Deferred(Mapping[str, ir.Value]):
    """A mapping from names to values, each made once, when it is first asked for.

    It equals any mapping with the same values, and pickles as a plain ``dict``.
    """

    __slots__ = ("_made", "_makers")

    def __init__(self, makers: Mapping[str, Maker]) -> None:
        self._makers = makers
        self._made: dict[str, ir.Value] = {}

    def __getitem__(self, name: str) -> ir.Value:
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = self._makers[name]()
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)
