"""How many may ask at once what locum would do: each request holds a thread that an alert may need."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore

import pytest

from locum_actuator.domain.situation import Situation
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.explain import MOST_AT_ONCE, Explainer
from locum_actuator.listeners import STRANGERS_THREADS
from tests.actuator.fakes import FakeWorld
from tests.support.polling import wait_for


def test_a_crowd_of_askers_leaves_threads_for_alerts(
    engine: Engine, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, looking = threading.Event(), threading.Semaphore(0)
    look = world.situation

    def slow(service: str) -> Situation:
        looking.release()
        assert go.wait(10)
        return look(service)

    monkeypatch.setattr(world, "situation", slow)
    explainer = Explainer(engine)
    with ThreadPoolExecutor(STRANGERS_THREADS + 4) as pool:
        first = pool.submit(explainer.explain, "www", 10.0)
        assert looking.acquire(timeout=10)
        waiting = [pool.submit(explainer.explain, "www", 10.0) for _ in range(MOST_AT_ONCE - 1)]
        assert isinstance(explainer._room, BoundedSemaphore)
        room = explainer._room
        wait_for(lambda: not room._value, "as many requests run as may", 10)
        assert explainer.explain("www", 10.0) is None, "one too many is refused at once"
        go.set()
        assert all(one.result(10) is not None for one in (first, *waiting))
    assert explainer.explain("www", 0.0) is not None
    assert STRANGERS_THREADS > MOST_AT_ONCE
