"""B1 and B11: no background thread ends unnoticed, and one that keeps failing makes the actuator not ready."""

from __future__ import annotations

import ast
import logging
import threading
import time
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from flask.testing import FlaskClient

from locum_actuator.app import create_app
from locum_actuator.chain import watch as chain_watch
from locum_actuator.chain.health import ChainEndpoints, looking_session
from locum_actuator.chain.watch import ChainWatch
from locum_actuator.engine import wakes, worker
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.periodic import PeriodicThread
from locum_actuator.engine.site_reload import ReloadResult
from locum_actuator.journal.database import JournalError
from locum_actuator.metrics import Metrics
from locum_actuator.observation.observer import HostObserver
from locum_actuator.observation.reconnect_probe import ReconnectProbe
from locum_actuator.system import background
from locum_actuator.system.background import BackgroundThread, Health, count_uncaught
from locum_inventory.site.model import ChainParts
from tests.actuator.fakes import FakeWorld, site
from tests.support.polling import wait_for

ROOT = Path(__file__).parents[3]


@pytest.fixture
def health(monkeypatch: pytest.MonkeyPatch) -> Health:
    monkeypatch.setattr(background, "RESTART_SECONDS", 0.01)
    return Health(Metrics())


def _classes(path: Path) -> list[tuple[str, set[str]]]:
    tree = ast.parse(path.read_text())
    return [
        (f"{path.name}: {node.name}", {ast.unparse(base).rpartition(".")[2] for base in node.bases})
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]


def test_b1_no_class_inherits_from_a_thread_of_python() -> None:
    """Python 3.13 gave Thread a `_handle` of its own: a worker's method of that name was never called."""
    packages = ("inventory", "exporter", "actuator", "lab", "bench")
    classes = [found for part in packages for path in (ROOT / part).rglob("*.py") for found in _classes(path)]
    assert len(classes) > 100
    assert [name for name, bases in classes if bases & {"Thread", "Timer", "Process", "_MainThread"}] == []


def _ready(engine: Engine) -> tuple[int, str]:
    client: FlaskClient = create_app(engine, "t" * 16, None, ReloadResult).test_client()
    engine.heartbeat_at = time.monotonic()
    answer = client.get("/-/ready")
    return answer.status_code, answer.text.strip()


def test_b1_a_worker_that_fails_again_and_again_is_reported(
    engine: Engine, world: FakeWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "AFTER_FAULT_SECONDS", 0.01)
    works = threading.Event()
    real = world.situation

    def situation(service: str) -> object:
        if not works.is_set():
            raise ValueError("no Ethernet address on tun0")
        return real(service)

    monkeypatch.setattr(world, "situation", situation)
    engine.start()
    wait_for(engine.health.failing, "a thread is reported as failing")
    assert engine.workers["www"].is_alive(), "it is there, and does not do its work"
    status, text = _ready(engine)
    assert status == 503
    assert "the thread worker-www has failed" in text
    assert text.endswith("times in a row: ValueError: no Ethernet address on tun0")
    assert 'locum_actuator_thread_failing{thread="worker-www"} 1.0' in engine.metrics.render().decode()
    assert any(record.exc_info for record in caplog.records), "the log has the traceback"
    works.set()
    wait_for(lambda: not engine.health.failing(), "no thread is reported as failing")
    assert _ready(engine) == (200, "ready")
    assert 'locum_actuator_thread_failing{thread="worker-www"} 0.0' in engine.metrics.render().decode()
    counted = engine.metrics.registry.get_sample_value(
        "locum_actuator_thread_failures_total", {"thread": "worker-www"}
    )
    assert (counted or 0) >= 2, "what happened stays counted"


def test_b1_one_failure_that_is_over_at_once_is_counted_and_no_more(health: Health) -> None:
    health.failed("mirrors", OSError("no sockets left"))
    assert health.failing() == []
    health.succeeded("mirrors")
    health.failed("mirrors", OSError("no sockets left"))
    assert health.failing() == [], "the two were not in a row"
    health.failed("mirrors", OSError("no sockets left\nand more"))
    assert health.failing() == ["the thread mirrors has failed 2 times in a row: OSError: no sockets left"]


@pytest.mark.parametrize("fault", [ValueError("x"), MemoryError(), SystemExit(3), KeyboardInterrupt()])
def test_b11_a_thread_whose_work_raises_is_run_again(
    health: Health, fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []

    def body() -> None:
        calls.append(1)
        if len(calls) < 4:
            raise fault

    thread = BackgroundThread("short", body, health)
    with caplog.at_level(logging.CRITICAL):
        thread.start()
        thread.join(30)
    assert len(calls) == 4
    assert len(caplog.records) == 3
    assert health.failing() == []


def test_b11_a_thread_that_is_to_end_is_not_run_again(health: Health) -> None:
    calls: list[int] = []

    def body() -> None:
        calls.append(1)
        thread.end()
        raise ValueError("x")

    thread = BackgroundThread("short", body, health)
    thread.start()
    thread.join(30)
    assert (calls, thread.is_alive()) == ([1], False)


class Broken(PeriodicThread):
    """A periodic job that fails each time, as the test says."""

    every_seconds = 0.01
    log = logging.getLogger(__name__)
    what_rests = "nothing is done"
    known_as = "the job of the test"

    def __init__(self, fault: BaseException, health: Health) -> None:
        super().__init__("job", health)
        self.fault: BaseException | None = fault

    def tick(self) -> None:
        """Fail."""
        if self.fault is not None:
            raise self.fault


@pytest.mark.parametrize("fault", [JournalError("disk full"), KeyError("x"), SystemExit(1)])
def test_b11_a_periodic_job_that_keeps_failing_is_known_and_recovers(
    health: Health, fault: BaseException
) -> None:
    job = Broken(fault, health)
    job.start()
    wait_for(health.failing, "a thread is reported as failing")
    assert "the thread job has failed" in health.failing()[0]
    job.fault = None
    wait_for(lambda: not health.failing(), "no thread is reported as failing")
    job.end()
    job.join(30)
    assert not job.is_alive()


def test_b11_the_watch_over_the_chain_starts_again_where_it_could_not_begin(
    health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def no_descriptors_at_first() -> aiohttp.ClientSession:
        tries.append(1)
        if len(tries) < 3:
            raise OSError(24, "Too many open files")
        return looking_session()

    monkeypatch.setattr(chain_watch, "looking_session", no_descriptors_at_first)
    watch = ChainWatch(lambda: ChainEndpoints({}, ChainParts()), {}, Metrics(), health)
    watch.start()
    wait_for(lambda: len(tries) >= 3, "the third attempt is made")
    assert watch.is_alive()
    watch.end()
    watch.join(30)


def test_b11_a_fault_while_a_worker_waits_does_not_end_it(
    engine: Engine, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a lookout that raised did: outside of what was guarded, it ended the worker's thread."""
    monkeypatch.setattr(worker, "AFTER_FAULT_SECONDS", 0.01)
    monkeypatch.setattr(wakes, "LISTEN_SECONDS", 0.01)
    broken = threading.Event()
    broken.set()
    asked: list[int] = []

    def glimpse(_reconnect_probe: object, missing: frozenset[str]) -> frozenset[str]:
        asked.append(len(missing))
        if broken.is_set() and missing:
            raise ValueError("'' is not a MAC address")
        return frozenset()

    monkeypatch.setattr(ReconnectProbe, "glimpse", glimpse)
    world.gates["b"].fault = "timeout"
    engine.start()
    wait_for(engine.health.failing, "a thread is reported as failing")
    assert engine.workers["www"].is_alive()
    broken.clear()
    wait_for(lambda: not engine.health.failing(), "no thread is reported as failing")
    world.gates["a"].processes = 0
    engine.workers["www"].wake("LocumServiceDown")
    wait_for(lambda: "respawn" in world.gates["a"].calls, "a is asked to respawn the service")


def test_b11_looks_go_on_after_something_stopped_their_event_loop(health: Health, tmp_path: Path) -> None:
    evidence = HostObserver(site(), {}, health)
    try:
        evidence._loop.call_soon_threadsafe(evidence._loop.stop)

        def leave() -> None:
            raise SystemExit(1)

        evidence._loop.call_soon_threadsafe(leave)

        async def look() -> str:
            return "seen"

        assert evidence._run(look(), 30.0) == "seen"
    finally:
        evidence.close()


def test_b11_a_reload_that_fails_leaves_nothing_behind(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    class Kept:
        """Something that has to be closed."""

        def __init__(self, name: str) -> None:
            self.close = lambda: closed.append(name)

    made = replace(
        engine._factory,
        make_gates=lambda _site: Kept("gates"),  # type: ignore[arg-type,return-value]
        make_observer=lambda _site, _gates: Kept("observer"),  # type: ignore[arg-type,return-value]
    )
    monkeypatch.setattr(engine, "_factory", made)
    monkeypatch.setattr(
        engine.journal, "holder", lambda _service: (_ for _ in ()).throw(JournalError("bad page"))
    )
    before = engine.workers
    with pytest.raises(JournalError):
        engine.reload(site())
    assert closed == ["observer", "gates"]
    assert engine.workers is before


def test_b11_what_no_thread_catches_is_logged_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda uncaught: seen.append(str(uncaught.exc_value)))
    metrics = Metrics()
    count_uncaught(metrics)

    def run() -> None:
        raise ValueError("it was not expected")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert seen == ["it was not expected"]
    name = "locum_actuator_thread_failures_total"
    assert metrics.registry.get_sample_value(name, {"thread": "other"}) == 1


def test_b11_two_reloads_in_a_row_may_both_drop_a_service() -> None:
    metrics = Metrics()
    metrics.init_service("www", ["a", "b"])
    for _ in range(2):
        metrics.remove_service("www", {"a", "b"}, gone=True)
        metrics.forget_part("prometheus")
    assert 'service="www",host="a"' not in metrics.render().decode()
