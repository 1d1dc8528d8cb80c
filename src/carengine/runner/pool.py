"""Several processes that work on pieces of evidence, and hand back what they found in bounded
messages.

A message is plain data, packed by ``marshal``, which takes events nested as deep as they can be
read, or by ``pickle`` where an event holds something else. A worker does one piece after another
and answers each with one or more messages; the last of them says so. It ends when its pipe does, so
that none outlives the process it works for.
"""

from __future__ import annotations

import marshal
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from attrs import define, field

from .. import gc_control
from ..diagnostics import CarError, Diagnostic, codes

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Work = Callable[[Any], Iterator[Any]]
"""What a worker does with a piece: it gives the answers."""

# Pieces that wait at each worker beside the one it is working on.
_AHEAD = 1
# How long it may take until an interrupt is seen, in seconds.
_PAUSE = 0.2
_PART, _LAST, _FAULT = 0, 1, 2


class WorkerError(CarError):
    """A process was lost, or met a fault (CE546).

    Example::

        try:
            matches = list(run)
        except carengine.WorkerError as error:
            print(error.diagnostics[0])
    """


def pack(data: Any) -> bytes:
    """Plain data as bytes."""
    try:
        return b"m" + marshal.dumps(data)
    except ValueError:
        import pickle

        return b"p" + pickle.dumps(data, pickle.HIGHEST_PROTOCOL)


def unpack(data: bytes) -> Any:
    """What was packed, by a process of our own."""
    body = memoryview(data)[1:]
    # Both formats are only ever read from our own pipes.
    if data[:1] == b"m":
        return marshal.loads(body)  # noqa: S302 - a pipe of our own worker
    import pickle

    return pickle.loads(body)  # noqa: S301 - a pipe of our own worker


def start_method(wanted: str = "auto") -> str:
    """How processes are started: ``fork`` where it is safe and cheap, else ``spawn``.

    A forked process has the compiled rules from its first moment. Where threads run it could
    inherit a lock that nobody opens again.
    """
    if wanted != "auto":
        return wanted
    safe = sys.platform.startswith("linux") and threading.active_count() == 1
    return "fork" if safe else "spawn"


@define(eq=False)
class _Process:
    process: Any
    pipe: Connection
    waiting: list[int] = field(factory=list)
    """The numbers of the pieces it has been given and not finished, in order."""


class WorkerPool:
    """The processes of a run. ``make`` is called in each of them with ``arguments`` and gives what
    it works with.

    Where processes are forked, ``make`` and ``arguments`` are used as they are; else they must be
    such as can be pickled.
    """

    def __init__(
        self, count: int, method: str, make: Callable[..., Work], arguments: Sequence[Any]
    ) -> None:
        import multiprocessing

        context = multiprocessing.get_context(method)
        self._workers: list[_Process] = []
        try:
            for _ in range(count):
                ours, theirs = context.Pipe()
                others = [worker.pipe for worker in self._workers] + [ours]
                inherited = others if method == "fork" else []
                process = context.Process(  # type: ignore[attr-defined]
                    target=_serve, args=(theirs, inherited, make, arguments), daemon=True
                )
                process.start()
                theirs.close()
                self._workers.append(_Process(process, ours))
        except BaseException:
            self.close()
            raise

    def free(self, *, idle: bool) -> bool:
        """Whether some worker can be given a piece; ``idle`` is for pieces too large to wait in a
        pipe."""
        return min(len(worker.waiting) for worker in self._workers) <= (0 if idle else _AHEAD)

    def give(self, number: int, piece: Any) -> None:
        """Give a piece to the worker that has least to do. Raises `WorkerError`."""
        worker = min(self._workers, key=lambda worker: len(worker.waiting))
        worker.waiting.append(number)
        try:
            worker.pipe.send_bytes(pack(piece))
        except OSError:
            raise self._lost(worker) from None

    def answers(
        self, only: int | None = None, stop: Sequence[bool] | None = None
    ) -> Iterator[tuple[int, bytes, bool]]:
        """The answers that are there, at least one: the piece's number, the message, and whether it
        is the last.

        Those about one piece only, if ``only`` is given. There may be none once ``stop`` holds
        something. Raises `WorkerError`.
        """
        busy = {
            worker.pipe: worker
            for worker in self._workers
            if worker.waiting and (only is None or worker.waiting[0] == only)
        }
        assert busy, "nothing is under way"
        ready: list[Any] = []
        while not ready and not stop:
            from multiprocessing.connection import wait

            ready = wait(list(busy), _PAUSE)
        for pipe in ready:
            worker = busy[pipe]
            try:
                message = worker.pipe.recv_bytes()
            except (EOFError, OSError):
                raise self._lost(worker) from None
            kind, body = message[0], message[1:]
            if kind == _FAULT:
                text = body.decode("utf-8", "backslashreplace").strip().splitlines()
                summary = f"a process of this run met a fault: {text[-1] if text else ''}"
                found = Diagnostic(codes.WORKER_LOST, summary, notes=tuple(text[:-1]))
                raise WorkerError([found])
            number = worker.waiting[0]
            if kind == _LAST:
                del worker.waiting[0]
            yield number, body, kind == _LAST

    def _lost(self, worker: _Process) -> WorkerError:
        worker.process.join(1.0)
        code = worker.process.exitcode
        how = f"by signal {-code}" if code is not None and code < 0 else f"with status {code}"
        message = f"process {worker.process.pid} of this run ended {how} in the middle of its work"
        return WorkerError([Diagnostic(codes.WORKER_LOST, message)])

    def close(self) -> None:
        """End all processes, whatever they are doing."""
        for worker in self._workers:
            worker.pipe.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(5.0)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers = []


def _serve(
    pipe: Connection,
    others: Sequence[Connection],
    make: Callable[..., Work],
    arguments: Sequence[Any],
) -> None:
    """What runs in each process."""
    # The terminal sends an interrupt to all processes; the one that started them ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in others:
        # A pipe ends for those who read it only when nobody else could write to it.
        other.close()
    try:
        with suppress(EOFError, OSError):
            _answer(pipe, make, arguments)
    finally:
        # Nothing that was inherited is written out or cleaned up a second time.
        os._exit(0)


def _answer(pipe: Connection, make: Callable[..., Work], arguments: Sequence[Any]) -> None:
    try:
        work = make(*arguments)
        # Looking through what was inherited would copy all of it into this process.
        gc_control.settle()
        while True:
            held: bytes | None = None
            for answer in work(unpack(pipe.recv_bytes())):
                if held is not None:
                    pipe.send_bytes(bytes([_PART]) + held)
                held = pack(answer)
            assert held is not None
            pipe.send_bytes(bytes([_LAST]) + held)
    except BaseException:
        # Where the pipe itself has failed, so does this, and nobody is there to be told.
        text = traceback.format_exc()
        pipe.send_bytes(bytes([_FAULT]) + text.encode("utf-8", "backslashreplace"))
