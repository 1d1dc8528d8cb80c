"""The checker: mistakes in rules that parse, load and run, and still cannot be what was meant.

``check_rule`` looks at one rule, ``check_rules`` at all of a set. What they say are warnings and
notes (codes CE701 and up); a rule is never refused for them. Everything is found by reasoning about
what conditions mean (the part ``solver``), in a bounded amount of work: where the bound is reached,
nothing is said.

``sigma`` checks what Sigma rules say about themselves, and how they are written; it needs pySigma.
``apply_fixes`` puts the edits of findings into a text, ``format_program`` and ``format_rule`` print
canonical source, `Baseline` keeps what is known already, ``to_sarif`` gives findings to
code-scanning tools.
"""

from ..languages.car.formatting import format_program, format_rule
from .baseline import Baseline
from .checker import check_rule, check_rules
from .fixes import applied_fixes, apply_fixes
from .sarif import to_sarif

__all__ = [
    "Baseline",
    "applied_fixes",
    "apply_fixes",
    "check_rule",
    "check_rules",
    "format_program",
    "format_rule",
    "to_sarif",
]
