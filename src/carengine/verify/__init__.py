"""Proving that the implementations of an analytic agree, or showing an event on which they do not.

``verify_analytic`` takes an analytic as CAR publishes it; ``compare`` takes any two programs in
CAR's names.
The answer "equivalent" is a proof, by the checker's logic; the answer "different" comes with an
event on which the two were run. ``corpus_table`` does it for all analytics of a folder.

``compare_rules`` takes any two rules, in whatever language they are, and says whether one finds all
that the other finds. ``matching_event`` gives an event that a rule finds, ``distinguishing_event``
one that a rule finds and another does not, in the shape of the log that the rules are about.
``check_translation`` reads back what `carengine.translate` writes, and holds it to the rule.
``firing_proofs`` proves which rules can never fire; ``samples`` makes events to test a rule with:
matches and near misses. ``robustness_of`` says what an attacker evades cheaply, as was seen;
``spellings`` gives an event in other spellings that mean the same.
"""

from .analytic import (
    Candidate,
    CarAnalytic,
    Pair,
    Report,
    findings,
    implementations,
    load_analytics,
    verify_analytic,
)
from .changes import Change, RuleChange, rule_changes
from .common_names import Subject, subject_of
from .comparing import Comparison, Direction, RuleDifference, ShownParts, compare
from .conversions import Conversion, backend, check_conversion, check_conversions
from .firing import FiringProof, firing_proofs
from .mutation import Mutant, MutantOutcome, MutantResult, mutant_results, mutants
from .overlaps import RuleOverlaps, rule_overlaps
from .relations import (
    RuleRelation,
    Verdict,
    compare_rules,
    compare_subjects,
    distinguishing_event,
    languages,
    matching_event,
    subjects_of_text,
)
from .replay import Witness
from .respelling import Spelling, spellings
from .robustness import Robustness, robustness_of
from .sampling import RuleSamples, Sample, samples
from .translations import TranslatedOutput, check_translation
from .unmet import UnmetProgram, unmet_programs

__all__ = [
    "Candidate",
    "CarAnalytic",
    "Change",
    "Comparison",
    "Conversion",
    "Direction",
    "FiringProof",
    "Mutant",
    "MutantOutcome",
    "MutantResult",
    "Pair",
    "Report",
    "Robustness",
    "RuleChange",
    "RuleDifference",
    "RuleOverlaps",
    "RuleRelation",
    "RuleSamples",
    "Sample",
    "ShownParts",
    "Spelling",
    "Subject",
    "TranslatedOutput",
    "UnmetProgram",
    "Verdict",
    "Witness",
    "backend",
    "check_conversion",
    "check_conversions",
    "check_translation",
    "compare",
    "compare_rules",
    "compare_subjects",
    "distinguishing_event",
    "findings",
    "firing_proofs",
    "implementations",
    "languages",
    "load_analytics",
    "matching_event",
    "mutant_results",
    "mutants",
    "robustness_of",
    "rule_changes",
    "rule_overlaps",
    "samples",
    "spellings",
    "subject_of",
    "subjects_of_text",
    "unmet_programs",
    "verify_analytic",
]
