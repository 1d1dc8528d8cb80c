"""Take events by HTTP, send alerts by HTTP: one process, one event loop, one session.

``POST /events`` takes JSON lines and answers with what became of them; each match is sent to the
alert URL as JSON. ``GET /metrics`` is for Prometheus, ``GET /healthz`` for whoever watches. The
session is saved every few seconds by a thread, while the loop goes on; after a restart windows that
were open are open again.

    python http_receiver.py --rules rules --state hunt.state --alerts http://127.0.0.1:9000/
    curl --data-binary @events.jsonl http://127.0.0.1:8088/events
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import urllib.request
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import carengine

MOST_BYTES = 8 << 20
OPTIONS = carengine.StreamOptions(lateness=timedelta(seconds=5))


class Receiver:
    """A session that is fed by HTTP. ``send`` takes an alert, and may take its time."""

    def __init__(self, engine: carengine.Engine, state: Path, alerts: str) -> None:
        self.state = state
        self.alerts = alerts
        self.session = (
            engine.load_session(state, OPTIONS, update=True)
            if state.exists()
            else engine.session(OPTIONS)
        )
        # Alerts wait here while the other side is slow; when it is full, senders of events wait.
        self.waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=10_000)
        self.unsent = 0

    async def take(self, lines: bytes) -> dict[str, int]:
        """Feed JSON lines; what became of them."""
        read = unreadable = matches = 0
        for line in lines.splitlines():
            if not line.strip():
                continue
            read += 1
            try:
                found = self.session.feed_line(line)
            except ValueError:
                unreadable += 1
                continue
            for match in found:
                matches += 1
                await self.waiting.put(match.as_json())
        return {"read": read, "unreadable": unreadable, "matches": matches}

    async def send_alerts(self) -> None:
        """Send what waits, one by one, until cancelled."""
        while True:
            alert = await self.waiting.get()
            data = json.dumps(alert).encode()
            head = {"Content-Type": "application/json"}
            request = urllib.request.Request(self.alerts, data, head)  # noqa: S310 (an operator's)
            try:
                await asyncio.to_thread(urllib.request.urlopen, request, timeout=10)
            except OSError:
                self.unsent += 1
            finally:
                self.waiting.task_done()

    async def save(self) -> None:
        """Save the session: what is taken now is written by a thread."""
        await asyncio.to_thread(self.session.saving(self.state))

    async def save_often(self, seconds: float, stop: asyncio.Event) -> None:
        """Save until told to stop, and once more then: one after the other, never two at a time."""
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), seconds)
            await self.save()

    def metrics(self) -> bytes:
        """What Prometheus asks for."""
        from prometheus_client import CollectorRegistry, generate_latest

        from carengine.prometheus import SessionCollector

        registry = CollectorRegistry()
        SessionCollector(self.session).register(registry)
        return generate_latest(registry)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, path, *_ = head.split(" ", 2)
            length = next(
                (
                    int(line.partition(":")[2])
                    for line in head.splitlines()
                    if line.lower().startswith("content-length:")
                ),
                0,
            )
            if length > MOST_BYTES:
                status, body = "413 Content Too Large", b"at most 8 MiB at a time\n"
            elif (method, path) == ("POST", "/events"):
                told = await self.take(await reader.readexactly(length))
                status, body = "200 OK", json.dumps(told).encode() + b"\n"
            elif (method, path) == ("GET", "/metrics"):
                status, body = "200 OK", self.metrics()
            elif (method, path) == ("GET", "/healthz"):
                status, body = "200 OK", b"ok\n"
            else:
                status, body = "404 Not Found", b"POST /events, GET /metrics, GET /healthz\n"
            answer = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
            writer.write("\r\n".join([*answer, "", ""]).encode() + body)
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError):
            pass
        finally:
            writer.close()


async def serve(receiver: Receiver, port: int, stop: asyncio.Event, seconds: float = 5) -> None:
    """Serve until told to stop; then send what waits, and save."""
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", port)
    sending = asyncio.create_task(receiver.send_alerts())
    saving = asyncio.create_task(receiver.save_often(seconds, stop))
    async with server:
        print("listening on", server.sockets[0].getsockname()[1], flush=True)
        await stop.wait()
    await receiver.waiting.join()
    sending.cancel()
    with suppress(asyncio.CancelledError):
        await sending
    await saving


async def until_interrupted(receiver: Receiver, port: int) -> None:
    """Serve until the process is told to end."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(receiver, port, stop)


def main() -> None:
    """Read the command line and serve until interrupted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rules", default=str(Path(__file__).parent / "rules"))
    parser.add_argument("--state", type=Path, default=Path("hunt.state"))
    parser.add_argument("--alerts", default="http://127.0.0.1:9000/")
    parser.add_argument("--port", type=int, default=8088)
    values = parser.parse_args()
    rules = carengine.load_rules(values.rules)
    for refused in rules.refused:
        print("refused:", refused.id, *refused.diagnostics)
    receiver = Receiver(carengine.Engine(rules), values.state, values.alerts)
    asyncio.run(until_interrupted(receiver, values.port))


if __name__ == "__main__":
    main()
