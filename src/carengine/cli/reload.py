"""``carengine hunt --follow --reload``: rules that are edited while they run.

The files of rules are looked at every few seconds. A change is taken up once nothing changes any
more from one look to the next, so that an editor, or ``git pull``, is not met half way. A rule that
cannot be used keeps everything as it was: the rules before go on until the files are whole again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

from attrs import define, field

from ..diagnostics import CarError, counted, visible
from ..engine import Engine, SessionUpdate
from ..rule import RuleSet
from ..tuning import RuleFilter
from . import UsageError
from .options import MapNames, RuleSettings, map_choice
from .rules import engine_of, load, report_refused
from .screen import Screen

# How many seconds lie between two looks at the files of rules. Tests make it shorter.
_LOOK = float(os.environ.get("CARENGINE_RELOAD") or 2.0)
_MOST_FILES = 100_000
Signature = dict[str, tuple[int, int, int]]


@define
class RulesWatch:
    """Looks whether the files of rules have changed.

    ``load`` gives the rules as they are now, with the errors said on the screen; ``compile`` makes
    an engine of them.
    """

    paths: tuple[str, ...]
    screen: Screen
    load: Callable[[], RuleSet]
    compile: Callable[[RuleSet], Engine | None]
    refused: frozenset[str] = frozenset()
    _used: Signature = field(factory=dict)
    _seen: Signature = field(factory=dict)
    _next: float = 0.0

    def begin(self) -> None:
        """The rules as they are now are those that run."""
        self._used = self._seen = signature_of(self.paths)
        self._next = time.monotonic() + _LOOK

    @property
    def due(self) -> bool:
        """Whether it is time for another look."""
        return time.monotonic() >= self._next

    def look(self) -> Engine | None:
        """An engine of the rules, where they have changed and can all be used."""
        now = signature_of(self.paths)
        self._next = time.monotonic() + _LOOK
        settled, self._seen = now == self._seen, now
        if now == self._used or not settled:
            return None
        # Whatever comes of it, it is said once for each state of the files.
        self._used = now
        try:
            rules = self.load()
            broken = sorted({one.id for one in rules.refused} - self.refused)
            engine = None if broken or not len(rules) else self.compile(rules)
        except CarError as error:
            self.screen.report(error.diagnostics)
            engine, broken = None, []
        except (UsageError, OSError) as error:
            self.screen.say(str(error))
            engine, broken = None, []
        if engine is None:
            why = f"{', '.join(map(visible, broken[:5]))} cannot be used" if broken else "see above"
            self.screen.say(f"the rules changed and are not taken up ({why}): those before go on")
        else:
            self.refused = frozenset(one.id for one in rules.refused)
        return engine


def rules_watch(
    settings: RuleSettings, maps: MapNames, chosen: RuleFilter, rules: RuleSet, screen: Screen
) -> RulesWatch:
    """What looks at the files of rules that a run was started with."""

    def load_again() -> RuleSet:
        found = load(settings)
        report_refused(found, screen)
        return found

    def compile_again(found: RuleSet) -> Engine | None:
        kept, _ = chosen.choose(found)
        if not kept:
            return None
        engine, lost = engine_of(kept, map_choice(maps), screen)
        return None if lost else engine

    refused = frozenset(one.id for one in rules.refused)
    paths = (*settings.paths, *settings.macros)
    watch = RulesWatch(paths, screen, load_again, compile_again, refused)
    watch.begin()
    return watch


def signature_of(paths: tuple[str, ...]) -> Signature:
    """What tells files of rules from changed ones: their size, time and number on the disk."""
    found: Signature = {}
    for path in paths:
        for name in _files(path):
            try:
                state = os.stat(name)
            except OSError:
                continue
            found[name] = (state.st_size, state.st_mtime_ns, state.st_ino)
            if len(found) == _MOST_FILES:
                return found
    return found


def _files(path: str) -> Iterator[str]:
    if not os.path.isdir(path):
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name != ".git")
        for name in sorted(names):
            yield os.path.join(folder, name)


def update_told(update: SessionUpdate) -> str:
    """What an update changed, in a line."""
    parts = [
        f"{len(ids):,} {word}{': ' + _named(ids) if word != 'as before' and ids else ''}"
        for word, ids in (
            ("as before", update.kept),
            ("changed", update.changed),
            ("new", update.added),
            ("removed", update.removed),
        )
    ]
    total = len(update.kept) + len(update.changed) + len(update.added)
    return f"rules reloaded: {counted(total, 'rule')}: {'; '.join(parts)}"


def _named(ids: tuple[str, ...]) -> str:
    more = f" and {len(ids) - 5:,} more" if len(ids) > 5 else ""
    return ", ".join(map(visible, ids[:5])) + more
