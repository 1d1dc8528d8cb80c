r"""Search terms: the part that Splunk's ``search`` command and LogPoint's queries have in common.

A search is terms side by side; each is a test of a field, or a text to be found anywhere in the
event::

    EventCode=1 (Image="*\\at.exe" OR Image="*\\sc.exe") NOT User=SYSTEM procdump

``or`` binds tighter than the "and" between terms, in both products. ``not`` is true where the item
is not true, so that ``NOT User=x`` keeps an event without a user, while ``User!=x`` does not. A
value is a pattern with ``*``; case is ignored. What differs between the two is a ``SearchDialect``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from attrs import frozen

from .. import ir
from ..diagnostics import Block, Diagnostic, Span, codes
from ..ir import Relation
from ..pattern import Pattern, starred
from ..syntax import END, Token, TokenCursor
from ..values import network_of
from .query import Refusal, unsupported, wrong

_MAX_TEXT = 1_000_000
_MAX_PIPES = 400
_MAX_DEPTH = 100
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")
_NAME = re.compile(r"[A-Za-z_@][\w.@:{}-]*")
# Splunk's own macro for comments; newer versions also have text between three backticks.
_COMMENT = re.compile(r"`comment\(")
_DIRECTIVES = frozenset({"TERM", "CASE", "PREFIX"})

# The macros of Splunk's public content (ESCU) that have a meaning everywhere: the place of the
# data, a way to show times, and the hook for filters of one's own, which is empty as it is shipped.
_SHIPPED = re.compile(
    r"`(?:(?P<source>sysmon|powershell|wineventlog_\w+|applocker|printservice|capi2_operational"
    r"|certificateservices_lifecycle|subjectinterfacepackage|ntlm_audit|remoteconnectionmanager"
    r"|ms_defender|wmi|linux_auditd|cloudtrail|o365_management_activity|azure_monitor_aad"
    r"|azure_monitor_activity|azuread|azure_audit|okta|gws_reports_admin|gws_reports_login"
    r"|google_gcp_pubsub_message|kube_audit|github_\w+|nginx_access_logs|iis)"
    r"|(?P<shown>security_content_\w+(?:\([^`]*\))?)"
    r"|(?P<hook>\w+_filter))`"
)


def shipped_macro(text: str) -> str:
    """What there is to say of a macro of Splunk's public content that asks nothing of an event;
    nothing for others.

    >>> shipped_macro("`sysmon`")
    'sysmon says where the data lies, and nothing about an event'
    """
    found = _SHIPPED.fullmatch(text)
    if found is None:
        return ""
    name = text.strip("`")
    if found["source"]:
        return f"{name} says where the data lies, and nothing about an event"
    if found["hook"]:
        return f"{name} is empty as Splunk ships it; what an installation put there is not known"
    return f"{name} is about how results are shown"


def unknown_macro(text: str, span: Span) -> Refusal:
    """The refusal of a macro whose text is not known."""
    note = "only the installation that the query was written for knows its text"
    fix = "give it: --macros macros.conf, or the folder with the app's macros among the rules"
    return unsupported(f"the macro {text}", span, note, fix)


@frozen
class SearchDialect:
    """What one product writes in its own way.

    ``quotes`` are the characters that strings stand in; ``string`` gives the text of what stands
    between them, and ``word`` that of a value without quotes. ``folded`` tells that keywords may be
    written small, ``minus`` that a ``-`` before a term negates it. ``brackets`` are those of a
    list. ``sources`` are fields that say where the data lies, ``saved`` those that mean something
    only in the product.
    """

    name: str
    quotes: str
    escapes: bool
    string: Callable[[str], str]
    word: Callable[[str], str]
    folded: bool
    minus: bool
    brackets: str
    sources: frozenset[str]
    saved: frozenset[str]
    segments: bool = False
    """Whether a term stands for whole words of the event, and a value like ``10.0.0.0/8`` for the
    addresses in it."""


_SIGNS = ("!=", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", ",", "|")
_STOPS = frozenset('()[],|=<>"` \t\r\n')


def scan(block: Block, dialect: SearchDialect) -> list[Token]:
    """The tokens of a query: words, strings, signs and macros, the last one its end. Raises
    `Refusal`."""
    text = block.text
    if len(text) > _MAX_TEXT:
        raise wrong(f"the query is longer than {_MAX_TEXT} characters", block.span(0, 0))
    tokens: list[Token] = []
    at = pipes = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        tight = bool(tokens) and tokens[-1].end == at
        sign = next((sign for sign in _SIGNS if text.startswith(sign, at)), None)
        if sign is not None:
            end, kind, meant = at + len(sign), "sign", sign
            pipes += sign == "|"
            if pipes > _MAX_PIPES:
                raise wrong(f"the query has more than {_MAX_PIPES} pipes", block.span(at, end))
        elif text[at] in dialect.quotes:
            end = _string_end(text, at, dialect)
            if end < 0:
                raise wrong("this quote has no partner", block.span(at, at + 1))
            kind, meant = "string", dialect.string(text[at + 1 : end - 1])
        elif text[at] == "`":
            mark = "```" if text.startswith("```", at) else "`"
            end = text.find(mark, at + len(mark)) + len(mark)
            if end < at + 2 * len(mark):
                raise wrong("this quote has no partner", block.span(at, at + 1))
            if len(mark) == 3 or _COMMENT.match(text, at):
                at = end
                continue
            kind, meant = "macro", text[at:end]
        else:
            end = _word_end(text, at, dialect)
            kind, meant = "word", text[at:end]
        tokens.append(Token(kind, meant, at, end, tight))
        at = end
    tokens.append(Token(END, "", len(text.rstrip()), len(text.rstrip())))
    return tokens


def _string_end(text: str, at: int, dialect: SearchDialect) -> int:
    quote = text[at]
    place = at + 1
    while place < len(text):
        if text[place] == "\\" and dialect.escapes:
            place += 2
        elif text[place] == quote:
            return place + 1
        else:
            place += 1
    return -1


def _word_end(text: str, at: int, dialect: SearchDialect) -> int:
    end = at + 1
    while end < len(text) and text[end] not in _STOPS and not text.startswith("!=", end):
        end += 1
    return end


class TermReader:
    """Reads search terms from tokens. ``said`` is what there is to say of what was read."""

    def __init__(self, block: Block, tokens: list[Token], dialect: SearchDialect) -> None:
        self.block = block
        self.cursor = TokenCursor(tokens, lambda said, *place: wrong(said, block.span(*place)))
        self.dialect = dialect
        self.said: list[Diagnostic] = []
        # How many terms say where data lies, and what they say: `sysmon`, `sourcetype=aws:cloudtrail`.
        self.sourced = 0
        self.places: list[str] = []

    # Tokens

    def span(self, first: Token, last: Token | None = None) -> Span:
        """Where tokens stand."""
        return self.block.span(first.start, (last or first).end)

    def sign(self, *texts: str) -> bool:
        """Whether one of these signs is next."""
        return self.cursor.is_next("sign", *texts)

    def keyword(self, *words: str) -> bool:
        """Whether one of these words is next, in capitals where the dialect wants them."""
        token = self.cursor.next
        if token.kind != "word":
            return False
        return (token.text.upper() if self.dialect.folded else token.text) in words

    def close(self, bracket: str, opened: Token) -> Token:
        """The closing bracket of an opened one."""
        message = f"this `{opened.text}` is never closed"
        return self.cursor.expect("sign", bracket, message=message, place=opened)

    # Terms

    def search(self, depth: int = 0) -> ir.Condition:
        """The condition of the terms up to a closing bracket, a pipe or the end."""
        if depth > _MAX_DEPTH:
            message = f"the query is nested deeper than {_MAX_DEPTH} levels"
            raise wrong(message, self.span(self.cursor.next))
        items: list[ir.Condition] = []
        while not (self.cursor.next.kind == END or self.sign(")", "]", "|")):
            if items and self.keyword("AND"):
                self.cursor.take()
            items.append(self._alternatives(depth))
        if not items:
            raise wrong("a search term is missing here", self.span(self.cursor.next))
        return items[0] if len(items) == 1 else ir.And(tuple(items))

    def _alternatives(self, depth: int) -> ir.Condition:
        items = [self._item(depth, positive=True)]
        while self.keyword("OR"):
            self.cursor.take()
            items.append(self._item(depth, positive=True))
        return items[0] if len(items) == 1 else ir.Or(tuple(items))

    def _item(self, depth: int, *, positive: bool) -> ir.Condition:
        negations = 0
        while self.keyword("NOT") or self._minus():
            if self._minus():
                self._drop_minus()
            else:
                self.cursor.take()
            negations += 1
        first = self.cursor.at
        sourced = self.sourced
        made = self._plain(depth)
        if negations and self.sourced > sourced:
            what = "the exclusion of a place where data lies"
            raise unsupported(what, self.span(self.cursor.token_at(first), self.cursor.previous))
        for _ in range(negations % 2):
            made = ir.Not(ir.IsTrue(made))
        if negations and negations % 2 == 0:
            made = ir.IsTrue(made)
        return made

    def _minus(self) -> bool:
        token = self.cursor.next
        return self.dialect.minus and token.kind == "word" and token.text.startswith("-")

    def _drop_minus(self) -> None:
        token = self.cursor.next
        if len(token.text) == 1:
            self.cursor.take()
            return
        shorter = Token("word", token.text[1:], token.start + 1, token.end)
        self.cursor.replace_next(shorter)

    def _plain(self, depth: int) -> ir.Condition:
        token = self.cursor.take()
        if token.kind == "macro" and (said := shipped_macro(token.text)):
            self.sourced += 1
            self.places.append(token.text.strip("`"))
            self.said.append(Diagnostic(codes.DATA_SOURCE, said, self.span(token)))
            return ir.Truth(True)
        if token.kind == "macro":
            raise unknown_macro(token.text, self.span(token))
        if token.kind == "sign" and token.text == "(":
            inner = self.search(depth + 1)
            self.close(")", token)
            return inner
        if token.kind == "sign" and token.text == "[":
            raise unsupported("a search inside a search", self.span(token))
        if token.kind not in ("word", "string"):
            shown = (
                f"`{token.text}` cannot stand here" if token.text else "the query ends too early"
            )
            raise wrong(shown, self.span(token))
        if self.sign("=", "!=", "<", ">", "<=", ">="):
            return self._test(token)
        if token.kind == "word":
            if token.text in ("AND", "OR"):
                message = f"`{token.text}` has no term on its left side"
                raise wrong(message, self.span(token), "as a word to look for it stands in quotes")
            if self.keyword("IN", "in") and _NAME.fullmatch(token.text):
                return self._listed(token)
            self._refuse_lookalikes(token)
        return self._anywhere(token)

    def _refuse_lookalikes(self, token: Token) -> None:
        """Refuses what is no word to be looked for, though it would read as one."""
        directive = token.text in _DIRECTIVES and not self.dialect.minus
        if directive and self.cursor.next.tight and self.sign("("):
            raise unsupported(f"the directive `{token.text}`", self.span(token))
        ahead = [self.cursor.peek(1), self.cursor.peek(2)]
        words = [t.text.upper() for t in ahead]
        if self.keyword("NOT", "not") and words == ["IN", self.dialect.brackets[0]]:
            note = f"`NOT` stands before the field: `NOT {token.text} IN`"
            raise unsupported("`NOT IN` behind a field", self.span(token, ahead[0]), note)

    def _anywhere(self, token: Token) -> ir.Condition:
        if token.kind == "word" and token.text in ("and", "or", "not"):
            note = f"operators are written in capitals: {token.text.upper()}"
            span = self.span(token)
            message = f"`{token.text}` is looked for as a word of the event"
            self.said.append(Diagnostic(codes.FOREIGN_SUSPECT, message, span, notes=(note,)))
        text = token.text if token.kind == "string" else self.dialect.word(token.text)
        text = text.strip()
        if text.strip("*") == "":
            return ir.Truth(True)
        if self.dialect.segments:
            expression = segment_expression(text)
            if expression is not None:
                return ir.RawRegex(expression, False, True, False, self.span(token))
        return ir.RawMatch((Pattern(f"*{starred(text)}*"),), self.span(token))

    def _name(self, token: Token) -> ir.Field:
        if token.kind == "word" and not _NAME.fullmatch(token.text):
            raise wrong(f"`{token.text}` is no field's name", self.span(token))
        return ir.Field(token.text)

    def _test(self, name: Token) -> ir.Condition:
        sign = self.cursor.take()
        token = self.cursor.next
        if token.kind not in ("word", "string"):
            raise wrong("a value is missing here", self.span(sign))
        self.cursor.take()
        span = self.span(name, token)
        key = name.text.lower() if self.dialect.folded else name.text
        if key in self.dialect.saved:
            note = "only the product knows what this is"
            raise unsupported(f"the condition `{name.text}`", span, note)
        if key in self.dialect.sources:
            if sign.text != "=":
                raise unsupported("the exclusion of a place where data lies", span)
            self._source(name, token)
            return ir.Truth(True)
        value = self._name(name)
        made = self.value_test(value, sign.text, token, span)
        return ir.Not(made) if sign.text == "!=" else made

    def value_test(self, value: ir.Field, sign: str, token: Token, span: Span) -> ir.Condition:
        """``value sign token``, without the negation of ``!=``."""
        text = token.text if token.kind == "string" else self.dialect.word(token.text)
        if sign in ("=", "!="):
            if text == "*":
                return ir.Not(ir.IsNull(value, span)) if sign == "=" else ir.Truth(True)
            return self._equal(value, (text,), span)
        if not _NUMBER.fullmatch(text):
            raise unsupported("an order of texts", span)
        relation = {"<": Relation.LESS, "<=": Relation.LESS_EQUAL, ">": Relation.GREATER}.get(
            sign, Relation.GREATER_EQUAL
        )
        return ir.Compare(value, relation, ir.Constant(_number(text)), span=span)

    def _equal(self, value: ir.Field, texts: tuple[str, ...], span: Span) -> ir.Condition:
        numbers = [text for text in texts if _NUMBER.fullmatch(text)]
        networks = [text for text in texts if self.dialect.segments and _is_network(text)]
        patterns = [
            Pattern(starred(text)) for text in texts if text not in numbers and text not in networks
        ]
        made: list[ir.Condition] = [
            ir.Compare(value, Relation.EQUAL, ir.Constant(_number(text)), span=span)
            for text in dict.fromkeys(numbers)
        ]
        if patterns:
            made.append(ir.Match(value, tuple(patterns), span))
        if networks:
            made.append(ir.InNetwork(value, tuple(dict.fromkeys(networks)), span))
        return made[0] if len(made) == 1 else ir.Or(tuple(made))

    def _listed(self, name: Token) -> ir.Condition:
        self.cursor.take()
        opened = self.cursor.next
        opening, closing = self.dialect.brackets[0], self.dialect.brackets[1]
        texts: list[str] = []
        last = opened
        if self.dialect.minus and opened.kind == "string":
            # LogPoint also takes one value without brackets; a bare word is the name of a list.
            texts.append(self.cursor.take().text)
        elif self.dialect.minus and opened.kind == "word":
            note = "only the installation that the query was written for knows what is in it"
            raise unsupported(f"the list `{opened.text}`", self.span(opened), note)
        else:
            if not self.sign(opening):
                raise wrong(f"a list begins with `{opening}`", self.span(opened))
            self.cursor.take()
            while not self.sign(closing):
                token = self.cursor.next
                if token.kind not in ("word", "string"):
                    raise wrong(f"this `{opening}` is never closed", self.span(opened))
                self.cursor.take()
                text = token.text if token.kind == "string" else self.dialect.word(token.text)
                texts.append(text)
                if self.sign(","):
                    self.cursor.take()
            last = self.cursor.take()
        if not texts:
            raise wrong("the list is empty", self.span(opened))
        return self._equal(self._name(name), tuple(texts), self.span(name, last))

    def _source(self, name: Token, value: Token) -> None:
        self.sourced += 1
        self.places.append(f"{name.text.lower()}={value.text}")
        message = f"{name.text} says where the data lies, and nothing about an event"
        self.said.append(Diagnostic(codes.DATA_SOURCE, message, self.span(name, value)))


# Splunk cuts events into words at these characters, and words at the minor ones again
# (segmenters.conf, "indexing"); a term is found where it begins and ends at such a place.
_BREAKERS = "[]<>(){}|!;,'\"*\n\r \t&?+/:=@.-$#%\\_"
_ESCAPED_BREAKERS = "%21|%26|%2526|%3B|%7C|%20|%2B|%3D|%2520|%5D|%5B|%3A|%0A|%2C|%28|%29"
_BREAKER = "[" + "".join(rf"\x{{{ord(c):x}}}" for c in _BREAKERS) + "]"


def segment_expression(text: str) -> str | None:
    r"""The expression that finds a term of Splunk's in an event: as whole words, but for a star at
    an end of it. None where that is no more than that the text is somewhere in it.

    >>> segment_expression("*procdump*") is None
    True
    """
    core = text.strip("*")
    before = not text.startswith("*") and core[0] not in _BREAKERS
    after = not text.endswith("*") and core[-1] not in _BREAKERS
    if not before and not after:
        return None
    inner = ".*".join(
        "".join(c if c.isalnum() and c.isascii() else rf"\x{{{ord(c):x}}}" for c in part)
        for part in re.split(r"\*+", core)
    )
    start = rf"(?:\A|{_BREAKER}|{_ESCAPED_BREAKERS})" if before else ""
    return start + inner + (rf"(?:\z|{_BREAKER})" if after else "")


_NETWORK = re.compile(r"[0-9A-Fa-f.:]+/\d{1,3}")


def _is_network(text: str) -> bool:
    return _NETWORK.fullmatch(text) is not None and network_of(text) is not None


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)
