"""Work that is begun before its turn comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def begun_ahead(
    items: Iterator[T], begin: Callable[[T], U], ahead: Callable[[], int]
) -> Iterator[tuple[T, U]]:
    """Each item with what was begun for it, while up to so many are ``ahead``; what that comes to
    is asked for each time.

    Where the items fail, those before come first.

    >>> list(begun_ahead(iter("ab"), str.upper, lambda: 2))
    [('a', 'A'), ('b', 'B')]
    """
    waiting: deque[tuple[T, U]] = deque()
    failure: Exception | None = None
    ended = False
    while True:
        while not ended and len(waiting) < max(1, ahead()):
            try:
                item = next(items)
            except StopIteration:
                ended = True
            except Exception as error:
                failure, ended = error, True
            else:
                waiting.append((item, begin(item)))
        if not waiting:
            break
        yield waiting.popleft()
    if failure is not None:
        raise failure
