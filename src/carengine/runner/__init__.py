"""Runs over evidence, in one process or several that share the work.

`Hunting` is a run. ``hunting`` puts together what ``bench`` finds in pieces of evidence, in the
processes of a ``crew``; ``desk`` is what is done with each record, wherever it is read.
"""

from .pool import WorkerError
from .run import Hunting, cores

__all__ = ["Hunting", "WorkerError", "cores"]
