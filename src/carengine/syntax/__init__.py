"""The language's text: its tree, the parser that makes one, and the printer that writes one.

``parse_program`` never raises; what is wrong with a text is in the result's diagnostics.
``print_program`` is the formatter: printing what was parsed gives the same program.
Lark is imported when the first text is parsed, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ondemand import names_on_demand
from . import ast

if TYPE_CHECKING:
    from .cursor import END, Token, TokenCursor
    from .parser import Parsed, parse_condition, parse_program, parse_value
    from .printer import print_expression, print_program, print_statement
else:
    __getattr__ = names_on_demand(
        globals(),
        cursor="END Token TokenCursor",
        parser="Parsed parse_condition parse_program parse_value",
        printer="print_expression print_program print_statement",
    )

__all__ = [
    "END",
    "Parsed",
    "Token",
    "TokenCursor",
    "ast",
    "parse_condition",
    "parse_program",
    "parse_value",
    "print_expression",
    "print_program",
    "print_statement",
]
