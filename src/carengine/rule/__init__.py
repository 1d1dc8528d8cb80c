"""Rules and how they are loaded.

``model`` says what a rule and a set of rules are; ``carfile`` and ``page`` read the formats they come in,
``frontmatter`` what these share; ``load`` finds files.
"""

from .load import load_rule, load_rules, parse_rule
from .model import (
    Draft,
    Example,
    Metadata,
    Parameters,
    Refused,
    Rule,
    RuleSet,
    Technique,
    from_drafts,
)

__all__ = [
    "Draft",
    "Example",
    "Metadata",
    "Parameters",
    "Refused",
    "Rule",
    "RuleSet",
    "Technique",
    "from_drafts",
    "load_rule",
    "load_rules",
    "parse_rule",
]
