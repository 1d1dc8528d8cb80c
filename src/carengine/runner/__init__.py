"""Runs over evidence, in one process or several that share the work.

`Run` is a run. ``hunting`` puts together what ``bench`` finds in pieces of evidence, in the
processes of a ``crew``; ``desk`` is what is done with each record, wherever it is read.
"""

from .pool import WorkerError
from .run import Run, cores

__all__ = ["Run", "WorkerError", "cores"]
