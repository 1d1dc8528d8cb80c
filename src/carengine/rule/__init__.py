"""Rules: ``model`` says what a rule and a set of rules are, ``drafts`` makes them of what was read,
``frontmatter`` reads what files say about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ondemand import names_on_demand

if TYPE_CHECKING:
    from .drafts import Draft, from_drafts
    from .inputs import InputValue, RuleInput, input_text
    from .model import (
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
    )
else:
    __getattr__ = names_on_demand(
        globals(),
        drafts="Draft from_drafts",
        inputs="InputValue RuleInput input_text",
        model=(
            "Example Implementation Metadata Parameters Publication Refused Rule RuleSet "
            "Technique TruePositive UnitTest"
        ),
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
