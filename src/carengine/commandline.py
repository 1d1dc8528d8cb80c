"""Windows command lines taken apart."""

from __future__ import annotations

import re


def split_command_line(text: str) -> list[str]:
    r"""The arguments of a Windows command line, the program's path first, as
    ``CommandLineToArgvW`` takes them apart.

    https://learn.microsoft.com/windows/win32/api/shellapi/nf-shellapi-commandlinetoargvw

    >>> split_command_line(r'"C:\a b\c.exe" -k "d e" f\"g')
    ['C:\\a b\\c.exe', '-k', 'd e', 'f"g']
    """
    found: list[str] = []
    text = text.lstrip(" \t")
    if text.startswith('"'):
        # Of the program's path a backslash is never an escape.
        program, _, rest = text[1:].partition('"')
    else:
        program = re.split(r"[ \t]", text, maxsplit=1)[0]
        rest = text[len(program) :]
    found.append(program)
    made: list[str] | None = None
    quoted = False
    place = 0
    while place < len(rest):
        sign = rest[place]
        if sign in " \t" and not quoted:
            if made is not None:
                found.append("".join(made))
            made = None
            place += 1
            continue
        made = [] if made is None else made
        slashes = len(rest) - place - len(rest[place:].lstrip("\\")) if sign == "\\" else 0
        if slashes:
            place += slashes
            if rest[place : place + 1] == '"':
                made.append("\\" * (slashes // 2))
                if slashes % 2:
                    made.append('"')
                    place += 1
            else:
                made.append("\\" * slashes)
        elif sign == '"':
            if quoted and rest[place + 1 : place + 2] == '"':
                made.append('"')
                place += 1
            quoted = not quoted
            place += 1
        else:
            made.append(sign)
            place += 1
    if made is not None:
        found.append("".join(made))
    return found


_PROGRAM_END = re.compile(r"\.(?:exe|com|scr|sys|dll|bat|cmd|ps1|vbs|js)(?=[\s,]|$)", re.IGNORECASE)


def program_of(text: str) -> str | None:
    r"""The program that a command line starts, quoted or not; None where there is none.

    >>> program_of(r'"C:\a b\c.exe" -k'), program_of(r"C:\a b\c.exe -k")
    ('C:\\a b\\c.exe', 'C:\\a b\\c.exe')
    """
    text = text.strip()
    if text.startswith('"'):
        return text[1:].partition('"')[0] or None
    first = text.split(None, 1)[0] if text else ""
    if "\\" in first and not _PROGRAM_END.search(first):
        # A path may hold blanks and still stand without quotes; it ends with the first ending of a
        # program.
        found = _PROGRAM_END.search(text)
        return text[: found.end()] if found is not None else first
    return first.rstrip(",") or None
