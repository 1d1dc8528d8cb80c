"""Every code, declared once.

The number's first digit tells the stage that speaks: 1 syntax, 2 names and types, 3 rule files, 4
field maps, 5 evidence and runs, 6 lenient repairs, 7 findings of the checker, 8 Sigma rules, 9
translations and other languages. A code that has been published keeps its number and its meaning;
one that is given up is not used again. ``docs/diagnostics.md`` is written from this page.
"""

from __future__ import annotations

from .report import Code, Severity

ALL: dict[str, Code] = {}


def _declare(severity: Severity, number: str, title: str, explanation: str) -> Code:
    assert number not in ALL, number
    ALL[number] = Code(number, severity, title, " ".join(explanation.split()))
    return ALL[number]


def _error(number: str, title: str, explanation: str) -> Code:
    return _declare(Severity.ERROR, number, title, explanation)


def _warning(number: str, title: str, explanation: str) -> Code:
    return _declare(Severity.WARNING, number, title, explanation)


def _note(number: str, title: str, explanation: str) -> Code:
    return _declare(Severity.NOTE, number, title, explanation)


# 1xx: syntax

SYNTAX = _error(
    "CE101",
    "syntax error",
    """The text does not follow the grammar at this place. The message says what was found and
    what could stand there instead. See docs/language.md.""",
)
UNEXPECTED_CHARACTER = _error(
    "CE102",
    "character outside the language",
    """No token of the language begins with this character. Typographic quotes and backquotes are the
    usual cause: strings stand in plain " or '.""",
)
UNCLOSED_STRING = _error(
    "CE103",
    "string without an end",
    """A quote opens here and no quote of the same kind closes it on its line. A quote inside a string is written
    twice.""",
)
UNCLOSED_BRACKET = _error(
    "CE104",
    "bracket without its partner",
    """An opening bracket is never closed, or a closing one was never opened.""",
)
TOO_DEEP = _error(
    "CE105",
    "nested too deeply",
    """Brackets are nested deeper than any rule needs. The limit protects the program from
    texts made to exhaust it.""",
)
TOO_LONG = _error(
    "CE106",
    "text too long",
    """The text has more characters, or more words and signs, than any rule needs. The limit protects
    the program from texts made to exhaust it; nothing of the text is read.""",
)

# 2xx: names and types

UNKNOWN_OBJECT = _error("CE201", "unknown object", "The CAR data model has no object of this name.")
UNKNOWN_ACTION = _error(
    "CE202", "unknown action", "The object is known, but it has no action of this name."
)
UNKNOWN_FIELD = _error(
    "CE203",
    "unknown field",
    """None of the objects this stream can hold has a field of this name. `carengine fields` lists
    what there is.""",
)
UNKNOWN_STREAM = _error(
    "CE204", "undefined name", "The name is used here, but no statement before it defines it."
)
NOT_A_STREAM = _error(
    "CE205",
    "a value where a stream is needed",
    "The statement works on a stream of events, and this name holds a value.",
)
NOT_A_VALUE = _error(
    "CE206",
    "a stream where a value is needed",
    "The expression needs a value, and this name holds a stream of events.",
)
AMBIGUOUS_FIELD = _error(
    "CE207",
    "field of which stream?",
    """Inside and after a join a field is written with its stream: a.pid. Without it nobody
    can tell whose field is meant.""",
)
BAD_REGEX = _error(
    "CE208",
    "regular expression that cannot be used",
    """Regular expressions are RE2's: no look-around and no backreferences, so that matching
    always takes linear time.""",
)
BAD_TYPE = _error(
    "CE209",
    "types that do not fit",
    "The operation is not defined for values of these types.",
)
UNKNOWN_RULE = _error(
    "CE210", "unknown analytic", "`run` names a rule that is not among the loaded ones."
)
RULE_CYCLE = _error(
    "CE211",
    "rules that run each other",
    "Following `run` from this rule leads back to it, so that it can never be evaluated.",
)
UNBOUND_INPUT = _error(
    "CE212",
    "parameter without a value",
    "The rule has an `input`, and the run gives it no value.",
)
NO_OUTPUT = _error(
    "CE213", "no output", "The program has no `output`, so that it could never report anything."
)
UNKNOWN_FUNCTION = _error("CE214", "unknown function", "There is no function of this name.")
BAD_ARGUMENTS = _error(
    "CE215",
    "arguments that do not fit",
    "The function takes another number or another kind of arguments.",
)
BAD_NETWORK = _error(
    "CE216", "not a network", "The text is not an IPv4 or IPv6 address with a prefix length."
)
TOO_LARGE = _error(
    "CE217",
    "program too large",
    """Streams built on streams multiply; past this size the program could not be evaluated in
    bounded memory.""",
)
BAD_DATA_MODEL = _error(
    "CE218",
    "data model that is not right",
    """A file of the data model is not YAML, or a key in it is missing, unknown or has a value of another
    kind.""",
)
BAD_INPUT = _error(
    "CE219",
    "value that does not fit an input",
    """An input is what its default is: a number, a length of time, a list, a text. The value that was given is none.""",
)

# 3xx: rule files

UNREADABLE_RULE = _error(
    "CE301", "rule file that cannot be read", "The file is not there, or not UTF-8 text."
)
BAD_FRONT_MATTER = _error(
    "CE302",
    "front matter that is not right",
    "The YAML between the two `---` lines does not parse, or a key has a value of another kind.",
)
UNKNOWN_KEY = _warning(
    "CE303", "unknown key", "No meaning is known for this key; it is kept, and ignored."
)
DUPLICATE_RULE = _error(
    "CE304", "two rules with one id", "Another loaded rule has this id already."
)
NO_PSEUDOCODE = _error(
    "CE305", "no pseudocode", "The file holds no pseudocode implementation to run."
)
REFERENCES_DIFFER = _warning(
    "CE306",
    "data model references that differ from the program",
    """The page's data model references list other fields than the pseudocode uses.""",
)
BAD_EXAMPLE = _error(
    "CE307",
    "example that cannot be used",
    "An example is not a mapping, or its file is not there or does not parse.",
)
EXAMPLE_FAILED = _error(
    "CE308",
    "example that does not come out as it says",
    "A positive example does not match the rule, or a negative one does.",
)
PASS_FAILED = _error(
    "CE312",
    "rule that a pass broke on",
    """Reading, checking, compiling, matching, testing or translating this rule broke off, by a fault of carengine's own.
    The others went on. Please report it, with the rule.""",
)
REGRESSION_DATA = _error(
    "CE313",
    "regression data that cannot be used",
    """A rule names regression data (`regression_tests_path`), and the file that says what to run, or a log that it
    names, is not there, is not readable, or asks for what is not done here. The rule itself is not touched by it.""",
)
NO_RULES = _error("CE309", "no rules", "The path holds no rule file.")
NOT_A_PAGE = _note(
    "CE310",
    "Markdown that is no analytic",
    """A Markdown file in a folder of rules has neither front matter nor a heading that says pseudocode. It is
    passed over, as a README is; named by itself it is read as an analytic, and refused.""",
)
NOT_A_RULE = _note(
    "CE311",
    "YAML that is no rule",
    """The file or document has neither the keys of a CAR analytic nor a Sigma rule's detection, correlation or
    filter. It is left out.""",
)

NO_ATTACK = _error(
    "CE330",
    "ATT&CK bundle that cannot be read",
    """The file is not there, or is no STIX bundle with techniques. MITRE's bundles are at
    https://github.com/mitre-attack/attack-stix-data.""",
)

# 4xx: field maps

BAD_MAP = _error(
    "CE401",
    "field map that is not right",
    "The file is not YAML, or a key is missing or has a value of another kind.",
)
MAP_UNKNOWN_FUNCTION = _error(
    "CE402", "unknown function in a field map", "There is no such function for field expressions."
)
MAP_UNKNOWN_FIELD = _error(
    "CE403",
    "field map for a field that CAR does not have",
    "The object has no field of this name, so that no rule could ever read it.",
)
MAP_OVERLAP = _error(
    "CE404",
    "two entries for one event",
    "Two entries give the same object and action to the same raw event.",
)
UNKNOWN_MAP = _error("CE405", "unknown field map", "No field map of this name is installed.")
NOT_RUNNABLE = _warning(
    "CE406",
    "rule that cannot run on this data",
    """The field maps in use cannot supply what the rule needs, so that it could never match.
    The message names the events or fields that are missing.""",
)

BAD_LOG_SOURCE = _error(
    "CE407",
    "text that names no log source",
    """A log source is written `product/service` or `product/category` (`aws/cloudtrail`), or as a
    category alone (`webserver`); `where` and a condition may stand behind it.""",
)

PIPELINE_STEP = _warning(
    "CE408",
    "step of a pySigma pipeline that is left out",
    """A pipeline is taken as a field map where it says the same: renamed fields, prefixes, suffixes,
    added conditions, changed log sources. This step does something else, and rules run as if it
    were not there.""",
)

# 5xx: evidence and runs

UNREADABLE_FILE = _error(
    "CE501", "evidence that cannot be read", "The file cannot be opened or is damaged."
)
UNREADABLE_RECORD = _warning(
    "CE502", "record that cannot be read", "The record is not a JSON object; the rest is read."
)
RECORD_TOO_LARGE = _warning(
    "CE503", "record over the size limit", "The record is larger than the limit; it is skipped."
)
DIRECTORY_LOOP = _warning(
    "CE504", "directory that contains itself", "A link leads back to a folder already being read."
)
EXPANSION_LIMIT = _error(
    "CE505",
    "archive over its limits",
    "The archive is nested too deeply, has too many members or expands too far.",
)
NOT_EVIDENCE = _warning(
    "CE506", "file that holds no events", "The content is of no format that is read."
)
SKIPPED_FILE = _note(
    "CE508",
    "file that is left out",
    """Stubs that macOS puts beside the real files (`__MACOSX/`, `._name`, `.DS_Store`) and what is neither a
    file nor a folder are not read; nor are scripts, settings, documents, pictures and programs that lie in a folder or an
    archive, nor texts there that are not named like a log. Each of these is read where it is named itself.""",
)
MORE_FINDINGS = _note(
    "CE509",
    "further findings of the same kind",
    "Only the first findings of a kind are shown for a file; this is the number of the others.",
)
LOOSE_ARRAY = _warning(
    "CE510",
    "array with commas in the wrong places",
    "The elements of the JSON array are read, although a comma between them is missing or too many.",
)
BETWEEN_RECORDS = _warning(
    "CE521",
    "text between the records",
    """Something stands between two records that is neither a record nor part of the format. It is passed over, and
    the records around it are read.""",
)
MISSING_PACKAGE = _error(
    "CE522",
    "evidence that needs a package",
    """Some formats are read by packages that are not installed with carengine itself. `pip install
    'carengine[evidence]'` adds them all.""",
)
CHECKSUM = _warning(
    "CE523",
    "evidence that fails its checksum",
    """A part of the file is not what its checksum says: it was damaged or altered, or the file was copied while
    it was being written. What can be read of it is read.""",
)
SHORT_ROW = _warning(
    "CE524",
    "row with too few cells",
    "The row has fewer cells than the table has columns. Those it has are read as the first columns.",
)
COLUMN_NAME = _warning(
    "CE525",
    "column without a name of its own",
    "Two columns of the table have one name, or one has none, so that the reader gives it one.",
)
LATE_RECORD = _warning(
    "CE526",
    "audit record after its event",
    """The lines of a Linux audit event are joined by its id. This line came after the event had been complete, and is
    an event of its own.""",
)
READER_FAILED = _error(
    "CE527",
    "reader that failed",
    """Reading this file met something that the program does not expect, which is a mistake in the program. Its other
    records are lost, and the other files are read. Please report it.""",
)
LOCAL_TIMES = _note(
    "CE528",
    "times without a zone",
    """`ausearch -i` writes times as dates of the machine where it ran, which say no zone. They are read as UTC. Before events of
    this file are joined with others, export it with `TZ=UTC ausearch -i`, or read the log itself (`ausearch --raw`).""",
)
BAD_TUNING = _error(
    "CE530",
    "file of exclusions that is not right",
    """A file of exclusions and suppressions is not YAML, a key in it is missing or unknown, or a condition cannot be
    used. Nothing is run, since matches would be reported that somebody wanted left out, or the other way round.""",
)
EXPIRED_EXCLUSION = _warning(
    "CE531",
    "exclusion that has expired",
    """The last day of the exclusion is over, so that its matches are reported again. Look into it, and give it another
    day or take it out.""",
)
TUNING_UNUSED = _warning(
    "CE532",
    "exclusion for a rule that is not there",
    "None of the loaded rules has this id, or an id of this form.",
)
REPEATS_FORGOTTEN = _warning(
    "CE533",
    "repeats that were forgotten",
    """More different matches were seen than are remembered for a suppression. Some repeats were reported again.""",
)
LATE_EVENTS = _warning(
    "CE540",
    "events later than allowed",
    """Joins, groups and baselines wait for late events as long as the run allows (`--lateness`). These came later still and
    took no part in them; rules that look at one event at a time saw them.""",
)
UNTIMED_EVENTS = _warning(
    "CE541",
    "events without a time",
    """A join, a group or a baseline wanted these events, and they have no time that can be read. They are looked at when the data
    ends, and are near nothing but each other.""",
)
STATE_CEILING = _warning(
    "CE542",
    "memory for joins and groups is full",
    """The run held as many events as it may (`--max-events`, `--max-bytes`). What was oldest, of the keys that held most, was
    dropped, so that matches with it are lost.""",
)
BAD_STATE = _error(
    "CE543",
    "state that cannot be used",
    """The state file is damaged, cannot be read or written, or was made with other rules, field maps or
    options: what it holds would mean something else now.""",
)
LOST_REST = _warning(
    "CE544",
    "end of a followed file that is gone",
    """The file was replaced or shortened before all of it had been read, and what was left of the old one
    could not be found.""",
)
NOT_FOLLOWED = _warning(
    "CE545",
    "file that cannot be followed",
    """Only files that have a record on each line can be followed while they grow: JSON lines, syslog, access and error
    logs, W3C logs, CEF, LEEF, pairs of key=value, plain text that is named like a log. Read others without `--follow`.""",
)
WORKER_LOST = _error(
    "CE546",
    "process that was lost",
    """One of the processes that share a run (`--jobs`) was killed, ran out of memory or met a fault of the program. What it was
    working on is not known, so that the run stops there: matches and numbers are those of the evidence before. Run again, with
    fewer processes if memory was short; if it happens with `--jobs 1` too, it is a fault to be reported.""",
)

STATE_IN_USE = _error(
    "CE547",
    "state that another process uses",
    """Another run holds this state file. Two runs would overwrite each other's state and output; end the other one first, or give
    this one a state file of its own. A run that was killed holds nothing.""",
)
UNCLAIMED_MATCHES = _warning(
    "CE548",
    "matches that nobody asked for",
    """A session was closed, or its `with` block left, while joins and groups still held events. The end of the data
    decided matches, and nobody had asked for them. Call `flush()` after the last event and use the matches that it
    gives, or `save()` the session to go on later.""",
)
JOIN_CEILING = _warning(
    "CE549",
    "join with too many pairs",
    """So many events have what a join requires to be equal that trying all of them with each other would take hours.
    A join may try 500,000 pairs at once and 100 more with each event; of what is beyond that the latest events are
    tried and the others left out. It may give out 200,000 joined events at once and 20 more with each event. Matches
    may be lost; the notes name the rules. Require more to be equal, or less time between the events.""",
)
REGEX_CEILING = _warning(
    "CE552",
    "regular expressions that cost too much",
    """Regular expressions with large counts (`.{0,100}` several times) take steps that grow with the text and with the
    expression. An event may cost 100 million of them, about a second; what is asked of it after that is undecided, so
    that the rule does not match. The notes name the rules. Expressions that are fast on the text do not count.""",
)
TWO_CLOCKS = _warning(
    "CE551",
    "events with two clocks hours apart",
    """Events have two times, and these are hours apart: one is local time, or somebody replayed a recording. The message names
    the field that is used. Events that have only the other time are hours away from these, so that joins, groups and baselines do not
    bring them together. Ship events with one clock, or convert the other time before.""",
)
ROTATED_BEFORE = _note(
    "CE553",
    "rotated file that is not read",
    """The file lay beside a followed one, under a name as rotated files have, when following began: it is taken for older than
    what is followed. If events of it are missing, name it with the followed file (`hunt app.jsonl app.jsonl.1 --follow`).""",
)
NOTHING_SAVED = _warning(
    "CE554",
    "earlier run that saved nothing",
    """The lock of the state is there and the state is not: an earlier run ended before it saved anything, or the state was removed.
    This run starts anew, with the files as they are now. Files that were rotated since the earlier run began are not read unless they
    are named; each has a note of its own (CE553).""",
)
UNREAD_OBJECTS = _warning(
    "CE555",
    "values of events from Python that cannot be read",
    """An event from a program held an object whose own code raised an exception while it was read (its `__str__`, a property, its
    length). The field is there, as an empty mapping, and equals nothing; the rest of the event is read. The notes name the classes. Give
    texts, numbers or mappings in its place.""",
)
PARTITION = _error(
    "CE556",
    "a part of the data for rules that look at several events",
    """The session was told that it is fed one part of the data (`partition=True`), and rules join, group or count events: what spans
    the parts would be missed. The notes name the rules. Use `engine.partial()` for each part and `engine.merge()` for all of them.""",
)
UPDATED_RULES = _warning(
    "CE557",
    "rules that changed while events were held",
    """A session went on with other rules (`session.update()`, or a state that was saved with other rules). What rules that
    mean the same hold goes on; what was held for joins and groups that no rule has any more is dropped. The notes name them.""",
)
ENDLESS = _warning(
    "CE558",
    "rules that only the end of the data decides",
    """A stream has no end, and these outputs compare with all of the data (a set difference, a rank, an average, `now`): they
    would never match. They are left out, and all else goes on. Hunt in what is stored, once a day for example, for these.""",
)
NATIVE_DIFFERS = _warning(
    "CE559",
    "the native core and Python differ",
    """With `--check-native` Python looks at every line that the native core (`carengine-native`) passes. Here the two did not say the same:
    that is a fault of the program. What Python says was used. Please report the lines that are named, and run with `CARENGINE_NATIVE=0` until
    it is mended.""",
)
MERGE_CEILING = _warning(
    "CE560",
    "records that could not wait to be merged",
    """Of records of one happening (Sysmon 1 and Security 4688 of the start of a process) one stands for all; to know which
    belong together, matches wait for those still to come. At most 20,000 rows wait at once. When more would, the older half
    goes on as it is, so that what two sensors tell may be there twice. Evidence in the order of time with `--lateness`
    needs little room: what is older than the lateness waits no longer.""",
)

# 6xx: repairs of the lenient reading, and its reasons for refusing

QUOTES = _warning(
    "CE601",
    "quotes repaired",
    """A quote is missing, doubled, typographic or escaped with a backslash. The string was read as it
    evidently is meant; strings stand in plain quotes, and a quote inside one is written twice.""",
)
UNQUOTED = _warning(
    "CE602",
    "value without quotes",
    """A path, a pattern, a regular expression or a word stands where a text is needed, without quotes. It was
    read as the text.""",
)
BRACKETS = _warning(
    "CE603",
    "brackets repaired",
    """A bracket without its partner got one, or was left out. This is done only where every place for it
    means the same, or where the layout and the other brackets leave one reading.""",
)
CONNECTIVES = _warning(
    "CE604",
    "connective repaired",
    """Two conditions on two lines had no `and` between them, or an `and` or `or` had nothing to connect.""",
)
COMMAS = _warning(
    "CE605",
    "comma repaired",
    """Two parts of a list had no comma between them, or a comma had nothing behind it.""",
)
FOREIGN_WORDING = _warning(
    "CE606",
    "wording of another language",
    """An operator or notation is not the language's; what it means there is clear, and it was read so.""",
)
STATEMENT_SHAPE = _warning(
    "CE607",
    "parts of a statement in the wrong place",
    """The statement has all it needs, but not in the order or form of the language, or it leaves out what
    can be only one thing, as the stream of a filter.""",
)
STREAM_READ_AS = _warning(
    "CE608",
    "undefined name read as another",
    """Nothing defines the name; one that is defined is near it, or is the only one that can be meant.""",
)
FIELD_READ_AS = _warning(
    "CE609",
    "unknown field read as another",
    """CAR's object has no field of this name. It is another product's name for a field of the object, or a
    spelling of it with a typing error.""",
)
KIND_READ_AS = _warning(
    "CE610",
    "unknown object or action read as another",
    """CAR's data model has no object or action of this name; the one that is meant has another name there.""",
)
PATH_READ_AS = _warning(
    "CE611",
    "base name read as the path it is compared with",
    """The field holds the last part of a path, which never equals a full path. The field with the full path was
    read instead.""",
)
LIST_IN_STRING = _warning(
    "CE612",
    "list inside one string",
    """One string holds several values with OR between them; it was read as a list.""",
)
DOUBLED_BACKSLASHES = _warning(
    "CE613",
    "doubled backslashes",
    """Every backslash is written twice, as other languages need it. Here a backslash is an ordinary character;
    each pair was read as one.""",
)
FOREIGN_PATTERN = _warning(
    "CE614",
    "pattern of another language",
    """A sign in a text stands for something that is written otherwise here: `%` for any text, `{{pipe}}` for
    `|`, `\\.` for a dot.""",
)
OUTPUT_ADDED = _warning(
    "CE615",
    "output added",
    """The program reports nothing; its last stream was taken for the one to report.""",
)
SEARCH_ADDED = _warning(
    "CE616",
    "search added",
    """The text is a condition alone. The kind of event it is about follows from the event code or from the
    fields in it.""",
)
OUTPUT_DROPPED = _warning(
    "CE617",
    "output left out",
    """One of several outputs is built on events that CAR's data model does not have. It was left out, and the
    others are kept: the rule finds less than its author wanted.""",
)
OTHER_OBJECT = _warning(
    "CE618",
    "object read as another",
    """The object searched for lacks a field that the conditions need, and one other object of CAR's model has all
    of them.""",
)
IMPLIED_BY_KIND = _warning(
    "CE619",
    "condition that the kind of event already says",
    """The condition holds for every event of the kind that is searched for, and was left out.""",
)
KEYWORD_READ_AS = _warning(
    "CE620",
    "misspelt keyword",
    """A word of the language has a typing error, where no other word can stand.""",
)
UNCERTAIN = _error(
    "CE690",
    "several readings",
    """The text can be repaired in more than one way, the ways mean different things, and nothing in it
    decides. Its author has to.""",
)
PLACEHOLDER = _error(
    "CE691",
    "placeholder",
    """The text holds a placeholder (`...`, `__some_regex__`) where a part of the rule belongs. What belongs
    there is not published.""",
)
NO_CAR_OBJECT = _error(
    "CE692",
    "events that CAR has no object for",
    """The condition is about events of a log (by their event code) that no object and action of CAR's data
    model stands for.""",
)
BAD_ENGINE = _error(
    "CE550",
    "engine file that cannot be used",
    """The file of a saved engine cannot be read or written, is damaged, or was written by a version with other classes.
    Make it afresh from the rules.""",
)


# 7xx: findings of the checker

NEVER_TRUE = _warning(
    "CE701",
    "condition that can never be true",
    """No event can satisfy this, whatever it holds, so that the stream stays empty (or this alternative
    never counts). The marked parts exclude each other.""",
)
ALWAYS_TRUE = _warning(
    "CE702",
    "condition that is always true",
    """Every event in which the fields are present satisfies this, so that it decides nothing. To ask
    whether a field is present, write `exists`.""",
)
NEGATIONS_IN_OR = _warning(
    "CE703",
    "`!=` joined by `or`",
    """What differs from one thing or differs from another is everything: no value equals both. To exclude
    several values, join the exclusions by `and`, or write `not in [ … ]`.""",
)
PATH_FOR_BASE_NAME = _warning(
    "CE704",
    "path compared with a base name",
    """The field holds the last part of a path, without folders, and the text has a separator in it. Compare the
    field that holds the full path, or leave the folders out.""",
)
REGEX_NEVER_FOUND = _warning(
    "CE705",
    "regular expression that matches nothing",
    """No text can match. Usually an anchor stands in the wrong place: `^` is the beginning of the text and `$` its
    end, so that nothing can stand before the one or behind the other.""",
)
REDUNDANT_CONDITION = _note(
    "CE706",
    "condition that changes nothing",
    """What the other conditions demand (or offer) decides this one already; without it the rule
    means the same.""",
)
DUPLICATE_CONDITION = _note(
    "CE707",
    "condition that is there twice",
    """The same is asked for a second time. Case, and the order of the words, make no difference.""",
)
SUBSUMED_PATTERN = _note(
    "CE708",
    "pattern that others cover",
    """Every text that matches this pattern matches another one of the same alternatives as well.""",
)
REDUNDANT_WILDCARD = _note(
    "CE709",
    "wildcard that changes nothing",
    """`contains` looks anywhere in the text as it is, `match` too; and two `*` in a row are one.""",
)
DEAD_ALTERNATIVE = _warning(
    "CE710",
    "alternative that can never be the case",
    """One alternative of an `or` (or an item of a list) contradicts what is demanded beside it, so that
    it never counts.""",
)
UNUSED_NAME = _warning(
    "CE711",
    "name that nothing uses",
    """What is defined here reaches no output. Either it is left over, or a later statement was meant to use it and
    names another.""",
)
OVERWRITTEN_NAME = _warning(
    "CE712",
    "name defined again before it is used",
    """A later statement gives the name another meaning, and nothing between the two uses the
    first.""",
)
UNBOUNDED_JOIN = _warning(
    "CE713",
    "join without a time bound",
    """Nothing says how far apart in time the joined events may be. No event can be kept for ever in case a partner
    comes, so the run's horizon is taken (`--horizon`, 30 days unless told); and what lies days apart is rarely
    related.""",
)
CROSS_JOIN = _warning(
    "CE714",
    "join without a common key",
    """No equality ties the streams together, so that each event of one is paired with every event of
    the other. Events that belong together usually share a host, a process or an address.""",
)
DIFFERENCE_REVERSED = _warning(
    "CE715",
    "set difference that is the wrong way round",
    """`a - b` is what occurs in `a` and not in `b`. With the past on the left, it gives what has stopped
    happening; what is new is `current - historic`.""",
)
DIFFERENCE_ON_IDENTITY = _note(
    "CE716",
    "set difference that does not say what is compared",
    """Whole events are never equal (their times differ). Without a projection the fields that identify the
    object are compared. Write `x = from t select …` first to choose them.""",
)
IMPROBABLE_TIME = _warning(
    "CE717",
    "time outside living memory",
    """A plain number is read as a point in time, in seconds since 1970. A length of time has a unit (`5
    seconds`), and a time of day or a date is written 2024-05-01T12:00:00.""",
)
TIME_AS_TEXT = _warning(
    "CE718",
    "pattern compared with a time",
    """A time has no spelling of its own: logs write it in many ways. Compare times with `<` and
    `>=`.""",
)
NULL_FIELD = _warning(
    "CE719",
    "condition on a field that is never there",
    """No event of this stream has the field, and a comparison with a missing field is not true.""",
)
WILDCARD_FOR_EXISTS = _note(
    "CE720",
    "`*` where `exists` is meant",
    """A single `*` matches every text, so that the comparison only asks whether the field is there.""",
)
UNBOUNDED_GROUP = _note(
    "CE721",
    "group without a time bound",
    """Without `within` a group ends only where two neighbours are further apart than the run's horizon (`--horizon`, 30
    days unless told), so that while events stream in it stays open that long.""",
)
UNKNOWN_ANALYTIC = _warning(
    "CE722",
    "analytic that ATT&CK does not have",
    """The rule says that it implements an analytic of ATT&CK, and the version that ships has none of this id.""",
)
ANALYTIC_DIFFERS = _warning(
    "CE723",
    "analytic of another technique or platform",
    """The rule names an analytic of ATT&CK beside a technique that the analytic does not detect, or is for platforms
    that the analytic is not for.""",
)
ANALYTIC_ELEMENTS = _warning(
    "CE724",
    "mutable elements that are not the analytic's",
    """Each mutable element of an analytic is an `input` of the rule, or the rule says why it is left out; and what an
    input calls an element is one of the analytic's.""",
)
INPUT_NOT_READ = _warning(
    "CE725",
    "input that is described and not there",
    """The rule's `inputs` describe a name that its program has no `input` for, so that a value for it changes nothing.""",
)

UNLIKELY_TEXT = _warning(
    "CE731",
    "text that the field cannot have",
    """What the field holds has another form: the end of a file's name with its dot, a path with its folders, one
    backslash between two names and not a slash, an integrity level of Windows, a hash of so many hexadecimal digits,
    an address. No event is as the text says, so that the comparison is never true.""",
)
TEXT_AS_NUMBER = _warning(
    "CE732",
    "number compared with a text",
    """The field holds a number and the text is none, or a sign of order (`<`, `>`) stands between a text and a number.
    The comparison is never true of the values that the field has.""",
)
PATH_IN_REGEX = _warning(
    "CE733",
    "path in a regular expression",
    r"""A backslash in a regular expression begins a sign: `\W` is any character that is none of a word, `\s` a blank,
    `\b` the border of a word, `\t` a tab. The backslash of a path is written twice: `C:\\Windows`.""",
)
SQL_WILDCARD = _warning(
    "CE734",
    "percent sign where a wildcard is meant",
    """`%` is any run of characters in SQL, and the character itself here. The wildcard is `*`.""",
)
MIXED_CONNECTIVES = _note(
    "CE735",
    "`and` and `or` without brackets",
    """`and` binds closer than `or`: `a or b and c` is `a or (b and c)`. Brackets say which of the two is meant; the fix
    puts them where they change nothing.""",
)
COMPARED_WITH_ITSELF = _warning(
    "CE736",
    "value compared with itself",
    """Both sides are the same field of the same event, so that the comparison says nothing but that the field is there.
    In a join each side names its stream: `a.pid = b.pid`.""",
)

CHEAP_TO_EVADE = _note(
    "CE737",
    "condition that is cheap to evade",
    """`check --robustness` changed an event that the rule finds as an attacker can change it without doing anything else,
    ran it, and the rule missed it. The note says which level of Summiting the Pyramid the condition is at. It is advice:
    a rule may well ask for a name, as long as another rule asks for what the program does.""",
)

# 8xx: Sigma rules

SIGMA_NOT_INSTALLED = _error(
    "CE801",
    "Sigma rules without pySigma",
    """Sigma rules are read with the library pySigma, which is not installed or too old:
    `pip install 'carengine[sigma]'`.""",
)
BAD_SIGMA = _error(
    "CE802",
    "Sigma rule that is not right",
    """The rule is no YAML, a part that every rule has is missing, or a detection, a modifier, a value or
    the condition is not as the Sigma specification has it.""",
)
SIGMA_UNSUPPORTED = _error(
    "CE803",
    "Sigma rule that cannot be executed",
    """The rule is valid, but asks for something that this engine does not do. The message names it.""",
)
SIGMA_PLACEHOLDER = _error(
    "CE804",
    "placeholder without a value",
    """The rule has a placeholder (`|expand`, `%name%`) that each organisation fills in with a list of its own, and
    no list of that name was given.""",
)
SIGMA_PART_ONLY = _note(
    "CE805",
    "rule that only takes part in a correlation",
    """A correlation rule reads the events of this rule and does not ask for them to be reported by themselves
    (`generate: true`), so that this rule alone reports nothing.""",
)
SIGMA_METADATA = _warning(
    "CE806",
    "information about a Sigma rule that is not right",
    """A title, level, status or the like has a value that the Sigma specification does not allow. What the rule
    detects does not depend on it.""",
)
SIGMA_NUMBER_AS_TEXT = _note(
    "CE807",
    "number read as text",
    """The modifier works on text, and the value is written as a number; it is read as the text it is written with.""",
)
SIGMA_FILTERED = _note(
    "CE808",
    "rule narrowed by a filter",
    "A Sigma filter applies to this rule: what the filter keeps out is not reported.",
)
SIGMA_FILTER_UNUSED = _warning(
    "CE809",
    "filter that applies to no rule",
    """None of the loaded rules is one that the filter names, or is of its log source; it keeps nothing out.""",
)
SIGMA_YAML_VERSION = _note(
    "CE810",
    "value that YAML 1.1 and YAML 1.2 read differently",
    """Sigma rules are YAML 1.2, in which only `true` and `false` are truth values: `yes`, `no`, `on` and `off` without
    quotes are texts, `017` is seventeen and `1_000` a text. pySigma and many tools read YAML 1.1, in which they are
    something else. Quotes make it a text for both.""",
)
SIGMA_UPPER_BOUND = _warning(
    "CE811",
    "correlation that more events silence",
    """The condition has a bound from above (`lt`, `lte`, `eq`, `neq`, or `not` in an expression), so that one more event of
    the kinds that it reads keeps it from matching: whoever can cause such events can evade the rule. The window is
    asked when it is complete, so that it also matches later than it would with `gt` or `gte`.""",
)
SIGMA_ESCAPED_PERCENT = _note(
    "CE812",
    "percent that begins no placeholder",
    r"""With `expand`, Sigma's specification reads `\%` as a plain percent. Some tools read it as a backslash before a
    placeholder; `\\%name%` is that.""",
)

SIGMA_NOT_FORMATTED = _error(
    "CE813",
    "Sigma file that is not formatted",
    """Written in the canonical form the file would not say what it says now, or has YAML that this form has no place
    for (tags, blocks that say their own indentation). It is left as it is.""",
)

SIGMA_AGGREGATION = _note(
    "CE814",
    "aggregation of the old kind",
    """Sigma gave up `| count() by x > n` in conditions for correlation rules. It is read as the correlation that says the
    same, over the rule's `timeframe`.""",
)
SIGMA_HAYABUSA = _note(
    "CE815",
    "part that is Hayabusa's",
    """Sigma has no such modifier or value; Hayabusa has, and it is read as Hayabusa reads it. Other tools refuse the
    rule.""",
)

PLACEHOLDER_FILE = _error(
    "CE816",
    "file of placeholders that cannot be used",
    """A file of placeholders is a mapping of names to values or lists of them, in YAML or JSON; a pySigma pipeline with
    `vars`; or a folder with a file NAME.txt for each name, a value a line.""",
)

SIGMA_ARRAYS_OFF = _warning(
    "CE817",
    "array selector that is read as a part of a name",
    """`field[any]`, `[all]`, `[none]` and `[0]` belong to the coming version 3 of Sigma's specification. They are read so in
    rules that say `sigma-version: 3`; elsewhere the brackets are characters of the field's name.""",
)

# 82x to 85x: what is checked of Sigma rules

SIGMA_ID = _warning(
    "CE820",
    "rule id that is missing or no UUID",
    """Sigma rules are told apart by a UUID (version 4) that no other rule has; other rules, filters and exclusions
    name it.""",
)
SIGMA_TITLE = _note(
    "CE821",
    "title that is not as titles are",
    """A title is at most 120 characters long, says what is there rather than that it is detected, and ends without a
    full stop.""",
)
SIGMA_TITLE_CASE = _note(
    "CE822",
    "title that is not in title case",
    """SigmaHQ writes titles with capital letters: "Suspicious Office Child Process".""",
)
SIGMA_TITLE_TWICE = _note(
    "CE823",
    "two rules with one title",
    """Another loaded rule has this title; who reads a match cannot tell them apart.""",
)
SIGMA_MISSING = _note(
    "CE824",
    "information that is missing",
    """The rule does not say what rules say about themselves: status, description, references, author, date, tags,
    level, false positives. It runs without.""",
)
SIGMA_DESCRIPTION = _note(
    "CE825",
    "description that does not say what is detected",
    """SigmaHQ's descriptions begin with what the rule does ("Detects …") and are longer than a few words.""",
)
SIGMA_DATE = _warning(
    "CE826",
    "date that is not right",
    """Dates are ISO 8601: 2024-05-01. A rule is not modified before it was written.""",
)
SIGMA_REFERENCE = _warning(
    "CE827",
    "reference that is not right",
    """References are a list of links, each once.""",
)
SIGMA_REFERENCE_MOVES = _note(
    "CE828",
    "reference that may change or is a tag",
    """A link to a branch shows another text tomorrow: link to a commit. What is on ATT&CK's site is said by a tag.""",
)
SIGMA_TAG = _warning(
    "CE829",
    "tag that is not right",
    """A tag is a namespace and a name in lower case, each once. The namespaces are attack, car, cve, d3fend,
    detection, stp and tlp, and each has names of a form of its own.""",
)
SIGMA_TAG_UNKNOWN = _warning(
    "CE830",
    "tag that ATT&CK does not know",
    """ATT&CK has no tactic, technique, group or software of this name. The message says which version was asked;
    `--attack FILE` asks another.""",
)
SIGMA_TAG_REVOKED = _warning(
    "CE831",
    "tag of a technique that was revoked",
    """ATT&CK has given up the technique, and another may have taken its place.""",
)
SIGMA_TAG_NEWER = _note(
    "CE832",
    "tag that may be newer than the ATT&CK asked",
    """The number is higher than any that this version of ATT&CK has: a later one may have it. `--attack FILE` asks
    another.""",
)
SIGMA_FALSE_POSITIVES = _note(
    "CE833",
    "false positives that say nothing",
    """SigmaHQ wants "Unknown" where none are known, "Unlikely" where none are expected, and otherwise what they come
    from; "None" and tests are no answer.""",
)
SIGMA_FILE_NAME = _note(
    "CE834",
    "file name that is not as Sigma's are",
    """Names of files have 10 to 70 characters out of a to z, digits and _, and end in .yml.""",
)
SIGMA_FILE_PREFIX = _note(
    "CE835",
    "file name that does not say the log source",
    """SigmaHQ begins the names of files with the log source: proc_creation_win_, aws_cloudtrail_, posh_ps_.""",
)
SIGMA_FILE_TWICE = _note(
    "CE836",
    "two rule files with one name",
    """Tools that copy rules into one folder lose one of them.""",
)
SIGMA_LOG_SOURCE = _note(
    "CE837",
    "log source that nothing knows",
    """Neither a field map nor Sigma's taxonomy has this log source: the rule runs on no log. It may be misspelt, or
    the log source is one of your own.""",
)
SIGMA_GENERIC_SOURCE = _note(
    "CE838",
    "specific log source where a generic one does",
    """The rule asks one service for the events of a category. With the category it would run on other logs of the
    same events, too.""",
)
SIGMA_FIELD = _warning(
    "CE839",
    "field that the log source does not have",
    """Events of this log source have no field of this name, by Sigma's taxonomy and the product's documentation, so
    that the condition is never true. It may be misspelt.""",
)
SIGMA_RELATED = _warning(
    "CE840",
    "related rule that is not right",
    """`related` lists ids of other rules with derived, obsolete, merged, renamed or similar.""",
)
SIGMA_RELATED_UNKNOWN = _note(
    "CE841",
    "related rule that is not there",
    """No loaded rule has this id. That is as it should be of a rule that was renamed or merged.""",
)
SIGMA_UNUSED = _warning(
    "CE842",
    "detection that no condition uses",
    """The condition does not name it, so that it decides nothing.""",
)
SIGMA_THEM = _note(
    "CE843",
    "condition on all detections",
    """`all of them` and `1 of them` change their meaning with each detection that is added; with one detection they
    say nothing more than its name.""",
)
SIGMA_ALL = _warning(
    "CE844",
    "`all` of a single value",
    """`all` joins the values of a list by `and`. Of one value there is nothing to join; some tools refuse it.""",
)
SIGMA_MODIFIER = _warning(
    "CE845",
    "modifiers that do not go together",
    """A modifier is there twice, or changes nothing beside another, or lacks the one that it needs to do what is
    meant.""",
)
SIGMA_WILDCARD = _note(
    "CE846",
    "wildcard where there is a modifier",
    """`*x*` is `contains`, `x*` is `startswith`, `*x` is `endswith`. Modifiers are read more easily, and need no
    escapes.""",
)
SIGMA_DOUBLE_WILDCARD = _warning(
    "CE847",
    "two wildcards in a row",
    """`**` finds what `*` finds. Or a backslash was meant to stand between them.""",
)
SIGMA_ESCAPED_WILDCARD = _note(
    "CE848",
    "escaped wildcard",
    """A backslash before `*` or `?` makes it a plain character. Where a folder was meant, the backslash is written
    twice.""",
)
SIGMA_NUMBER_TEXT = _note(
    "CE849",
    "number written as text",
    """A number in quotes is compared as text by some tools. Without quotes it is a number.""",
)
SIGMA_CONTROL = _warning(
    "CE850",
    "control character in a value",
    """Hardly any log has this character in a field. A backslash in double quotes may have made it: single quotes
    keep backslashes.""",
)
SIGMA_ONE_ITEM = _note(
    "CE851",
    "list with one item",
    """SigmaHQ writes a single value on the line of its key.""",
)
SIGMA_KEY = _warning(
    "CE852",
    "key that may be misspelt",
    """The key is nearly one of Sigma's, and nobody reads it under this name.""",
)
SIGMA_AUTHOR = _note(
    "CE853",
    "author that is no text",
    """Authors are one text, separated by commas.""",
)
SIGMA_NAMES = _note(
    "CE854",
    "empty or useless entry in a list",
    """An entry of a list is empty or there twice.""",
)

# 9xx: translations

NOT_TRANSLATABLE = _error(
    "CE901",
    "operation that the target cannot express",
    "The target language has nothing that means exactly this. Another target may have it.",
)
DIFFERS = _note(
    "CE902",
    "translation that is not exact",
    "The message tells for which values or events the query answers differently from the rule.",
)
UNKNOWN_TARGET = _error("CE903", "unknown target", "Rules are not translated into this language.")
NOTHING_TO_TRANSLATE = _error(
    "CE904",
    "rule that the field map leaves nothing of",
    "The logs have no such events or fields: the query could never find anything.",
)
SHAPE_CHOSEN = _note("CE905", "one of several shapes", "Name another in full to have that one.")
MISSING_LIBRARY = _error(
    "CE906",
    "library that is not installed",
    "The target needs a package that comes with an extra of carengine.",
)
OUTPUT_LEFT_OUT = _warning(
    "CE907",
    "output that the field map leaves nothing of",
    "The logs have no such events or fields. The rule's other outputs are translated; of this one there is no query.",
)

# 95x: implementations in other languages, and what comparing them finds

FOREIGN_SYNTAX = _error(
    "CE951",
    "query that does not parse",
    """The text does not follow the grammar of the language it is in at this place, so that nothing of the query is
    used.""",
)
FOREIGN_UNSUPPORTED = _error(
    "CE952",
    "part of a query that has no equivalent here",
    """The query asks for something that this program's language does not have, or that only the product itself knows
    (a macro, a saved list). It is refused whole: without this part it would mean something else.""",
)
NATIVE_NAME = _warning(
    "CE953",
    "field that CAR has no name for",
    """The data model has no field for this name in these events. The query reads it from the event under the
    name it has there, so that it works only on logs that use this name.""",
)
NATIVE_ABSENT = _note(
    "CE954",
    "field that these events do not have",
    """The field map knows the name, but not for this kind of event, where it is read as missing.""",
)
DATA_SOURCE = _note(
    "CE955",
    "where the data lies",
    """An index, a source type or the like says where the product keeps events, and nothing about an event. It is left
    to whoever chooses the events to read.""",
)
MISSES_POSITIVE = _warning(
    "CE956",
    "implementation that misses a true positive",
    """The analytic comes with this event as an example of what it finds, and the implementation does not find it.""",
)
NOT_EQUIVALENT = _warning(
    "CE957",
    "implementations that differ",
    """There is an event that one implementation finds and the other does not.""",
)
NOT_COMPARED = _note(
    "CE958",
    "implementations that were not compared",
    """They look at more than one event at a time, or the question was too large to decide.""",
)
FOREIGN_SUSPECT = _warning(
    "CE959",
    "query that may not say what was meant",
    """The product reads this part in another way than it looks.""",
)
NATIVE_KIND = _warning(
    "CE960",
    "events that CAR has no name for",
    """The query asks for events that no field map gives to CAR, so that this part of it finds nothing here.""",
)
NATIVE_WIDER = _warning(
    "CE961",
    "events that CAR does not tell apart",
    """The query asks for some of the events that are one kind in CAR. In CAR's names it looks at all of them.""",
)
FOREIGN_NEAR = _warning(
    "CE962",
    "part of a query that is not read exactly",
    """The message tells for which values or events this reading finds something else than the product does.""",
)
BAD_ELASTIC = _error(
    "CE963",
    "detection rule that is no TOML",
    """The file does not follow TOML's grammar at this place, so that nothing of the rule is known.""",
)
ELASTIC_METADATA = _warning(
    "CE964",
    "information about a detection rule that is not right",
    """A name or severity is missing or has a value that Elastic's schema does not allow. What the rule detects does
    not depend on it.""",
)
RULE_WIDER = _note(
    "CE965",
    "rule that finds more than before",
    """The new version finds everything that the old one found, and events besides; one is shown.""",
)
RULE_NARROWER = _warning(
    "CE966",
    "rule that finds less than before",
    """The old version found events that the new one no longer finds; one is shown.""",
)
RULE_OTHER = _warning(
    "CE967",
    "rule that finds something else than before",
    """Each of the two versions finds events that the other does not; one of each is shown.""",
)
RULE_GONE = _warning(
    "CE968",
    "rule that is gone",
    """No rule of the new version has its id, its title or its file, or finds the same.""",
)
RULE_UNDECIDED = _note(
    "CE969",
    "rule whose change was not decided",
    """Neither a proof nor an event says whether the two versions find the same; the message says why.""",
)
SPLUNK_SETTING = _warning(
    "CE981",
    "part of a file of Splunk's that is not right",
    """A line, a stanza or a key of a Splunk file is not what Splunk's documentation says it is. What is searched for does
    not depend on it, or the message says so.""",
)
SPLUNK_SCHEDULE = _warning(
    "CE982",
    "saved search whose schedule counts",
    """A saved search looks at a stretch of time at each of its runs. Where it counts, or alerts from a number of results
    on, it is asked here of the stretches or of the whole log that the message names.""",
)
TOO_MANY_COLUMNS = _error(
    "CE984",
    "more fields than a table has columns",
    """Each field that some event has becomes a column. Load part of the logs, or logs of one kind at a time, or use
    `carengine hunt`, which needs no table.""",
)
SQL_DISAGREES = _error(
    "CE985",
    "query that finds other events than the engine",
    """A translated query and the engine disagree about events that both looked at, and no note of the query says so. The
    matches that are shown are the engine's. Please report the rule and such an event.""",
)
