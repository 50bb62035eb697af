"""A damaged epoch is named, refuses nothing but what gives, and is replaced by one command (B8)."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from locum_actuator.cli import main
from locum_actuator.cli import reset_epoch as command
from locum_actuator.decision.epochs import next_sound_epoch
from locum_actuator.decision.fitness import why_unfit
from locum_actuator.journal.journal import Journal
from locum_inventory.gate.protocol import GateError, ServiceStatus, Verb
from locum_inventory.site.model import Site
from tests.actuator.fakes import FakeGate, site

HUGE = 999_999_999_999_999_999
SOUND = {
    "none": ([], 1),
    "all the same": ([7, 7, 7], 8),
    "one is behind": ([7, 5, 7], 8),
    "a gate is far ahead": ([7, 7, HUGE], 8),
    "a gate jumped further than it may": ([7, 1_000_008], 8),
    "as far as it may": ([7, 1_000_007], 1_000_008),
    "journal and gates are poisoned": ([HUGE + 1, HUGE, HUGE], 1),
    "a new host": ([7, 0], 8),
}


@pytest.mark.parametrize(("epochs", "expected"), SOUND.values(), ids=SOUND)
def test_b8_which_epoch_to_go_on_with(epochs: list[int], expected: int) -> None:
    assert next_sound_epoch(epochs) == expected


class DamagedGate(FakeGate):
    """A gate whose epoch may be damaged, and that replaces it as a gate does."""

    damaged = False

    def _service(self) -> ServiceStatus:
        status = super()._service()
        return ServiceStatus(
            status.epoch, status.held, status.processes, addresses=status.addresses,
            interface=status.interface, epoch_damaged=self.damaged,
        )  # fmt: skip

    def run_verb(self, verb: Verb, service: str, epoch: int, **more: object) -> ServiceStatus:
        assert verb == "reset-epoch"
        if self.fault:
            raise GateError(self.fault, f"gate {self.fault}")
        self.epoch, self.damaged = epoch, False
        return self._service()


@pytest.mark.parametrize(
    "gate",
    [DamagedGate(epoch=HUGE), DamagedGate(epoch=10**12)],
    ids=["the highest there is", "more than any service comes to"],
)
def test_b8_a_host_with_a_damaged_epoch_cannot_be_given_the_service(gate: DamagedGate) -> None:
    why = why_unfit("www", site().services["www"], "a", gate.status(deadline_seconds=1))
    assert why == "its gate's epoch of www is damaged: run `locum reset-epoch www`"


class FakeGates(dict[str, DamagedGate]):
    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeGates:
    values = site()
    actuator = values.actuator.model_copy(update={"state_directory": tmp_path})
    values = values.model_copy(update={"actuator": actuator})
    gates = FakeGates(a=DamagedGate(epoch=7), b=DamagedGate(epoch=7))

    def load(site_file: str | None) -> tuple[Path, Site]:
        return tmp_path / "locum.yml", values

    monkeypatch.setattr(command, "load_or_exit", load)
    monkeypatch.setattr(command, "on_actuator_host_or_exit", lambda site: None)
    monkeypatch.setattr(command, "GateClients", lambda *words: gates)
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_holder("www", "a", 7)
    journal.close()
    return gates


def epoch_of_journal(directory: Path) -> int:
    journal = Journal(directory / "journal.sqlite")
    epoch = journal.holder("www").epoch
    journal.close()
    return epoch


def test_b8_a_poisoned_gate_is_reset_and_the_others_stay(hosts: FakeGates, tmp_path: Path) -> None:
    hosts["b"].epoch = HUGE
    done = CliRunner().invoke(main, ["reset-epoch", "www"])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        "a: its epoch of www is 7, which is valid",
        f"b: its epoch of www is 8 (was {HUGE})",
    ]
    assert (hosts["a"].epoch, hosts["b"].epoch, epoch_of_journal(tmp_path)) == (7, 8, 7)


def test_b8_a_damaged_file_and_a_poisoned_journal_are_reset(hosts: FakeGates, tmp_path: Path) -> None:
    hosts["a"].epoch, hosts["b"].damaged = HUGE, True
    journal = Journal(tmp_path / "journal.sqlite")
    journal.set_epoch("www", HUGE + 1)
    journal.close()
    done = CliRunner().invoke(main, ["reset-epoch", "www"])
    assert done.exit_code == 0, done.output
    assert (hosts["a"].epoch, hosts["b"].epoch, epoch_of_journal(tmp_path)) == (1, 1, 1)
    assert CliRunner().invoke(main, ["reset-epoch", "www"]).exit_code == 0, "it can be repeated"


def test_b8_a_host_that_does_not_answer_is_named(hosts: FakeGates) -> None:
    hosts["a"].fault, hosts["b"].epoch = "timeout", HUGE
    done = CliRunner().invoke(main, ["reset-epoch", "www"])
    assert done.exit_code == 1
    assert "locum: gate timeout" in done.output
    assert hosts["b"].epoch == 8, "the other one is reset all the same"


def test_b8_an_unknown_service(hosts: FakeGates) -> None:
    done = CliRunner().invoke(main, ["reset-epoch", "mail"])
    assert done.exit_code == 2
    assert "there is no service 'mail' in the site file" in done.output
