"""The side of the simulator: its model of the gate, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from locum_actuator.system import runtime
from locum_inventory.gate.clock import GateClock
from locum_inventory.site.model import Site
from sim.host_gate import HostGate
from sim.virtual_time import VirtualRuntime
from sim.world import Host, World
from tests.sim.gate_calls import A_WHILE_SECONDS, Call, Outcome, State, Step, course, outcome

GOES_ON_SECONDS = 20.0  # of virtual time: longer than a start that waits, shorter than its timeout


class ModelSide:
    """The simulator's model, in virtual time."""

    def __init__(self, site: Site, seed: int = 1) -> None:
        hosts = {name: Host(name) for name in ("a", "b")}
        self._world, self._host = World(hosts, "b", random.Random(seed)), hosts["a"]
        of_dns = Host("a")  # a host of the world has one service
        self._gates = {
            "www": HostGate(self._world, site, self._host, "www"),
            "dns": HostGate(self._world, site, of_dns, "dns"),
        }

    def call(self, call: Call) -> Outcome:
        permit = call.permit_by(GateClock(self._host.boot_id, int(self._host.uptime_seconds * 100), 0.0))
        gate = self._gates["www" if call.service not in self._gates else call.service]
        return outcome(call, lambda: gate.carry_out(call.verb, call.service, call.epoch, permit))

    def begin(self, call: Call) -> Callable[[], Outcome]:
        results: list[Outcome] = []
        thread = runtime.thread(lambda: results.append(self.call(call)), name=call.verb)
        thread.start()
        runtime.sleep(0.1)

        def end() -> Outcome:
            thread.join()
            return results[0]

        return end

    def state(self) -> State:
        return State.of(self._gates["www"].status().services["www"])

    def change(self, what: str) -> None:
        host, world = self._host, self._world
        match what:
            case "killed":
                world.stop_service(host)
            case "runs":
                fails, host.start_fails = host.start_fails, False
                world.start_service(host)
                host.start_fails = fails
                runtime.sleep(1.0)
            case "hangs":
                host.service = "hung" if host.processes else "stopped"
            case "held":
                world.put_address(host)
            case "held by another host":
                world.put_address(world.hosts["b"])
            case "no carrier":
                host.cut = True
            case "read-only disk":
                host.read_only = True
            case "a while goes by":
                runtime.sleep(A_WHILE_SECONDS)
            case "start fails" | "start works":
                host.start_fails = what == "start fails"
            case "start waits":
                host.command_seconds = GOES_ON_SECONDS - 1.0
            case "stop waits":
                host.stop_seconds = GOES_ON_SECONDS - 1.0
            case "goes on":
                runtime.sleep(GOES_ON_SECONDS)
                host.command_seconds = host.stop_seconds = 0.05
            case _:
                raise ValueError(what)


def on_model(site: Site, steps: Iterable[Step]) -> list[Outcome | State]:
    """Take all steps on a new model in virtual time."""
    with VirtualRuntime(1).running():
        return course(ModelSide(site), steps)
