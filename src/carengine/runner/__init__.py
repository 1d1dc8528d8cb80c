"""Runs over evidence, in one process or several that share the work.

`Run` is a run. ``run`` puts together the partial results of the ``worker`` processes of a ``pool``,
each for a piece of the evidence; ``processor`` is what is done with each record, wherever it is
read.
"""

from .pool import WorkerError
from .run import Run, cores

__all__ = ["Run", "WorkerError", "cores"]
