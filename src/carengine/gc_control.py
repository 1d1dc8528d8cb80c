"""The cyclic garbage collector, paused while much is made that stays, and then seldom called.

Reading thousands of rules makes hundreds of thousands of objects, all of which stay. The collector
wakes up every few hundred new objects and looks at more and more of them, in vain: measured, more
than half of the time that loading a saved engine takes. Events make no garbage of that kind, rules
that are compiled while events go by little (measured: what 16 MB of lines leave, broken ones among
them, is nothing).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """No collection inside the ``with``; afterwards things are as they were.

    >>> with paused():
    ...     gc.isenabled()
    False
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


# New objects until the youngest are looked at; Python's own number is 700.
_SELDOM = 10_000


def settle() -> None:
    """What is there is of use to the end of this process, and what comes will hardly be garbage.

    For processes of our own: it is never undone. Collection is on afterwards.
    """
    gc.freeze()
    _, older, oldest = gc.get_threshold()
    gc.set_threshold(_SELDOM, older, oldest)
    gc.enable()
