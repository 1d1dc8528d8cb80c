"""Tenzir: the ``sigma`` operator in a pipeline over a file of JSON lines.

Every run starts the program anew, so loading is what a run over a single event takes, and matching
the rest. Events carry their number in a field more.
"""

from __future__ import annotations

import itertools
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from protocol import Loaded, Pair, Rules, serve

_NUMBER = "event_number"
_IGNORED = re.compile(r"ignores rule '([^']*)'.*?= note: ([^\n]*)", re.DOTALL)


def load(rules: Rules) -> Loaded:
    """Put the rules into a folder, and run over one event."""
    folder = Path(tempfile.mkdtemp(prefix="rules", dir=rules.work))
    names = {f"{number}.yml": name for number, name in enumerate(rules.files)}
    for (file, _), path in zip(names.items(), rules.files.values(), strict=True):
        shutil.copyfile(path, folder / file)
    loaded = Loaded(version("tenzir"), 0)

    def many(path: Path, first: int, end: int) -> Iterable[Pair]:
        alone, _, said = _run(folder, path, first, first + 1)
        for file, reason in _IGNORED.findall(said):
            loaded.refused[names[Path(file).name]] = reason
        loaded.rules = len(names) - len(loaded.refused)
        loaded.load = alone
        spent, pairs, _ = _run(folder, path, first, end)
        loaded.core = max(spent - alone, 1e-6)
        loaded.peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
        return pairs

    loaded.many = many
    return loaded


def _run(folder: Path, path: Path, first: int, end: int) -> tuple[float, list[Pair], str]:
    """Processor seconds, what was found, and what the program said."""
    with tempfile.TemporaryDirectory() as place:
        lines, pipeline, found = (Path(place) / name for name in ("in.json", "run.tql", "out"))
        with path.open("rb") as source, lines.open("wb") as numbered:
            chosen = itertools.islice(enumerate(source), first, end)
            for number, line in chosen:
                numbered.write(b'{"%s":%d,' % (_NUMBER.encode(), number) + line[1:])
        pipeline.write_text(
            f"from_file {json.dumps(str(lines))} {{ read_ndjson }}\n"
            f"sigma path={json.dumps(str(folder))}\n"
            f"select event=evidences[0].data.{_NUMBER}, rule=policy.uid\n"
            "write_ndjson\n"
        )
        command = [str(Path(sys.executable).with_name("tenzir")), "--file", str(pipeline)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with found.open("wb") as stream:
            done = subprocess.run(
                command, stdout=stream, stderr=subprocess.PIPE, text=True, check=False
            )
        if done.returncode:
            raise RuntimeError(f"tenzir failed: {done.stderr.strip()[-1000:]}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        told = [json.loads(line) for line in found.read_text().splitlines()]
        return spent, [(row["event"], row["rule"]) for row in told], done.stderr


if __name__ == "__main__":
    serve(load)
