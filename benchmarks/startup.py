"""What starting costs: ``python benchmarks/startup.py``.

Importing (over a bare interpreter), making an engine of all rules, saving and loading it, and the first events.
Everything is timed in processes of their own, in processor time; the best of several.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import data
from carengine.engine import Engine

_SOURCE = Path(__file__).resolve().parents[1] / "src"
_TURNS = 7


def process(code: str) -> float:
    """The best processor time of a Python process that runs this, in milliseconds."""
    script = f"import sys; sys.path.insert(0, {str(_SOURCE)!r})\n{code}\n"
    script += "import time; print(time.process_time())"
    found = []
    for _ in range(_TURNS):
        command = [sys.executable, "-I", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(float(done.stdout))
    return min(found) * 1000


def main() -> None:
    """Print the table."""
    bare = process("")
    print(f"python                          {bare:8.1f} ms")
    for name in ("carengine", "carengine.engine", "carengine.readers"):
        print(f"import {name:24} {process(f'import {name}') - bare:8.1f} ms more")
    rules, maps = data.rules()
    begun = time.process_time()
    engine = Engine(rules, maps)
    print(
        f"Engine of {len(rules):5} rules            {(time.process_time() - begun) * 1e3:8.1f} ms"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "engine"
        begun = time.process_time()
        engine.save(path)
        size = path.stat().st_size / 1e6
        print(
            f"save ({size:4.1f} MB)                  {(time.process_time() - begun) * 1e3:8.1f} ms"
        )
        imported = process("import carengine.engine.engine")
        loaded = process(f"from carengine.engine import Engine; Engine.load({str(path)!r})")
        print(f"load, in a fresh process        {loaded - imported:8.1f} ms")


if __name__ == "__main__":
    main()
