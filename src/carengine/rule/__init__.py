"""Rules and how they are loaded.

``model`` says what a rule and a set of rules are; ``carfile``, ``caryaml`` and ``page`` read the formats they come
in, ``frontmatter`` and ``published`` what these share; ``load`` finds files.
"""

from .load import load_rule, load_rules, parse_rule
from .model import (
    Draft,
    Example,
    Implementation,
    Metadata,
    Parameters,
    Publication,
    Refused,
    Rule,
    RuleSet,
    Technique,
    TruePositive,
    UnitTest,
    from_drafts,
)

__all__ = [
    "Draft",
    "Example",
    "Implementation",
    "Metadata",
    "Parameters",
    "Publication",
    "Refused",
    "Rule",
    "RuleSet",
    "Technique",
    "TruePositive",
    "UnitTest",
    "from_drafts",
    "load_rule",
    "load_rules",
    "parse_rule",
]
