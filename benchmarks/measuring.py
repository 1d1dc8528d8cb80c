"""Times and memory of this process, and of processes of their own.

Machines are busy and differ, so that times mean little by themselves: what is compared is measured
in one run, in processor time, turn by turn, and the best turn of each counts.
"""

from __future__ import annotations

import importlib.metadata
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import orjson

Result = TypeVar("Result")

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
CACHE = ROOT / ".benchmarks"
"""Where figures and prepared data are kept."""


def timed(run: Callable[[], object]) -> float:
    """The processor seconds that a call takes."""
    begun = time.process_time()
    run()
    return time.process_time() - begun


def apart(call: Callable[[], Result]) -> Result:
    """What a call gives in a copy of this process; in this one where there are no copies."""
    try:
        context = multiprocessing.get_context("fork")
    except ValueError:
        return call()
    mine, its = context.Pipe(duplex=False)
    process = context.Process(target=lambda: its.send(call()))
    process.start()
    its.close()
    try:
        found: Result = mine.recv()
    finally:
        process.join()
    return found


def decode(lines: Iterable[bytes]) -> None:
    """The floor that matching is compared with: each line decoded by ``orjson``, and nothing else."""
    loads = orjson.loads
    for line in lines:
        loads(line)


def python(code: str, *arguments: str) -> dict[str, Any]:
    """What a process of its own says: Python code that puts its figures into ``said``.

    To these come ``processor``, its seconds so far, and ``peak``, its largest size in megabytes (0
    where the system does not tell).
    """
    script = (
        f"import sys, json, time; sys.path.insert(0, {str(SOURCE)!r}); said = {{}}\n{code}\n"
        "said['processor'] = time.process_time()\n"
        f"sys.path.insert(0, {str(ROOT / 'benchmarks')!r})\n"
        "from peers.protocol import peak\nsaid['peak'] = peak()\n"
        "print(json.dumps(said))"
    )
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"a measuring process failed: {done.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def machine() -> dict[str, str]:
    """What was measured on: processor, cores, system, Python, and versions of the libraries used."""
    model = platform.processor()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    names = ("orjson", "msgspec", "ahocorasick_rs", "google-re2", "pysigma")
    return {
        "processor": model or platform.machine(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def version(package: str) -> str:
    """The version of an installed package, or that it is not there."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
