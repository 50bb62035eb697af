"""Hand-written fakes for what a decision needs: hosts whose state a test sets, and eyes that see it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from ipaddress import ip_address, ip_interface

from locum_actuator.domain.life import NO_LIFE, Life
from locum_actuator.domain.ports import Confirmed
from locum_actuator.domain.reach import Reach
from locum_actuator.domain.situation import CheckOutcome, HostView, Situation
from locum_actuator.system import runtime
from locum_exporter.result import Outcome
from locum_inventory.gate.clock import GateClock, Permit
from locum_inventory.gate.host_file import gate_version, host_file_sha256
from locum_inventory.gate.protocol import (
    FaultReason,
    GateError,
    GateStatus,
    Link,
    ServiceStatus,
    Verb,
)
from locum_inventory.site.model import InterfaceAddress, Site

ADDRESS = ip_address("192.0.2.100")
WITH_PREFIX = ip_interface("192.0.2.100/24")
BOOT_ID = "5a3ad4a2-0d3c-4a4e-8d6b-8f0f5f0c1e11"
BOOTED_SECONDS = 1000.0  # a fake host booted so much before this machine
GATE_VERSION = gate_version()  # read once: it is in a file, and there are thousands of fake gates


def site(**takeover: object) -> Site:
    """Return the two-host site of the documentation, with takeover settings changed."""
    return Site.model_validate(
        {
            "hosts": {
                "a": {"address": "192.0.2.1", "ssh": {"key_file": "/etc/locum/id_ed25519"}},
                "b": {"address": "192.0.2.2"},
            },
            "services": {
                "www": {
                    "hosts": ["a", "b"],
                    "addresses": ["192.0.2.100/24"],
                    "interface": "eth0",
                    "checks": {"http": {"url": "http://{host}/"}, "process": {"name": "apache2"}},
                    "commands": {"start": "apachectl start", "stop": "apachectl stop"},
                    "takeover": {"when_unreachable": "takeover", **takeover},
                }
            },
            "vantage_points": {"b": {"url": "http://127.0.0.1:10751"}},
            "witnesses": ["192.0.2.254"],
            "actuator": {"host": "b", "webhook_token_file": "/etc/locum/webhook.token"},
        }
    )


@cache
def _enrolled() -> dict[str, str]:
    """Return the hash of each host's file: made once, because there are thousands of fake worlds."""
    return {name: host_file_sha256(site(), name) for name in site().hosts}


def outcome(well: bool) -> Outcome:
    """Return the outcome of a check that could be made."""
    return Outcome.WELL if well else Outcome.FAILED


def host(
    name: str,
    *,
    serves: bool = False,
    holds: bool = False,
    processes: int | None = 0,
    echoes: tuple[int, int] = (5, 5),
    gate: str | None = None,
    pinged_by: tuple[str, ...] = (),
    silent_to: tuple[str, ...] = (),
    elsewhere: bool | None = None,
    fenceable: bool = False,
    epoch: int = 1,
    slow: bool = False,
    unused: str | None = None,
    prompt: bool = False,
    age: float | None = None,
    underway: str | None = None,
    reason: str | None = None,
) -> HostView:
    """Return how a host looks; `gate` is why its gate is silent."""
    looks = [CheckOutcome("b", outcome(serves), "answered 200" if serves else "no answer", reason)]
    if elsewhere is not None:
        looks.append(CheckOutcome("c", outcome(elsewhere), "answers" if elsewhere else "http failed"))
    silent = gate is not None
    return HostView(
        name=name,
        echoes_received=echoes[0],
        echoes_sent=echoes[1],
        gate_fault=gate,
        holds=None if silent else frozenset({ADDRESS} if holds else ()),
        processes=None if silent else processes,
        epoch=0 if silent else epoch,
        looks=tuple(looks),
        pinged_by=pinged_by,
        silent_to=silent_to,
        fenceable=fenceable,
        slow=slow,
        unusable_addresses={} if unused is None else {ADDRESS: unused},
        gate_prompt=prompt,
        silent_since=None if echoes[0] or slow else runtime.monotonic(),
        age_seconds=age,
        underway=underway,
    )


def situation(
    *hosts: HostView,
    holders: tuple[str, ...] = (),
    strangers: tuple[str, ...] = (),
    looked: bool = True,
    witness: bool = True,
) -> Situation:
    """Return a situation; hosts that say so themselves hold the address too."""
    held = {view.name for view in hosts if view.holds}
    return Situation(
        service="www",
        hosts={view.name: view for view in hosts},
        holders=frozenset({*held, *holders}),
        strangers=frozenset(strangers),
        address_looked=looked,
        witnesses={"192.0.2.254": witness},
        taken_at=runtime.wall_time(),
        asked_at=runtime.since_boot(),
    )


@dataclass
class FakeGate:
    """A gate whose host is these fields."""

    held: bool = False
    processes: int = 0
    epoch: int = 0
    stuck: str | None = None  # tentative or dadfailed: the address is there, unused
    fault: FaultReason | None = None
    refuse: dict[str, FaultReason] = field(default_factory=dict)  # verb -> why it does not work
    start_works: bool = True
    age: float = 1000.0  # of its processes, in seconds
    calls: list[str] = field(default_factory=list)
    names: tuple[str, ...] = ("www",)  # of the services that it knows
    config: str = ""  # the hash of its file; a fake world gives it the one that is current
    version: str = GATE_VERSION
    boot_id: str = BOOT_ID
    addresses: tuple[InterfaceAddress, ...] = (WITH_PREFIX,)  # of its host file
    interface: str = "eth0"  # of its host file too
    links: dict[str, Link] = field(default_factory=lambda: {"eth0": Link("up", ("02:00:00:00:00:01",))})
    last: GateStatus | None = None

    def _service(self) -> ServiceStatus:
        stuck = {} if self.stuck is None else {ADDRESS: self.stuck}
        held = {ADDRESS: self.held}
        if self.version == "1":
            return ServiceStatus(self.epoch, held, self.processes, stuck)
        age = self.age if self.processes else None
        return ServiceStatus(
            self.epoch, held, self.processes, stuck, None, self.addresses, self.interface, age
        )

    def _uptime_hundredths(self) -> int:
        return int((runtime.since_boot() + BOOTED_SECONDS) * 100)

    def status(self, *, deadline_seconds: float) -> GateStatus:
        """Answer as the gate would."""
        if self.fault:
            raise GateError(self.fault, f"gate {self.fault}")
        services = dict.fromkeys(self.names, self._service())
        if self.version == "1":
            self.last = GateStatus(self.version, self.config, services)
        else:
            clock = GateClock(self.boot_id, self._uptime_hundredths(), runtime.since_boot())
            self.last = GateStatus(self.version, self.config, services, clock, self.links)
        return self.last

    def last_status(self) -> GateStatus | None:
        """Return what the last answer was."""
        return self.last

    def run_verb(
        self, verb: Verb, service: str, epoch: int, *, deadline_seconds: float, permit: Permit | None = None
    ) -> ServiceStatus:
        """Do what the verb does to the fields, as a gate would."""
        if verb == "store-epoch":
            self.epoch = max(epoch, self.epoch)
            return self._service()
        self.calls.append(verb)
        if self.fault:
            raise GateError(self.fault, f"gate {self.fault}")
        if self.version != "1" and verb in {"claim", "start", "respawn"}:
            self._check(verb, permit)
        if epoch < self.epoch and verb != "release":
            raise GateError("old_epoch", f"epoch {epoch} is older than {self.epoch}")
        if verb in self.refuse:
            raise GateError(self.refuse[verb], f"{verb} {self.refuse[verb]}")
        self.epoch = max(epoch, self.epoch)
        if verb == "release":
            self.held, self.processes, self.stuck = False, 0, None
        elif verb == "claim":
            self.held, self.stuck = True, None
        elif verb == "stop":
            self.processes = 0
        elif self.start_works:
            self.age = self.age if self.processes and verb == "start" else 0.0
            self.processes = 3
        return self._service()

    def _check(self, verb: Verb, permit: Permit | None) -> None:
        """Refuse what a gate refuses of a verb that gives something to its host."""
        if permit is None:
            raise GateError("gate", f"{verb} takes a service, an epoch, a boot id, an uptime and addresses")
        if permit.boot_id != self.boot_id:
            raise GateError("too_late", "this host has booted since")
        if self._uptime_hundredths() > permit.good_until_hundredths:
            raise GateError("too_late", f"{verb} came after its evidence had become too old")
        if verb != "respawn" and set(permit.addresses) != set(self.addresses):
            raise GateError("gate", "this host's gate.conf has other addresses: run locum enrol")

    def count_processes(self, *, deadline_seconds: float) -> dict[str, int]:
        """Count as the gate would."""
        return {"www": self.processes}

    def retry_now(self) -> None:
        """Nothing was in the way."""

    def close(self) -> None:
        """Nothing to close."""


@dataclass
class FakeWorld:
    """Two fake hosts and the eyes that see them."""

    gates: dict[str, FakeGate]
    dead: set[str] = field(default_factory=set)
    witness: bool = True
    hung: set[str] = field(default_factory=set)
    heard_by_c: set[str] = field(default_factory=set)  # by the third vantage point, when it is asked at last
    silent_to_c: set[str] = field(default_factory=set)  # … which asked them and got no echo
    late: set[str] = field(default_factory=set)
    through_address: bool = True
    closed_on: set[str] = field(default_factory=set)  # hosts whose firewall drops what comes for the address
    through_from_c: Outcome | None = None  # what c finds through the address; None: there is no c
    lives: dict[str, Life] = field(
        default_factory=dict
    )  # what else of a host is heard, when it is asked at last
    looks: int = 0
    closed: bool = False

    def __post_init__(self) -> None:
        """Enrol the hosts."""
        for name, gate in self.gates.items():
            gate.config = _enrolled().get(name, gate.config)

    def close(self) -> None:
        """Nothing to give up, and a test may ask whether it was."""
        self.closed = True

    def _serves(self, name: str) -> bool:
        return self.gates[name].processes > 0 and name not in self.hung and name not in self.dead

    def service_on(self, service: str, host: str) -> CheckOutcome:
        """See whether the service answers on a host."""
        return CheckOutcome(
            "b", outcome(self._serves(host)), "answered 200" if self._serves(host) else "no answer"
        )

    def service_through_address(self, service: str) -> CheckOutcome:
        """Return whether the holder of the address answers."""
        holder = next(
            (name for name, gate in self.gates.items() if gate.held and name not in self.dead), None
        )
        reached = self.through_address and holder not in self.closed_on
        well = reached and holder is not None and self._serves(holder)
        return CheckOutcome("b", outcome(well), "answered 200" if well else "no answer")

    def reach(self, service: str) -> Reach | None:
        """Return whether the holder of the address is reached: from b, and from c where a test says what c sees."""
        here, held = self.service_through_address(service), self.gates["b"].held
        if not held:
            return Reach((here,))
        return Reach(
            () if self.through_from_c is None else (CheckOutcome("c", self.through_from_c, "its words"),),
            here,
        )

    def echoes(self, host: str) -> int | None:
        """See whether a host returns a ping."""
        return 0 if host in self.dead else 5

    def life(self, service: str, host: str, *, pinged: bool) -> Life:
        """See what else of a host is heard."""
        return self.lives.get(host, NO_LIFE)

    def late_echo(self, host: str, since: float, seconds: float) -> bool:
        """See whether a host that seemed silent was only late."""
        return host in self.late

    def witness_answers(self, source: str | None = None) -> bool:
        """See the witness."""
        return self.witness

    def confirm(self, service: str, silent: str | None = None) -> Confirmed:
        """See the witness, who answers for the address, and whether c hears a host that was silent."""
        held = {name for name, gate in self.gates.items() if gate.held and name not in self.dead}
        heard_by = ("c",) if silent is not None and silent in self.heard_by_c else ()
        silent_to = ("c",) if silent is not None and silent in self.silent_to_c else ()
        return Confirmed(self.witness, (frozenset(held), frozenset()), heard_by, silent_to)

    def situation(self, service: str) -> Situation:
        """See all of it."""
        self.looks += 1
        views = [
            host(
                name,
                serves=self._serves(name),
                holds=gate.held,
                processes=gate.processes,
                echoes=(0, 20) if name in self.dead else (5, 5),
                gate="no answer" if name in self.dead or gate.fault else None,
                epoch=gate.epoch,
                unused=gate.stuck,
                age=gate.age if gate.processes else None,
                elsewhere=None if self.through_from_c is None else self._serves(name),
            )
            for name, gate in self.gates.items()
        ]
        return replace(situation(*views, witness=self.witness), reach=self.reach(service))


class KeptFakes:
    """Shells of a fake world, which need no closing."""

    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    def __getitem__(self, host: str) -> FakeGate:
        """Return the shell of a host."""
        return self._world.gates[host]

    def close(self) -> None:
        """Nothing to close."""
