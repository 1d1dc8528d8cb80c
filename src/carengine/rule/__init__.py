"""Rules: ``model`` says what a rule and a set of rules are, ``frontmatter`` reads what files say
about them."""

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
]
