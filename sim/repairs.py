"""The repairs of faults that docs/trust.md lists by row, each as the edit that takes it out again.

Only those whose code runs in the simulator are here: decision, steps, engine and journal. The others (checks, the
gate's script and its connections, the kernel's tables, the mirror, the HTTP server) are replaced by the simulated
world, and the tests that docs/trust.md names for their rows cover them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.mutation import Edit

VETOES = "locum_actuator.decision.vetoes"
FAILOVER = "locum_actuator.decision.failover"
WRONG = "locum_actuator.decision.wrong_answers"
CONFIRM = "locum_actuator.steps.confirm"
EVIDENCE = "locum_actuator.steps.plan_evidence"
RUNNER = "locum_actuator.steps.runner"
STEP_ROWS = "locum_actuator.steps.step_rows"
PROVE = "locum_actuator.steps.prove"
BASE = "locum_actuator.steps.base"
INCIDENT = "locum_actuator.engine.incident"
ATTEMPTS = "locum_actuator.engine.attempts"
WORKER = "locum_actuator.engine.worker"
CHECKS = "locum_actuator.engine.own_checks"
FITNESS = "locum_actuator.decision.fitness"


@dataclass(frozen=True, slots=True)
class Repair:
    """What is taken out, in words, and how."""

    row: str  # of docs/trust.md
    words: str
    edits: Sequence[Edit]
    profile: str | None = None  # of the scenarios; None: drawn
    kinds: Sequence[str] = ()  # of the faults that are drawn; none: all
    unseen: str = ""  # why the simulator cannot find it, if it cannot


REPAIRS: Sequence[Repair] = (
    Repair(
        "A1",
        "a silent host counts as dead though no other vantage point could check it",
        (
            Edit(
                FAILOVER,
                'if service.takeover.when_unreachable == "refuse" and not holder.silent_to:',
                "if False:",
            ),
            Edit(VETOES, "if not memory.may_wait or not unable:", "if True:"),
            Edit(
                CONFIRM,
                "return silent in self.context.needs",
                "return False and silent in self.context.needs",
            ),
        ),
        profile="refuse",
        kinds=("sever", "exporter", "cut", "gate_gone", "witness_dead"),
    ),
    Repair(
        "A2",
        "a host is switched off although it gave a sign of life",
        (Edit(VETOES, "if veto := _sign_of_life(situation.hosts[host]):", "if veto := None:"),),
        profile="fence",
        kinds=("gate_gone", "freeze_processes", "drop_check", "hang", "lose", "busy"),
    ),
    Repair(
        "A3",
        "the age of the last answer is not compared before the address is claimed",
        (
            Edit(EVIDENCE, "if late > 0:", "if False:"),
            Edit(EVIDENCE, "return now - self._free_answered_at > again or", "return False and"),
            Edit(EVIDENCE, "return self._free_asked_at + (", "return 3600.0 + self._free_asked_at + ("),
        ),
        profile="takeover",
        kinds=("crash", "freeze", "cut", "stop_actuator", "slow_disk"),
    ),
    Repair(
        "A4",
        "a step begins whose row could not be written",
        (Edit(STEP_ROWS, "if must or not self.begun:", "if False:"),),
        kinds=("disk_fails", "kill_actuator", "crash", "hang", "freeze"),
    ),
    Repair(
        "A4",
        "a gate that knows a newer epoch than the journal is not believed",
        (Edit(FAILOVER, "newer = holder_by_epoch(situation, memory)", "newer = memory.holder"),),
        kinds=("restored_journal", "restored_journal", "crash", "cut"),
    ),
    Repair(
        "A7",
        "the address is claimed though the wire could not be asked",
        (
            Edit(
                VETOES,
                "    if not situation.address_looked:\n        return Plan(",
                "    if False:\n        return Plan(",
            ),
            Edit(
                CONFIRM,
                "        if seen.owners is None:\n            raise",
                "        if seen.owners is None:\n            return asked_at\n            raise",
            ),
        ),
        profile="takeover",
        kinds=("busy", "crash", "cut", "drop_address", "freeze"),
    ),
    Repair(
        "A8",
        "an echo that came late is not looked for before the claim",
        (Edit(BASE, "        if since is None:", "        if True:"),),
        profile="takeover",
        kinds=("delay", "lose", "freeze", "gate_gone", "hang"),
        unseen="trust.md admits that delay hides everything, and so does the invariant",
    ),
    Repair(
        "A9",
        "the worker after a reload does not wait for the one before, and a plan goes on under an older epoch",
        (
            Edit(RUNNER, "if newest > context.epoch:", "if False:"),
            Edit(WORKER, "            if worker.is_alive():", "            if False:"),
        ),
        kinds=("reload", "hang", "crash", "slow_start", "freeze"),
    ),
    Repair(
        "A10",
        "a host whose file has other addresses counts as fit",
        (Edit(FITNESS, "if set(status.addresses or ()) != set(service.addresses):", "if False:"),),
        unseen="a reload changes no address there",
    ),
    Repair(
        "A11",
        "the address moves although the last holder's release was never confirmed",
        (
            Edit(VETOES, "    plan = _confirmed_first(plan, situation, memory, service)\n", ""),
            Edit(FAILOVER, "if not gone and not vetoes.has_let_go(last, service):", "if False:"),
        ),
        profile="fence",
        kinds=("fence_device", "slow_stop", "gate_gone", "freeze_processes", "hang"),
    ),
    Repair(
        "A13",
        "checks of any age justify taking something from a host",
        (Edit(EVIDENCE, "if runtime.since_boot() <= self.due_until:", "if True:"),),
        kinds=("stop_actuator", "freeze", "hang", "slow_disk", "drop_check"),
    ),
    Repair(
        "B2",
        "a service that was started a moment ago counts as hung",
        (
            Edit(FAILOVER, "if holder.name in memory.starting and f", "if False and f"),
            Edit(FAILOVER, 'if holder.underway in {"start", "respawn"}:', "if False:"),
        ),
        kinds=("slow_start", "slow_start", "kill", "kill_actuator", "restart_actuator"),
    ),
    Repair(
        "B3",
        "the patrol does not run the deciding checks",
        (Edit(CHECKS, "if now < self._due_at:", "if True:"),),
        kinds=("prometheus_dead", "alertmanager_dead", "silenced", "hang", "kill"),
    ),
    Repair(
        "B4",
        "a service that no other host reaches through its address counts as well",
        (Edit(FAILOVER, "found = unreached(holder, situation, memory, service)", "found = None"),),
        profile="three",
        kinds=("drop_service_address", "hang"),
    ),
    Repair(
        "B5",
        "a takeover ends as done though no other host reaches the service",
        (
            Edit(
                PROVE,
                "            if now >= end:\n",
                "            if now >= end:\n                return reach\n",
            ),
        ),
        profile="three",
        kinds=("drop_service_address", "hang", "crash"),
    ),
    Repair(
        "B7",
        "a check that failed before anything moved counts as a failed attempt",
        (
            Edit(ATTEMPTS, 'if failed is not None and (failed.name == "confirm" or', "if False and ("),
            Edit(INCIDENT, "if counted and not outcome.moved:", "if False:"),
        ),
        kinds=("witness_dead", "hang", "crash", "freeze"),
    ),
    Repair(
        "B9",
        "a host whose interface has no carrier counts as a standby",
        (Edit(FITNESS, 'if link.state == "up":', "if True:"),),
        kinds=("cut", "crash", "hang"),
        unseen="a host whose cable is out cannot be asked there",
    ),
    Repair(
        "B12",
        "what woke a worker is forgotten after an unexpected error",
        (Edit(WORKER, "    return None if wake is None else replace(wake, asked=None)", "    return None"),),
        kinds=("disk_fails", "hang", "prometheus_dead", "kill"),
        unseen="no unexpected error happens there",
    ),
    Repair(
        "C2",
        "a wrong answer leads to a takeover wherever the other host answers the same",
        (Edit(WRONG, "    if not same:\n", "    if True:\n"),),
        kinds=("answer_wrongly",),
        unseen="a service that was just started is left alone for a minute, and answers wrongly for less there",
    ),
)
