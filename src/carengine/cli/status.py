"""The exit status, and which one it is where several apply.

The order is that of how little a result can be trusted: a run that was interrupted, or lost one of
its processes, says least; one with broken rules or unreadable evidence may have missed what it
looked for; findings come last.
"""

DONE = 0
FINDINGS = 1
USAGE = 2
UNREADABLE = 3
FAULT = 70
INTERRUPTED = 130
CLOSED = 141

_ORDER = (INTERRUPTED, FAULT, USAGE, UNREADABLE, FINDINGS)


def gravest(*codes: int) -> int:
    """The one of several statuses that is returned.

    >>> gravest(DONE, FINDINGS, UNREADABLE)
    3
    """
    return next((code for code in _ORDER if code in codes), DONE)
