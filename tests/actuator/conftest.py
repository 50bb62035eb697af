"""What all tests of the actuator share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from locum_actuator.engine.engine import Engine
from locum_actuator.journal import database
from locum_actuator.journal.journal import Journal
from locum_actuator.metrics import Metrics
from tests.actuator.fakes import FakeGate, FakeWorld, KeptFakes, site
from tests.support.http_server import API_TOKEN, api_app, served_api
from tests.support.site_files import COMMANDS, write_site


@pytest.fixture(autouse=True, scope="session")
def _no_power_is_lost() -> Iterator[None]:
    """Let journals wait for no disk: what a test ends is a process at most, and what that has written stays.

    A write costs the disk five milliseconds, and more on a busy machine; there are tens of thousands of them here.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "SYNCHRONOUS", "OFF")
        yield


def two_hosts() -> FakeWorld:
    """Return a world in which a holds the address, and b could stand in."""
    return FakeWorld({"a": FakeGate(held=True, processes=3, epoch=1), "b": FakeGate()})


@contextmanager
def idle_engine(world: FakeWorld, directory: Path) -> Iterator[Engine]:
    """Make an engine that is not started, for what is asked over HTTP."""
    journal = Journal(directory / "journal.sqlite")
    journal.set_holder("www", "a", 1)
    engine = Engine(site(), journal, Metrics(), lambda _: KeptFakes(world), lambda _site, _gates: world)
    yield engine
    engine.stop()
    journal.close()


@pytest.fixture
def world() -> FakeWorld:
    """a holds the address, and b could stand in."""
    return two_hosts()


@pytest.fixture
def engine(world: FakeWorld, tmp_path: Path) -> Iterator[Engine]:
    """An engine that is not started, for what is asked over HTTP."""
    with idle_engine(world, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def lasting_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Such an engine for all tests of a file whose requests leave nothing behind that another one would notice."""
    with idle_engine(two_hosts(), tmp_path_factory.mktemp("engine")) as made:
        yield made


@pytest.fixture
def shared_directory() -> Iterator[Path]:
    """A directory that every user can reach, unlike those of pytest."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


@pytest.fixture
def client(engine: Engine) -> FlaskClient:
    """A client of that engine's API; requests that need the token have to send `AUTH`."""
    return api_app(engine).test_client()


@pytest.fixture
def url(engine: Engine) -> Iterator[str]:
    """The address of an actuator over HTTP, as the `locum` command is given it."""
    with served_api(engine) as address:
        yield address


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    """The site file of that actuator, with its API token next to it."""
    (tmp_path / "api.token").write_text(f"{API_TOKEN}\n")
    return write_site(
        tmp_path,
        www={"interface": "eth0", "commands": COMMANDS, "takeover": {"when_unreachable": "takeover"}},
        actuator={"api_token_file": f"{tmp_path}/api.token"},
    )
