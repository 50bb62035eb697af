"""Programs that act for the actuator's host refuse to run on any other machine."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from locum_actuator.process import Actuator
from locum_exporter import this_host
from locum_exporter.this_host import WrongMachineError, require_actuator_host, require_no_other_host
from locum_inventory.site.load import load_site
from locum_inventory.site.model import Address
from tests.support.forked_programs import ForkedPrograms
from tests.support.marks import needs_root
from tests.support.ports import unused_port
from tests.support.site_files import quiet_site

pytestmark = pytest.mark.integration

A, B, ELSEWHERE = "192.0.2.1", "192.0.2.2", "192.0.2.77"


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    """The actuator's host is b, 192.0.2.2."""
    path = quiet_site(tmp_path)
    path.write_text(path.read_text().replace("127.0.0.11", A).replace("127.0.0.1", B))
    return path


PROGRAMS = {
    "locum up": ("locum_actuator.cli:main", ["--site", "{site}", "up"]),
    "locum enrol b": ("locum_actuator.cli:main", ["--site", "{site}", "enrol", "b", "--yes"]),
    "locum enrol a": ("locum_actuator.cli:main", ["--site", "{site}", "enrol", "a", "--dry-run"]),
    "locum-actuator": ("locum_actuator.server:main", ["--site", "{site}", "--listen", "127.0.0.1:10750"]),
}
WHO = {A: "it is a", ELSEWHERE: "it is no host of this site"}


@needs_root
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("address", WHO)
def test_a5_it_refuses_on_a_machine_that_is_not_the_actuators_host(
    site_file: Path, programs: ForkedPrograms, program: str, address: str
) -> None:
    """On a itself, and on a machine that is no host of the site."""
    entry, words = PROGRAMS[program]
    network = f"ip link set lo up; ip addr add {address}/24 dev lo"
    done = programs.run(entry, [word.format(site=site_file) for word in words], network, own_network=True)
    assert done.returncode == 2
    assert done.stderr == (
        f"{program.split(maxsplit=1)[0]}: this machine is not b, which actuator.host names: "
        f"none of its interfaces has {B}; {WHO[address]}\n"
    )
    assert not (site_file.parent / "state").exists()


def on(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    async def configured() -> frozenset[Address]:
        return frozenset(map(ip_address, addresses))

    monkeypatch.setattr(this_host, "configured_addresses", configured)


def test_a5_it_runs_on_the_actuators_host(site_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "127.0.0.1", "198.51.100.7", B)
    require_actuator_host(load_site(site_file))


def test_a5_what_cannot_be_determined_is_refused(site_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent() -> frozenset[Address]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(this_host, "configured_addresses", silent)
    with pytest.raises(WrongMachineError) as refused:
        require_actuator_host(load_site(site_file))
    assert str(refused.value) == "it cannot be determined which host this machine is: Too many open files"


def test_a5_a_name_that_the_addresses_contradict_is_refused(
    site_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`locum-exporter --host`: behind NAT a machine has no address of the site's, and the name is believed."""
    site = load_site(site_file)
    on(monkeypatch, "10.0.0.5")
    require_no_other_host(site, "b")
    on(monkeypatch, A, B)
    require_no_other_host(site, "b")
    on(monkeypatch, A)
    with pytest.raises(WrongMachineError) as refused:
        require_no_other_host(site, "b")
    assert str(refused.value) == "--host: this machine is a by its addresses, not b"


@needs_root
def test_a5_a_site_file_that_moves_the_actuator_is_not_loaded(tmp_path: Path) -> None:
    path = quiet_site(tmp_path)
    actuator = Actuator(path, f"127.0.0.1:{unused_port()}", f"127.0.0.1:{unused_port()}")
    try:
        path.write_text(path.read_text().replace("127.0.0.1}", f"{ELSEWHERE}}}"))
        assert actuator.reload().faults == (
            f"this machine is not b, which actuator.host names: none of its interfaces has {ELSEWHERE}; "
            "it is a",
        )
    finally:
        actuator._front.close()
        actuator._engine.stop()
        actuator._journal.close()
        actuator._alone.close()
