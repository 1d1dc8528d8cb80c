"""From paths to records: folders walked, formats recognised, everything accounted for.

``FORMATS`` is the table of what a content can be. A row says how its first bytes look and what to
do with it: unpack it into further contents, read its records, or nothing, so that its name can at
least be said. A file's name is only a hint, where its content leaves open what it is. A further
format is a further row and a function ``(Content, Account) -> Iterator[Record]``.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from attrs import define, field, frozen

from ..diagnostics import Code, Diagnostic, codes, refuse_missing
from .auditd import is_audit_log, read_audit_log
from .event_log import read_event_log
from .event_xml import is_event_xml, read_event_xml
from .json_text import UnreadableError, decode, like_json, read_json
from .line_formats import KEY_VALUE, LINE_FORMATS, PLAIN, LineFormat, first_lines, read_lines
from .lines import without_mark
from .other_files import OtherFiles, kind_by_name
from .parquet import read_parquet
from .record import Limits, ReadReport, Record
from .seven_zip import unpack_7z
from .syslog import SYSLOG, SyslogError, event_of_line
from .tables import read_table, separator_of
from .unpack import (
    Content,
    DamageError,
    Meter,
    RefusalError,
    bunzip2,
    decode_utf16,
    file_chunks,
    gunzip,
    is_stub,
    is_tar,
    untar,
    unxz,
    unzstandard,
)
from .zeek import is_zeek, read_zeek
from .zipped import unzip

_SAMPLE = 4096


@frozen
class Format:
    """One thing a content can be, recognised by ``test`` from its first 64 KiB.

    ``unpack`` gives the contents in it, ``read`` its records; with neither it is known by name
    only. ``other`` is what it is where it lies beside evidence and is none: a picture.
    """

    name: str
    test: Callable[[bytes], bool]
    unpack: Callable[[Content, ReadReport], Iterator[Content]] | None = None
    read: Callable[[Content, ReadReport], Iterator[Record]] | None = None
    other: str = ""


def _starts(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(marks)


def _is_bzip2(head: bytes) -> bool:
    return head[:3] == b"BZh" and head[4:10] in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")


_CONTROLS = bytes(set(range(32)) - set(b"\t\n\x0b\x0c\r\x1b\x1e")) + b"\x7f"


def _is_binary(head: bytes) -> bool:
    """Whether more than one byte in 32 is a control character; a stray one does not make a text
    binary."""
    if head.lstrip()[:1] in (b"{", b"["):
        return False
    sample = head[:_SAMPLE]
    return len(sample) - len(sample.translate(None, _CONTROLS)) > len(sample) // 32


def _is_xml(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith((b"<?xml", b"<Event", b"<!DOCTYPE", b"<html"))


_PAGE = re.compile(
    rb"(?:<\?xml[^<>]{0,200}>\s{0,99})?(?:<!--.{0,2000}?-->\s{0,99})?(?:<!DOCTYPE (?:html|svg)|<html|<svg)\b",
    re.IGNORECASE | re.DOTALL,
)


def _is_page(head: bytes) -> bool:
    return _PAGE.match(head.removeprefix(b"\xef\xbb\xbf").lstrip()) is not None


def _is_windows_program(head: bytes) -> bool:
    return head[:2] == b"MZ" and b"\0" in head[:64]


def _is_table(head: bytes) -> bool:
    return separator_of(head) is not None


_LIKE_JSON_OR_XML = re.compile(r"\s*(?:\{|<(?!\d{1,3}>))")  # but `<34>` is syslog's


def _is_of(form: LineFormat) -> Callable[[bytes], bool]:
    def test(head: bytes) -> bool:
        lines = first_lines(head)
        return bool(lines) and _LIKE_JSON_OR_XML.match(lines[0]) is None and form.test(lines)

    return test


def _is_plain(head: bytes) -> bool:
    """Whether a text has lines, and none of the first looks like something that holds an event."""
    lines = first_lines(head)
    return bool(lines) and not like_json(head) and not any(map(_holds_an_event, lines))


_LIKE_JSON = re.compile(r"\{|\[\s*(?:[\[{\]]|$)|<[A-Za-z?!]")


def _holds_an_event(line: str) -> bool:
    """Whether a line is like JSON or XML, or one of syslog."""
    if _LIKE_JSON.match(line.lstrip()):
        return True
    try:
        decode(line.encode())
    except UnreadableError:
        pass
    else:
        return True
    try:
        return event_of_line(line, decode) is not None
    except SyslogError:
        return True


_NUMBERED = re.compile(rb"(?:\xef\xbb\xbf)?\s*Record [0-9]{1,20}\r?\n\s*[<{]")
_NUMBER_LINE = re.compile(rb"^Record [0-9]{1,20}\r?(?:\n|\Z)", re.MULTILINE)


def _is_numbered(head: bytes) -> bool:
    """Whether a text is what evtx_dump writes, which has a line with its number before each
    record."""
    return _NUMBERED.match(head) is not None


def _without_numbers(content: Content, report: ReadReport) -> Iterator[Content]:
    """What evtx_dump writes without the lines before the records: JSON, or XML."""
    yield Content.of(
        content.name,
        _lines_without_numbers(without_mark(content.chunks)),
        content.meter,
        content.depth,
        within=content.within,
    )


def _lines_without_numbers(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        end = data.rfind(b"\n") + 1
        # A line that is longer than this is no such line, and need not be kept.
        if len(data) - end > _SAMPLE:
            end = len(data) - 1 if data.endswith(b"\r") else len(data)
        rest = data[end:]
        if end:
            yield _NUMBER_LINE.sub(b"", data[:end])
    if rest:
        yield _NUMBER_LINE.sub(b"", rest)


def _utf16(encoding: str) -> Callable[[Content, ReadReport], Iterator[Content]]:
    return lambda content, report: iter((decode_utf16(content, encoding),))


_PLAIN_TEXT = Format(PLAIN.title, _is_plain, read=partial(read_lines, PLAIN))
# Names of text files in which programs write what happens; a folder holds many other texts.
_LOG_NAME = re.compile(
    r"(?:.*[._ -])?(?:log|logs|txt|out|err|trace|console|messages|syslog|daemon|kern|secure|auth|cron"
    r"|maillog|audit|access|error|stdout|stderr)\d*(?:[._ -].*)?",
    re.DOTALL | re.IGNORECASE,
)

# The first row that fits is the one.
FORMATS: tuple[Format, ...] = (
    Format("gzip", _starts(b"\x1f\x8b\x08"), unpack=gunzip),
    Format("bzip2", _is_bzip2, unpack=bunzip2),
    Format("xz", _starts(b"\xfd7zXZ\0"), unpack=unxz),
    Format("zip", _starts(b"PK\3\4", b"PK\5\6"), unpack=unzip),
    Format("tar", is_tar, unpack=untar),
    Format("Zstandard", _starts(b"\x28\xb5\x2f\xfd"), unpack=unzstandard),
    Format("a Windows event log (EVTX)", _starts(b"ElfFile\0"), read=read_event_log),
    Format("a pcapng capture", _starts(b"\n\r\r\n")),
    Format(
        "a pcap capture",
        _starts(b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d"),
    ),
    Format("a Parquet file", _starts(b"PAR1"), read=read_parquet),
    Format("an SQLite database", _starts(b"SQLite format 3\0")),
    Format("an LZ4 file", _starts(b"\x04\x22\x4d\x18")),
    Format("a 7z archive", _starts(b"7z\xbc\xaf\x27\x1c"), unpack=unpack_7z),
    Format("a RAR archive", _starts(b"Rar!\x1a\x07")),
    Format("a PDF document", _starts(b"%PDF-"), other="document"),
    Format("an Office document", _starts(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), other="document"),
    Format("an RTF document", _starts(b"{\\rtf"), other="document"),
    Format("an ELF program", _starts(b"\x7fELF"), other="program"),
    Format("a Windows program", _is_windows_program, other="program"),
    Format("a picture", _starts(b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a"), other="picture"),
    Format("a picture", _starts(b"\xff\xd8\xff", b"II*\0", b"MM\0*"), other="picture"),
    Format("UTF-32 text", _starts(b"\xff\xfe\0\0", b"\0\0\xfe\xff")),
    Format("UTF-16 text", _starts(b"\xff\xfe", b"\xfe\xff"), unpack=_utf16("utf-16")),
    Format("UTF-16 text", _starts(b"{\0", b"[\0", b"<\0"), unpack=_utf16("utf-16-le")),
    Format("UTF-16 text", _starts(b"\0{", b"\0[", b"\0<"), unpack=_utf16("utf-16-be")),
    Format("records of evtx_dump", _is_numbered, unpack=_without_numbers),
    Format("binary data", _is_binary),
    Format("Windows events in XML", is_event_xml, read=read_event_xml),
    Format("a page or a drawing", _is_page, other="document"),
    Format("XML", _is_xml),
    Format("a Zeek log", is_zeek, read=read_zeek),
    Format("an audit log", is_audit_log, read=read_audit_log),
    *(
        Format(form.title, _is_of(form), read=partial(read_lines, form))
        for form in (SYSLOG, *LINE_FORMATS)
    ),
    Format("a table", _is_table, read=read_table),
    _PLAIN_TEXT,
    Format("JSON or other text", lambda head: True, read=read_json),
)


# Formats that texts of many kinds look like; for these a file's name tells more.
_VAGUE = frozenset(
    {PLAIN.title, KEY_VALUE.title, "a table", "JSON or other text", "XML", "binary data"}
)


# An array of objects; `[[` is a table of TOML.
_OBJECTS = re.compile(rb'(?:\xef\xbb\xbf)?\s{0,999}\[\s{0,999}\{\s{0,999}"')

_TABLE_NAME = re.compile(r".*\.(?:csv|tsv)(?:\.[a-z0-9]{1,4})?", re.DOTALL | re.IGNORECASE)


def recognise(head: bytes, name: str = "") -> Format:
    """What a content is, by its first bytes. The name decides only where these leave it open."""
    found = next(row for row in FORMATS if row.test(head))
    if (
        found in (_PLAIN_TEXT, FORMATS[-1])
        and _TABLE_NAME.fullmatch(name)
        and separator_of(head, hinted=True)
    ):
        return next(row for row in FORMATS if row.read is read_table)
    return found


def followed_format(head: bytes) -> LineFormat | str | None:
    """The format of the lines of a file that grows, None for JSON; a text names what has no lines.

    >>> followed_format(b'{"a": 1}'), followed_format(b"<html>")
    (None, 'a page or a drawing')
    """
    found = recognise(head)
    if found is FORMATS[-1]:
        return None
    for form in (SYSLOG, *LINE_FORMATS, PLAIN):
        if found.name == form.title:
            return form
    return found.name


def line_format_named(name: str) -> LineFormat | None:
    """A format that has a record a line, by its name; None for JSON.

    >>> line_format_named("cef").title
    'a CEF or LEEF log'
    """
    return next((form for form in (SYSLOG, *LINE_FORMATS, PLAIN) if form.name == name), None)


def is_named_like_a_log(name: str) -> bool:
    """Whether plain text of that name is read where it lies in a folder.

    >>> is_named_like_a_log("app.log.1"), is_named_like_a_log("readme.md")
    (True, False)
    """
    return kind_by_name(name) is None and _LOG_NAME.fullmatch(name) is not None


@define(eq=False)
class Reading:
    """An iterator of records, and the account of what it has met so far.

    The numbers and ``diagnostics`` are those of the part that has been read; when the iterator has
    ended, of everything. Closing it (or leaving its ``with``) closes the files.

    >>> import io, carengine
    >>> with carengine.read_events("-", stdin=io.BytesIO(b'{"a": 1}\\nno event\\n')) as reading:
    ...     events = [record.event for record in reading]
    >>> events, reading.records, reading.unreadable
    ([{'a': 1}], 2, 1)
    """

    _contents: Generator[Iterator[Record], None, None] = field(repr=False)
    _report: ReadReport = field(repr=False)
    _records: Iterator[Record] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._records = chain.from_iterable(self._contents)

    def __iter__(self) -> Iterator[Record]:
        # The iterator itself, so that a loop does not come through here for each record.
        return self._records

    def __next__(self) -> Record:
        return next(self._records)

    def close(self) -> None:
        """Stop reading."""
        self._contents.close()
        self._records = iter(())

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def records(self) -> int:
        """How many records were met, readable or not."""
        return self._report.records

    @property
    def unreadable(self) -> int:
        """How many of them gave no event."""
        return self._report.unreadable

    @property
    def sources(self) -> int:
        """How many files, members and streams were of a format that is read."""
        return self._report.sources

    @property
    def bytes_read(self) -> int:
        """How much was read from disk or standard input, as it is packed there."""
        return self._report.bytes_read

    @property
    def found(self) -> dict[Code, int]:
        """How many findings there are of each code; unlike ``diagnostics`` without a bound."""
        return dict(self._report.found)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What there is to say, in the order met: 20 findings a code and file, then their number
        (CE509)."""
        return self._report.diagnostics


def read_events(
    *paths: str | Path,
    limits: Limits | None = None,
    stdin: BinaryIO | None = None,
    password: str | bytes = b"",
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    candidates: Callable[[list[bytes]], Iterable[int]] | None = None,
    must_exist: bool = True,
) -> Reading:
    """The events in files, folders and archives, one record after another.

    ``-`` is standard input (``stdin``, or the process's own). Folders are walked in the order of
    their names. ``password`` opens encrypted members of zip archives.

    ``include`` and ``exclude`` are glob patterns (``*`` goes over ``/`` too) for what folders and
    archives hold. They are compared with a file's name and with its path in the folder or archive.
    Only files with records need to fit ``include``, whatever archive they are in; what fits
    ``exclude`` is not looked into. What is left out is counted (CE508); a path that is given itself
    is always read.

    Raises `PathNotFoundError`, which is a `CarError` and a `FileNotFoundError`, when a path does
    not exist; with ``must_exist=False`` that is a diagnostic (CE501). Nothing is raised for what is
    there and cannot be read: it is a diagnostic, and the rest is read.

    Where records are lines of JSON, ``candidates`` gets some of them at a time before they are
    decoded, and gives the places of those that are to be read, in order. The others are counted as
    records and not given: the ``candidates`` of `Session.prefilter` leaves out the events that no
    rule matches. It must leave out objects of JSON only.

    >>> import io
    >>> reading = read_events("-", stdin=io.BytesIO(b'{"EventID": 1}\\n5\\n'))
    >>> [(record.event, record.source, record.number) for record in reading]
    [({'EventID': 1}, '-', 1)]
    >>> reading.records, reading.unreadable, [x.where for x in reading.diagnostics]
    (2, 1, ['-:2'])
    """
    if must_exist:
        refuse_missing((path for path in paths if os.fspath(path) != "-"), codes.UNREADABLE_FILE)
    report = ReadReport(candidates=candidates)
    walk = Walk.of(report, limits, stdin, password, include, exclude)
    return Reading(walk.records([os.fspath(path) for path in paths]), report)


def _shown(path: str) -> str:
    """A path as text: bytes that are no text in it become escapes, which can be written
    anywhere."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


FormattedContent = tuple[Format, Content]
"""A content with records in it, and the format that it is of."""


@define(eq=False)
class Walk:
    """The way through paths, archives and their members: one content with records after another, in
    order.

    A content must be dealt with before the next is asked for: they are unpacked as they stream by.
    """

    report: ReadReport
    limits: Limits
    stdin: BinaryIO | None
    password: bytes
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    _others: OtherFiles = field(factory=OtherFiles)

    @classmethod
    def of(
        cls,
        report: ReadReport,
        limits: Limits | None = None,
        stdin: BinaryIO | None = None,
        password: str | bytes = b"",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
    ) -> Walk:
        """A walk with what `read_events` takes."""
        secret = password.encode() if isinstance(password, str) else password
        return cls(report, limits or Limits(), stdin, secret, tuple(include), tuple(exclude))

    def records(self, paths: list[str]) -> Generator[Iterator[Record], None, None]:
        """One iterator of records for each content.

        Iterators of records and not records, because handing each record up through every layer
        would cost more than decoding it. An iterator must be used up before the next is asked for.
        """
        for row, content in self.paths(paths):
            yield records_of(row, content, self.report)

    def paths(self, paths: list[str]) -> Iterator[FormattedContent]:
        """The contents with records at some paths and in everything there."""
        for path in paths:
            if path == "-":
                stdin = self.stdin or getattr(sys.stdin, "buffer", None)
                if stdin is None:
                    self._unreadable("-", OSError("standard input is closed"))
                else:
                    yield from self._stream("-", stdin)
                continue
            try:
                is_folder = stat.S_ISDIR(os.stat(path).st_mode)
            except (OSError, ValueError) as problem:
                self._unreadable(path, problem)
                continue
            if is_folder:
                yield from self._folder(path)
            else:
                yield from self._file(path)

    def _unreadable(self, path: str, problem: Exception) -> None:
        reason = getattr(problem, "strerror", None) or str(problem)
        name = _shown(path)
        self.report.say(codes.UNREADABLE_FILE, name, f"cannot be read: {reason}")
        self.report.close(name)

    def _folder(self, root: str) -> Iterator[FormattedContent]:
        """The files in a folder and the folders in it, each folder once however it is linked."""
        seen: dict[tuple[int, int], str] = {}
        waiting = [root]
        while waiting:
            path = waiting.pop()
            name = _shown(path)
            try:
                status = os.stat(path)
                if not stat.S_ISDIR(status.st_mode):
                    if is_stub(name):
                        self._left_out(root, name, "is a stub that macOS adds; it is not read")
                    elif stat.S_ISREG(status.st_mode):
                        yield from self._file(path, _shown(root))
                    else:
                        # Opening a pipe that nobody writes to would wait for ever.
                        self._left_out(root, name, "is neither a file nor a folder; it is not read")
                    continue
                identity = status.st_dev, status.st_ino
                if identity in seen:
                    self.report.say(
                        codes.DIRECTORY_LOOP,
                        _shown(root),
                        f"is the folder {seen[identity]} again; it is not read twice",
                        about=name,
                    )
                    continue
                seen[identity] = name
                waiting += (os.path.join(path, x) for x in sorted(os.listdir(path), reverse=True))
            except (OSError, ValueError) as problem:
                self._unreadable(path, problem)
        self._others.tell(_shown(root), self.report)
        self.report.close(_shown(root))

    def _left_out(self, root: str, name: str, reason: str) -> None:
        self.report.say(codes.SKIPPED_FILE, _shown(root), reason, about=name)

    def _file(self, path: str, within: str = "") -> Iterator[FormattedContent]:
        try:
            file = open(path, "rb", buffering=0)  # noqa: SIM115 (the next lines close it)
        except (OSError, ValueError) as problem:
            self._unreadable(path, problem)
            return
        with file:
            yield from self._stream(_shown(path), file, within)

    def _stream(self, name: str, file: BinaryIO, within: str = "") -> Iterator[FormattedContent]:
        """The records of one open file."""
        regular, size = _regular(file)
        meter = Meter(self.limits, size, password=self.password)
        chunks = file_chunks(file, self.report, meter, grows=not regular)
        try:
            content = Content.of(name, chunks, meter, file=file if regular else None, within=within)
            yield from self._content(content)
        except RefusalError as refusal:
            self.report.say(codes.EXPANSION_LIMIT, name, str(refusal))
        if not within:
            self._others.tell(name, self.report)
        self.report.close(name)

    def _content(self, content: Content) -> Iterator[FormattedContent]:
        """The records of a content and of everything in it; what is damaged is said."""
        report, name = self.report, content.name

        def say(code: Code, message: str) -> None:
            report.say(code, content.within, message, about=name)

        try:
            if not content.head:
                for _ in content.chunks:
                    pass  # raises what keeps it from being read
                if name != content.within:
                    if self.include and not _fits(_inside(content), self.include):
                        say(codes.SKIPPED_FILE, _NOT_INCLUDED)
                        return
                    if (kind := kind_by_name(name)) is not None:
                        self._others.add(content.within, name, kind)
                        return
                say(codes.NOT_EVIDENCE, "is empty, and holds no events")
                return
            row = recognise(content.head, name)
            if (reason := self._unwanted(content, row)) is not None:
                say(codes.SKIPPED_FILE, reason)
            elif (kind := self._other_kind(content, row)) is not None:
                self._others.add(content.within, name, kind)
            elif content.depth > self.limits.archive_depth:
                layers = self.limits.archive_depth
                say(codes.EXPANSION_LIMIT, f"is inside more than {layers} archives; it is not read")
            elif row.read is not None:
                report.sources += 1
                yield row, content
                if content.meter.refusal is not None:
                    raise content.meter.refusal
            elif row.unpack is not None:
                empty, before = True, report.found.total()
                for inner in row.unpack(content, report):
                    empty = False
                    yield from self._content(inner)
                    if inner.name != name:
                        report.close(inner.name)
                if empty and report.found.total() == before:
                    say(codes.NOT_EVIDENCE, "is an archive without files to read")
            else:
                say(codes.NOT_EVIDENCE, f"is of no format that is read; it looks like {row.name}")
        except (RefusalError, GeneratorExit):
            raise  # about the whole path
        except BaseException as problem:
            say(*cost_of(problem))

    def _other_kind(self, content: Content, row: Format) -> str | None:
        """What kind of a file that is no evidence a content is; None where it may be evidence, or
        was asked for."""
        if content.name == content.within:
            return None
        if self.include and _fits(_inside(content), self.include):
            return None
        if row.other:
            return row.other
        events = like_json(content.head) or _OBJECTS.match(content.head) is not None
        vague = row.name in _VAGUE and not events
        return kind_by_name(content.name) if vague or row.unpack is unzip else None

    def _unwanted(self, content: Content, row: Format) -> str | None:
        """Why a content found in a folder or archive is not to be read, if the filters say so."""
        if content.name == content.within:
            return None
        inside = _inside(content)
        last = re.split(r"[/\\!]", inside)[-1]
        if _fits(inside, self.exclude):
            return "is excluded by its name"
        if self.include:
            named = row.unpack is not None or _fits(inside, self.include)
            return None if named else _NOT_INCLUDED
        if row is not _PLAIN_TEXT or kind_by_name(last) is not None:
            return None
        if not _LOG_NAME.fullmatch(last):
            return "is text that is not named like a log; it is read where it is named itself"
        return None


def records_of(row: Format, content: Content, report: ReadReport) -> Iterator[Record]:
    """The records of one content, of a format that is read; whatever ends them ends nothing else.

    A refusal is about the whole path, and left in the content's meter for the one who walks it.
    """
    assert row.read is not None
    content.meter.watch(report)
    return guarded(row.read(content, report), content, report)


def guarded(records: Iterator[Record], content: Content, report: ReadReport) -> Iterator[Record]:
    """These records of a content, with what ends them before their time said."""
    try:
        yield from records
    except RefusalError as refusal:
        content.meter.refusal = refusal
    except GeneratorExit:
        raise
    except BaseException as problem:
        code, reason = cost_of(problem)
        report.say(code, content.within, reason, about=content.name)


def cost_of(problem: BaseException) -> tuple[Code, str]:
    """What is said of a content whose reading ended with this; raised again where it ends more.

    This is the boundary of every reader: whatever an unpacker, a parser or a package of others
    raises costs the content that it was about, and no other. Nobody has to foresee its class.
    """
    if isinstance(problem, DamageError):
        return codes.UNREADABLE_FILE, str(problem)
    # A panic of Rust code is no Exception, so that nobody catches it by mistake.
    expected = isinstance(problem, Exception) or type(problem).__name__ == "PanicException"
    if not expected or isinstance(problem, MemoryError):
        raise problem
    text = " ".join(str(problem).split())[:200]
    return codes.READER_FAILED, f"is not read any further: {type(problem).__name__}: {text}"


_NOT_INCLUDED = "has a name that is not included"


def _inside(content: Content) -> str:
    """A content's path in the folder or archive that it was found in."""
    return content.name.removeprefix(content.within).lstrip("/\\!")


_PACKED_NAME = re.compile(r"(.+)\.(?:gz|bz2|xz|zst)", re.DOTALL)


def _fits(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether a path or its last part fits a glob pattern, with or without the suffix of a
    compression."""
    names = [path, path.replace("\\", "/").rpartition("/")[2]]
    names += [found[1] for name in names if (found := _PACKED_NAME.fullmatch(name))]
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns for name in names)


def _regular(file: BinaryIO) -> tuple[bool, int]:
    """Whether an open file is one on disk, which can be read from any place, and its size."""
    try:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and file.tell() == 0:
            return True, status.st_size
    except (OSError, ValueError, AttributeError):
        pass
    return False, 0
