"""The examples of services and notebooks, saving while a session goes on, threads, Prometheus."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import carengine

EXAMPLES = Path(__file__).parents[1] / "examples"
SERVICES = EXAMPLES / "services"
RULES = carengine.load_rules(SERVICES / "rules")


def program(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def event(second: int, parent: str = "explorer.exe", host: str = "ws7") -> dict[str, Any]:
    at = f"2024-05-20T09:{14 + second // 60:02}:{second % 60:02}Z"
    made = {"object": "process", "action": "create", "exe": "cmd.exe", "parent_exe": parent}
    return {**made, "hostname": host, "time": at}


LOG = [event(0, "excel.exe"), event(1), event(2), event(200), event(210, host="ws8")]


def lines(events: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in events)


# The receiver


@pytest.fixture
def alerts() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that takes alerts: its address, and what it was sent."""
    found: list[dict[str, Any]] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", found
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_receiver_takes_events_and_sends_alerts(
    tmp_path: Path, alerts: tuple[str, list[dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of the events before a restart, half after it: the window goes on."""
    pytest.importorskip("prometheus_client")
    address, found = alerts
    module = program(SERVICES / "http_receiver.py")
    engine = carengine.Engine(RULES)
    state = tmp_path / "hunt.state"

    def ask(port: int, path: str, data: bytes | None = None) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data, timeout=30) as answer:
            return bytes(answer.read())

    async def half(body: bytes) -> tuple[dict[str, int], str]:
        receiver = module.Receiver(engine, state, address)
        stop = asyncio.Event()
        serving = asyncio.create_task(module.serve(receiver, 0, stop, 0.01))
        port = 0
        while not port:
            await asyncio.sleep(0.01)
            told = capsys.readouterr().out
            port = int(told.split()[-1]) if told else 0
        said = json.loads(await asyncio.to_thread(ask, port, "/events", body))
        figures = (await asyncio.to_thread(ask, port, "/metrics")).decode()
        assert await asyncio.to_thread(ask, port, "/healthz") == b"ok\n"
        stop.set()
        await serving
        assert receiver.unsent == 0
        return said, figures

    said, figures = asyncio.run(half(lines(LOG[:2]) + b"{\n\n"))
    assert said == {"read": 3, "unreadable": 1, "matches": 1}
    assert 'carengine_matches_total{rule="OFFICE-SHELL"} 1.0' in figures
    assert "carengine_held_rows 2.0" in figures
    said, figures = asyncio.run(half(lines(LOG[2:])))
    assert said == {"read": 3, "unreadable": 0, "matches": 1}
    assert "carengine_events_total 5.0" in figures
    assert [one["rule"]["id"] for one in found] == ["OFFICE-SHELL", "BURST"]
    assert len(found[1]["events"]) == 3


# Redis


@pytest.fixture
def client() -> Iterator[Any]:
    """A client of a Redis server of our own."""
    redis = pytest.importorskip("redis")
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("there is no Redis server: apt-get install redis-server")
    with tempfile.TemporaryDirectory(prefix="carengine-redis-") as folder:
        path = f"{folder}/socket"
        command = [server, "--port", "0", "--unixsocket", path, "--dir", folder, "--save", ""]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            found = redis.Redis(unix_socket_path=path)
            until = time.monotonic() + 60
            while not os.path.exists(path) and time.monotonic() < until:
                time.sleep(0.02)
            found.ping()
            yield found
            found.close()
        finally:
            process.terminate()
            process.wait()


def test_the_consumer_writes_every_match_once(tmp_path: Path, client: Any) -> None:
    """Killed before the state is saved: what was read is read again, and matches are there once."""
    module = program(SERVICES / "redis_consumer.py")
    engine = carengine.Engine(RULES)
    state = tmp_path / "hunt.state"
    for one in LOG[:2]:
        client.xadd("events", {"event": json.dumps(one)})
    client.xadd("events", {"event": "{"})
    consumer = module.Consumer(client, engine, state)
    assert consumer.poll(10) == 3
    assert consumer.unreadable == 1
    for one in LOG[2:]:
        client.xadd("events", {"event": json.dumps(one)})
    before = state.read_bytes()
    module.Consumer(client, engine, state).poll(10)
    # It died after it had written, and before it had saved.
    state.write_bytes(before)
    again = module.Consumer(client, engine, state)
    assert again.poll(10) == 3
    assert again.poll(10) == 0
    found = [json.loads(fields[b"match"]) for _, fields in client.xrange("matches")]
    assert [one["rule"]["id"] for one in found] == ["OFFICE-SHELL", "BURST"]


# Notebooks and repositories


@pytest.mark.parametrize(
    "path", sorted((EXAMPLES / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem
)
def test_a_notebook_runs(path: Path) -> None:
    library = path.stem.partition("_")[0]
    for needed in ("pyarrow", library):
        pytest.importorskip(needed)
    names: dict[str, Any] = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec(compile("".join(cell["source"]), str(path), "exec"), names)
    assert [match.rule.id for match in names["found"]] == ["OFFICE-SHELL", "BURST"]


def test_the_tests_of_the_rule_repository(tmp_path: Path) -> None:
    """They pass as they are, and fail for a rule that does not do what its examples say."""
    folder = tmp_path / "repository"
    shutil.copytree(EXAMPLES / "rule_repository", folder)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]

    def ran() -> tuple[int, str]:
        made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        return made.returncode, made.stdout

    code, said = ran()
    assert code == 0, said
    rule = folder / "rules" / "burst.car"
    rule.write_text(rule.read_text().replace("count(*) > 2", "count(*) > 1"))
    code, said = ran()
    assert code == 1
    assert "BURST: two" in said


def test_every_example_is_in_a_readme() -> None:
    for folder in (SERVICES, EXAMPLES / "notebooks", EXAMPLES / "rule_repository"):
        told = (folder / "README.md").read_text(encoding="utf-8")
        for path in [*folder.glob("*.py"), *folder.glob("*.ipynb"), *folder.glob("tests/*.py")]:
            assert path.name in told
    told = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for name in ("services", "notebooks", "rule_repository"):
        assert f"({name}/" in told


# Saving, threads, figures


def test_what_is_saved_is_the_session_as_it_was(tmp_path: Path) -> None:
    """`saving` takes the state; the session goes on before anything is written."""
    engine = carengine.Engine(RULES)
    session = engine.session()
    session.attached["n"] = [1]
    for one in LOG[:2]:
        session.feed(one)
    wanted = session.dump()
    write = session.saving(tmp_path / "state")
    session.attached["n"].append(2)
    for one in LOG[2:]:
        session.feed(one)
    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert (tmp_path / "state").read_bytes() == wanted
    again = engine.load_session(tmp_path / "state")
    assert again.attached == {"n": [1]}
    assert (again.stats.events, session.stats.events) == (2, 5)
    found = [match for one in LOG[2:] for match in again.feed(one)]
    assert [m.rule.id for m in [*found, *again.flush()]] == ["BURST"]


def test_an_error_in_what_is_saved_is_raised_where_it_is_written(tmp_path: Path) -> None:
    session = carengine.Engine(RULES).session()
    session.feed(LOG[0])
    with pytest.raises(carengine.CarError, match="CE543"):
        session.saving(tmp_path / "none" / "state")()


def test_one_engine_many_sessions_in_threads() -> None:
    """Sessions of one engine in eight threads find what each finds alone."""
    engine = carengine.Engine(RULES)

    def hunted(host: str) -> list[tuple[str, int]]:
        session = engine.session()
        own = [{**one, "hostname": host} for one in LOG]
        found = [match for one in own for match in session.feed(one)]
        found += session.flush()
        assert session.stats.events == len(LOG)
        return [(match.rule.id, len(match.events)) for match in found]

    wanted = hunted("alone")
    with ThreadPoolExecutor(8) as pool:
        assert all(found == wanted for found in pool.map(hunted, [f"h{n}" for n in range(64)]))


def test_figures_for_prometheus() -> None:
    """The figures of two sessions in one registry, while one of them is fed."""
    client = pytest.importorskip("prometheus_client")
    from carengine.prometheus import SessionCollector

    engine = carengine.Engine(RULES)
    one, other = engine.session(), engine.session()
    registry = client.CollectorRegistry()
    SessionCollector(one, service="a").register(registry)
    stopped = threading.Event()

    def feed() -> None:
        number = 0
        while not stopped.is_set():
            number += 1
            one.feed({**event(number % 50), "hostname": f"h{number}"})

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        for _ in range(50):
            assert b"carengine_events_total" in client.generate_latest(registry)
    finally:
        stopped.set()
        thread.join()
    other.feed(LOG[0])
    other.feed({"unlike": "any"})
    collector = SessionCollector(other, service="b")
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for metric in collector.collect()
        for sample in metric.samples
    }
    service = ("service", "b")
    assert samples["carengine_events_total", service] == 2
    assert samples["carengine_unrecognised_total", service] == 1
    assert samples["carengine_recognised_total", ("map", "car"), service] == 1
    assert samples["carengine_matches_total", ("rule", "OFFICE-SHELL"), service] == 1
    assert samples["carengine_held_rows", service] == 1
    assert samples["carengine_rules", service] == 2
