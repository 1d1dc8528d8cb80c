"""The files of a git revision, for commands that compare versions.

``git archive`` writes the revision into a temporary archive, which is read like any other. The
program is called by its name with a list of arguments, without a shell; nothing that a user gives
is taken for an option.
"""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import UsageError

_SECONDS = 120


@contextmanager
def files_of(place: str, *, git: bool, paths: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of a version: a file, a folder or an archive, or ``REVISION:PATH`` of the git
    repository here; with ``git`` a revision, and ``paths`` what of it. An archive of a revision is
    there only while the context lasts; a revision without files has no path.

    Raises `UsageError` where there is no such revision, or no git.
    """
    if not git and (Path(place).exists() or ":" not in place):
        if not Path(place).exists():
            raise UsageError(
                f"carengine: there is no file or folder {place}; a revision of a git repository is "
                "REVISION:PATH, or a whole one with --git"
            )
        yield (place,)
        return
    revision, _, path = (place, "", "") if git else place.partition(":")
    wanted = paths if git else ((path,) if path else ())
    if not revision or any(one.startswith("-") for one in (revision, *wanted)):
        raise UsageError(f"carengine: {place} names no revision of a git repository")
    with tempfile.TemporaryDirectory(prefix="carengine-") as folder:
        archive = Path(folder, "revision.tar")
        command = ["git", "archive", "--format=tar", "-o", str(archive), revision, "--", *wanted]
        try:
            done = subprocess.run(  # noqa: S603 - a fixed program, and no shell
                command, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(f"carengine: git cannot be run: {error}") from None
        if done.returncode:
            said = done.stderr.strip().splitlines()
            raise UsageError(f"carengine: git: {said[-1] if said else 'it failed'}")
        yield () if _is_empty(archive) else (str(archive),)


def _is_empty(archive: Path) -> bool:
    """Whether an archive has no files; git writes one of nothing that `tarfile` cannot open."""
    try:
        with tarfile.open(archive) as made:
            return not any(member.isfile() for member in made)
    except tarfile.ReadError:
        return True
