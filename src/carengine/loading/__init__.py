"""Loading rules: files, folders and archives of any rule language.

``load`` tells what a file holds and has it read, ``files`` walks folders and archives, ``corpus``
reports on a corpus of published rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ondemand import names_on_demand

if TYPE_CHECKING:
    from .files import RuleFile
    from .formats import ENDINGS, FORMATS, ReadingOptions
    from .load import load_rule, load_rules, parse_rule
else:
    __getattr__ = names_on_demand(
        globals(),
        files="RuleFile",
        formats="ENDINGS FORMATS ReadingOptions",
        load="load_rule load_rules parse_rule",
    )

__all__ = [
    "ENDINGS",
    "FORMATS",
    "ReadingOptions",
    "RuleFile",
    "load_rule",
    "load_rules",
    "parse_rule",
]
