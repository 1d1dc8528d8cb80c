"""Loading rules: files, folders and archives of any rule language.

``load`` tells what a file holds and has it read, ``files`` walks folders and archives, ``corpus``
reports on a corpus of published rules.
"""

from .files import RuleFile
from .formats import ENDINGS, FORMATS, ReadingOptions
from .load import load_rule, load_rules, parse_rule

__all__ = [
    "ENDINGS",
    "FORMATS",
    "ReadingOptions",
    "RuleFile",
    "load_rule",
    "load_rules",
    "parse_rule",
]
