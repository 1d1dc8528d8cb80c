"""The W3C extended log file format, as IIS and many proxies write it.

Lines that begin with ``#`` are directives; ``#Fields`` names the columns of the lines after it, and
may come again with others::

    #Software: Microsoft Internet Information Services 10.0
    #Fields: date time s-ip cs-method cs-uri-stem cs-uri-query sc-status cs(User-Agent)
    2024-05-20 07:58:41 10.0.0.5 GET /a.aspx cmd=whoami 200 Mozilla/5.0+(Windows)

    {"date": "2024-05-20", "time": "07:58:41", "timestamp": "2024-05-20T07:58:41Z", "s-ip":
    "10.0.0.5",
     "cs-method": "GET", …, "cs(User-Agent)": "Mozilla/5.0 (Windows)"}

``-`` is a field without a value, and left out. IIS writes ``+`` for a blank in the texts that a
client sends; where the header names IIS, blanks stand there again. A value in double quotes (as
proxies write them) may hold blanks. ``timestamp`` is ``date`` and ``time`` together: both are UTC.
Source: https://www.w3.org/TR/WD-logfile.html
"""

from __future__ import annotations

import re

from attrs import define, field

from .model import LineFormat, Outcome

_CELL = re.compile(r'"(?:[^"]|"")*"|[^ \t]+')
# What a state keeps of a line that says how others are read.
_LONGEST_HEADER = 1 << 16
# The columns in which IIS writes a plus for a blank: what the client sent as it liked.
_CLIENT_TEXTS = frozenset({"cs(User-Agent)", "cs(Referer)", "cs(Cookie)"})


@define(eq=False)
class W3cReader:
    """Reads the lines of one log; ``columns`` are those that the last ``#Fields`` line named."""

    columns: list[str] = field(factory=list)
    plus_is_blank: bool = False
    date: str = ""
    _client_texts: list[int] = field(factory=list)
    _directives: dict[str, str] = field(factory=dict)

    @property
    def headers(self) -> list[str]:
        """The last line of each directive that says how lines are to be read."""
        return list(self._directives.values())

    def read(self, lines: list[str]) -> list[Outcome]:
        """The outcome of each line."""
        outcomes: list[Outcome] = []
        for line in lines:
            if line.startswith("#"):
                self._directive(line)
                outcomes.append(None)
            elif not line or line.isspace():
                outcomes.append(None)
            else:
                outcomes.append(self._event(line))
        return outcomes

    def _directive(self, line: str) -> None:
        name, _, value = line[1:].partition(":")
        directive = name.strip().lower()
        if directive in ("software", "date", "fields"):
            # In their order: another `#Fields` line may stand behind another `#Software`.
            self._directives.pop(directive, None)
            self._directives[directive] = line[:_LONGEST_HEADER]
        match directive:
            case "software":
                self.plus_is_blank = "internet information services" in value.lower()
            case "date":
                # The day of the log, for logs whose lines have only a time.
                self.date = value.split()[0] if value.split() else ""
            case "fields":
                self.columns = value.split()
            case _:
                pass
        self._client_texts = [
            place
            for place, column in enumerate(self.columns)
            if self.plus_is_blank and column in _CLIENT_TEXTS
        ]

    def _event(self, line: str) -> Outcome:
        columns = self.columns
        if not columns:
            return "stands before the line that names the fields (#Fields:)"
        separator = "\t" if "\t" in line else " "
        cells = line.split(separator) if '"' not in line else _quoted(line)
        if len(cells) != len(columns):
            cells = _quoted(line)
            if len(cells) != len(columns):
                return f"has {len(cells)} values for {len(columns)} fields"
        for place in self._client_texts:
            cells[place] = cells[place].replace("+", " ")
        event = {name: cell for name, cell in zip(columns, cells, strict=True) if cell != "-"}
        if "time" in event and "timestamp" not in event:
            date = event.get("date", self.date)
            if date:
                event["timestamp"] = f"{date}T{event['time']}Z"
        return event


def _quoted(line: str) -> list[str]:
    """The cells of a line in which some stand in quotes, or more than one blank between two."""
    return [
        cell[1:-1].replace('""', '"') if cell.startswith('"') and cell.endswith('"') else cell
        for cell in _CELL.findall(line)
    ]


def _is_w3c(lines: list[str]) -> bool:
    directives = [line for line in lines if line.startswith("#")]
    return any(line.lower().startswith("#fields:") for line in directives) and (
        lines[0].startswith("#")
    )


W3C = LineFormat("w3c", "a W3C extended log", _is_w3c, W3cReader)
