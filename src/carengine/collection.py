"""The cyclic garbage collector, paused while much is made that stays.

Reading thousands of rules makes hundreds of thousands of objects, all of which stay. The collector wakes up every few
hundred new objects and looks at more and more of them, in vain: measured, more than half of the time that loading a saved
engine takes.
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
