"""pySigma's own checks, as far as the installed version has them to set.

From version 2.0.1, pySigma takes a policy that says how regular expressions are compiled: with RE2,
quietly. (2.0.0 has one that cannot be given with an item.)
Version 1, which most backends still need, compiles them with Python's ``re`` and has no policy; an
expression that only RE2 takes is refused there. What an expression means is the same for both: our
own RE2 runs it.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

import re2
from sigma.rule import SigmaDetectionItem

ITEM_OPTIONS: dict[str, Any] = {}
"""What to hand to ``SigmaDetectionItem.from_mapping`` beside the item."""

try:
    from sigma.policy import SigmaPolicy
    from sigma.policy.regex_engine import RegexEngine, RegexPattern
except ImportError:
    pass
else:

    class _Quiet(RegexEngine):
        """RE2 that tells what is wrong by raising only; pySigma's own also writes it to standard
        error."""

        def compile(self, pattern: str, flags: int = 0) -> RegexPattern:
            options = re2.Options()
            options.log_errors = False
            options.never_capture = True
            compiled: RegexPattern = re2.compile(pattern, options)
            return compiled

        @property
        def error(self) -> type[Exception]:
            found: type[Exception] = re2.error
            return found

    if "policy" in signature(SigmaDetectionItem.from_mapping).parameters:
        ITEM_OPTIONS["policy"] = SigmaPolicy(regex_engine=_Quiet())
