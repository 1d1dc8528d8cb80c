"""What resolving a program gives, and what it takes from other rules."""

from __future__ import annotations

from attrs import frozen

from .. import ir
from ..diagnostics import Diagnostic, Span
from ..syntax import ast
from .shapes import Shape

Path = tuple[str, ...]
"""The parts of a dotted name."""


@frozen
class Reference:
    """A CAR field that a program reads: ``Reference("file", "create", "file_name")``."""

    object: str
    action: str
    field: str


@frozen
class Clause:
    """A condition of a program as it is written: neither flattened nor simplified.

    ``condition`` has the structure of ``expression``, item by item; ``rows`` is the plan whose rows
    it is put to (for a join, the pairs before its condition).
    """

    expression: ast.Expression
    condition: ir.Condition
    rows: ir.Plan


@frozen
class Resolution:
    """What became of a program. ``program`` is None when a diagnostic is an error.

    ``shapes`` says for each output what its rows look like, ``runs`` which rules it runs,
    ``clauses`` holds the conditions as written, in order. ``spelt`` has an entry for each field
    that is spelt otherwise than its stream spells it: its place, its path as written, and the path
    that is meant.
    """

    program: ir.Program | None
    diagnostics: tuple[Diagnostic, ...]
    shapes: tuple[Shape, ...] = ()
    references: tuple[Reference, ...] = ()
    runs: tuple[str, ...] = ()
    clauses: tuple[Clause, ...] = ()
    spelt: tuple[tuple[Span, Path, Path], ...] = ()


@frozen
class RunTarget:
    """What ``run`` gets of another rule: its plan and what the rows look like."""

    plan: ir.Plan
    shape: Shape
