"""The text of a new site file, with a comment on the purpose of each part."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from locum_inventory.listen import Listen

_PLAIN = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers given to `locum init`, as they are written into the file; empty means none."""

    hosts: dict[str, str]  # name -> address, the preferred one first
    actuator_host: str
    service: str
    addresses: tuple[str, ...]
    interface: str
    url: str
    expect: str
    tcp_port: str
    process: str
    standby: str
    start: str
    stop: str
    respawn: str
    when_unreachable: str
    witnesses: tuple[str, ...]
    ssh_user: str
    directory: Path


def site_text(answers: Answers) -> str:
    """Return a site file with the given answers."""
    return _TEMPLATE.format(
        hosts="\n".join(_host(answers, name, address) for name, address in answers.hosts.items()),
        service=_value(answers.service),
        service_hosts=_list(answers.hosts),
        addresses=_list(answers.addresses),
        interface=_value(answers.interface),
        checks=_checks(answers),
        standby=_value(answers.standby),
        commands=_commands(answers),
        when_unreachable=_value(answers.when_unreachable),
        witnesses=_list(answers.witnesses),
        actuator_host=_value(answers.actuator_host),
        actuator_listens=Listen(answers.hosts.get(answers.actuator_host, "ADDRESS"), 10751),
        webhook_token_file=_value(answers.directory / "webhook.token"),
        api_token_file=_value(answers.directory / "api.token"),
    )


def _host(answers: Answers, name: str, address: str) -> str:
    lines = [f"  {_value(name)}:", f"    address: {_value(address)}"]
    if name != answers.actuator_host:
        lines += [
            "    ssh:",
            f"      user: {_value(answers.ssh_user)}",
            f"      key_file: {_value(answers.directory / 'id_ed25519')}",
            f"      known_hosts: {_value(answers.directory / 'known_hosts')}",
        ]
    return "\n".join(lines)


def _checks(answers: Answers) -> str:
    lines: list[str] = []
    if answers.url:
        lines += ["      http:", f"        url: {_value(answers.url)}"]
        lines += [f"        expect_body: {_value(answers.expect)}"] if answers.expect else []
    if answers.tcp_port:
        lines += ["      tcp:", f"        port: {_value(answers.tcp_port)}"]
        lines += [f"        expect: {_value(answers.expect)}"] if answers.expect and not answers.url else []
    if answers.process:
        lines += ["      process:", f"        name: {_value(answers.process)}   # as `ps -o comm` shows it"]
    return "\n".join(["    checks:", *lines]) if lines else "    checks: {}   # only a ping of its host"


def _commands(answers: Answers) -> str:
    given = {"start": answers.start, "stop": answers.stop, "respawn": answers.respawn}
    lines = [f"      {key}: {_value(command)}" for key, command in given.items() if command]
    head = "    # Run by root on the host in question; `locum enrol` writes them there."
    return (
        "\n".join([head, "    commands:", *lines])
        if lines
        else "    # commands: none are needed, because it runs on every host"
    )


def _list(values: Iterable[object]) -> str:
    return f"[{', '.join(_value(value) for value in values)}]"


def _value(value: object) -> str:
    """Write one value so that YAML reads back the same text."""
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() != "null":
        return text
    return json.dumps(text, ensure_ascii=False)  # a JSON string is a YAML string


_TEMPLATE = """\
# Written by `locum init`. `locum init --example` shows every key; `locum check` finds errors.

# Machines, each with an address of its own, which stays where it is.
hosts:
{hosts}

# What must stay available.
services:
  {service}:
    hosts: {service_hosts}   # the preferred one first, then its standbys in order
    addresses: {addresses}   # what clients use; never a host's own address
    interface: {interface}   # for the addresses; or per host: {{a: eth0, b: enp3s0}}
{checks}
    interval: 250ms   # how often to check: 100ms, 250ms, 1s, 5s or 15s
    standby: {standby}   # stopped: it runs on the holder alone; running: on every host
{commands}
    takeover:
      mode: act   # or observe: record what would be done, and touch nothing
      # When a host does not answer at all:
      #   takeover  takes over when the host and the service address are silent and a witness answers. If the
      #             network was cut between the hosts, both may then hold the address.
      #   refuse    alerts people. If the host was really dead, the service is down until they act.
      when_unreachable: {when_unreachable}

# Hosts that run an exporter and so have a vote: an odd number, preferably not the preferred ones.
# Without this only the actuator's host checks the services.
#vantage_points: {{{actuator_host}: {{url: "http://{actuator_listens}"}}}}

# Addresses that answer a ping while this network works. If none does, this host is the one that is cut off.
witnesses: {witnesses}

# The program that acts, preferably on a standby.
actuator:
  host: {actuator_host}
  state_directory: /var/lib/locum
  webhook_token_file: {webhook_token_file}
  api_token_file: {api_token_file}
"""
