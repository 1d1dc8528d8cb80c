"""Rules: ``model`` says what a rule and a set of rules are, ``frontmatter`` reads what files say
about them."""

from .inputs import InputValue, RuleInput, input_text
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
    "InputValue",
    "Metadata",
    "Parameters",
    "Publication",
    "Refused",
    "Rule",
    "RuleInput",
    "RuleSet",
    "Technique",
    "TruePositive",
    "UnitTest",
    "from_drafts",
    "input_text",
]
