"""The exit status, and which one it is where several apply.

The order is that of how little a result can be trusted: a run that was interrupted, or lost one of
its processes, says least; one with broken rules or unreadable evidence may have missed what it
looked for; so may one that was blind; findings come last.

A run is *blind* where it read events and its silence says next to nothing about them: no field map
recognised any event, or more than half of the rules cannot run on them.
"""

DONE = 0
FINDINGS = 1
USAGE = 2
UNREADABLE = 3
BLIND = 4
FAULT = 70
INTERRUPTED = 130
CLOSED = 141

_ORDER = (INTERRUPTED, FAULT, USAGE, UNREADABLE, BLIND, FINDINGS)


def gravest(*codes: int) -> int:
    """The one of several statuses that is returned.

    >>> gravest(DONE, FINDINGS, UNREADABLE)
    3
    """
    return next((code for code in _ORDER if code in codes), DONE)


def of_sight(events: int, recognised: int, rules: int, not_runnable: int) -> int:
    """`BLIND` where so many events, of which so many were recognised, told next to nothing to so
    many rules.

    >>> of_sight(9, 0, 1, 0), of_sight(9, 9, 7, 6), of_sight(9, 1, 7, 3), of_sight(0, 0, 7, 0)
    (4, 4, 0, 0)
    """
    blind = events > 0 and (not recognised or 2 * not_runnable > rules)
    return BLIND if blind else DONE
