"""One host of the simulated world: what it is and does. The actuator sees none of it directly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from locum_actuator.system import runtime
from sim.processes import Clocks

Service = Literal["stopped", "starting", "well", "hung", "wrong"]
Exporter = Literal["well", "gone", "no_rights", "slow"]
START_SECONDS = 0.2  # until a service answers
STOP_SECONDS = 0.05


@dataclass(slots=True)
class Host:
    """One host."""

    name: str
    up: bool = True
    frozen: bool = False  # nothing runs on it, and its kernel answers nothing: a paused or suspended machine
    stopped: bool = False  # its processes stand still, and its kernel answers
    boots: int = 1
    booted_at: float = 0.0
    clocks: Clocks = field(default_factory=Clocks)
    service: Service = "stopped"
    started_at: float = 0.0
    starts: int = 0
    started_by_boot: bool = False  # and not by an order
    start_seconds: float = START_SECONDS
    stop_seconds: float = STOP_SECONDS  # what its stop command takes; a gate kills what is left
    start_fails: bool = False
    command_seconds: float = 0.05  # until the process is there, once the start command runs
    answers_wrongly: bool = False  # the next start leads to a service that does not answer as expected
    dies_after: float | None = None  # the service ends again so long after it first answers
    has_address: bool = False
    epoch: int = 0
    cut: bool = False  # its cable is out
    loses: float = 0.0  # the part of packets that is lost, each way
    delay_seconds: float = 0.0  # of each packet, each way
    check_dropped: bool = False  # its firewall drops what is for the service, on its own address
    through_dropped: bool = False  # … on the service address
    gate_gone: bool = False  # its sshd refuses every connection
    second_card: bool = False  # another card answers for the address than before
    exporter: Exporter = "well"
    underway: str | None = None
    read_only: bool = False  # its disk
    busy: float = 0.0  # the part of its own questions whose answers its programs are too late to read

    @property
    def is_heard(self) -> bool:
        """Whether its kernel answers packets."""
        return self.up and not self.frozen

    @property
    def runs(self) -> bool:
        """Whether anything on it runs."""
        return self.up and not self.frozen and not self.stopped

    @property
    def uptime_seconds(self) -> float:
        """The seconds since its boot, by its own clock."""
        return runtime.since_boot() + self.clocks.since_boot - self.booted_at

    @property
    def boot_id(self) -> str:
        """The id of this boot, 36 characters."""
        return f"{self.boots:08d}-0000-4000-8000-00000000{self.name:0>4}"

    @property
    def processes(self) -> int:
        """How many processes of the service run."""
        return 0 if self.service == "stopped" else 3

    @property
    def macs(self) -> tuple[str, ...]:
        """The MAC addresses of its cards; the last one answers for the service address."""
        first = f"02:00:00:00:00:{ord(self.name):02x}"
        return (first, f"02:00:00:00:01:{ord(self.name):02x}") if self.second_card else (first,)

    @property
    def offers_service(self) -> bool:
        """Whether its service is well and it has the address; its line or its firewall may keep clients away."""
        return self.runs and self.has_address and self.service == "well"

    @property
    def serves(self) -> bool:
        """Whether it gives the right answer to a client on the wire that asks for the service address."""
        return self.offers_service and not (self.cut or self.check_dropped or self.through_dropped)
