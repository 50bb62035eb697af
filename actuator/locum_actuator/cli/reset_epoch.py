"""`locum reset-epoch`: replace an epoch that is damaged or far too high, on the gates and in the journal."""

from __future__ import annotations

import click

from locum_actuator.cli.common.exits import did_not_work, wrong_use
from locum_actuator.cli.common.right_machine import on_actuator_host_or_exit
from locum_actuator.cli.common.site_option import load_or_exit
from locum_actuator.decision.epochs import next_sound_epoch
from locum_actuator.journal.database import JournalError
from locum_actuator.journal.journal import Journal
from locum_actuator.system.printing import say
from locum_inventory.gate.gates import GateClients
from locum_inventory.gate.protocol import GateError, ServiceStatus
from locum_inventory.site.model import Site

GATE_SECONDS = 10.0


@click.command("reset-epoch")
@click.argument("service")
@click.pass_obj
def reset_epoch(site_file: str | None, /, *, service: str) -> None:
    """Replace damaged epochs of SERVICE; with a damaged epoch a gate refuses every command except release.

    A valid epoch is not changed. Repeating this command is harmless.
    """
    _, site = load_or_exit(site_file)
    if service not in site.services:
        wrong_use(f"locum: there is no service {service!r} in the site file")
    on_actuator_host_or_exit(site)
    gates = GateClients(site, site.actuator.host, "actuator")
    try:
        faults = _reset(site, service, gates)
    except JournalError as fault:
        did_not_work(f"locum: {fault}")
    finally:
        gates.close()
    if faults:
        did_not_work(*(f"locum: {fault}" for fault in faults))


def _reset(site: Site, service: str, gates: GateClients) -> list[str]:
    """Reset damaged epochs, report each, and return the failures."""
    known: dict[str, ServiceStatus] = {}
    faults: list[str] = []
    for host in site.services[service].hosts:
        try:
            known[host] = gates[host].status(deadline_seconds=GATE_SECONDS).services[service]
        except GateError as fault:
            faults.append(str(fault))
        except KeyError:
            faults.append(f"{host}: its gate has no configuration for {service}: run `locum enrol {host}`")
    journal = Journal(site.actuator.state_directory / "journal.sqlite")
    try:
        before = journal.holder(service).epoch
        sound = [status.epoch for status in known.values() if not status.epoch_damaged]
        epoch = next_sound_epoch([before, *sound])
        for host, status in known.items():
            if not status.epoch_damaged and status.epoch <= epoch:
                say(f"{host}: its epoch of {service} is {status.epoch}, which is valid")
                continue
            try:
                gates[host].run_verb("reset-epoch", service, epoch, deadline_seconds=GATE_SECONDS)
            except GateError as fault:
                faults.append(str(fault))
            else:
                was = "damaged" if status.epoch_damaged else status.epoch
                say(f"{host}: its epoch of {service} is {epoch} (was {was})")
        if before > epoch:
            journal.reset_epoch(service, epoch)
            say(f"the journal: the epoch of {service} is {epoch} (was {before})")
    finally:
        journal.close()
    return faults
