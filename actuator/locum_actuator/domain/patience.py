"""Derive from the site file how long commands and first answers may take, in seconds."""

from __future__ import annotations

from locum_inventory.site.model import Commands, Service, Site

GATE_MARGIN_SECONDS = 5.0  # for the way to a gate and back, on top of the verb itself
LOCK_SECONDS = 5.0  # a gate waits this long, plus a stop, for another verb of the same service
APPEAR_SECONDS = 5.0  # a process may appear this long after its start command has ended
PLAN_SECONDS = 180.0  # more than all other steps of a plan take together; each has its own deadline
LEAST_ANSWER_SECONDS = 3.0  # at least this long for an answer, however long the command took
ADDRESS_COMMANDS = 10  # a plan runs at most this many address commands: move, ask, undo

_DEFAULT_START_SECONDS: float = Commands.model_fields["start_timeout"].default


def start_seconds(service: Service) -> float:
    """Return how long a start may take until the service answers, also if locum cannot start it."""
    return service.commands.start_timeout if service.commands else _DEFAULT_START_SECONDS


def stop_seconds(service: Service) -> float:
    """Return how long a stop may take; 0 if there is nothing to stop."""
    return service.commands.stop_timeout if service.commands else 0.0


def respawn_seconds(service: Service) -> float:
    """Return how long a respawn may take until the service answers."""
    return service.commands.respawn_timeout if service.commands else 0.0


def start_call_seconds(service: Service) -> float:
    """Return the deadline of a gate's `start`: the command, its process, and the wait for another verb."""
    return _call_seconds(service, start_seconds(service))


def respawn_call_seconds(service: Service) -> float:
    """Return the deadline of a gate's `respawn`, which may be a stop and a start."""
    return _call_seconds(service, stop_seconds(service) + respawn_seconds(service))


def release_call_seconds(service: Service) -> float:
    """Return the deadline of a gate's `release` or `stop`."""
    return stop_seconds(service) + GATE_MARGIN_SECONDS


def longest_plan_seconds(site: Site, service: Service) -> float:
    """Return how long a plan may take: stops, starts and their undo, fencing, hooks, and the other steps."""
    commands = 2 * stop_seconds(service) + 2 * start_call_seconds(service) + respawn_call_seconds(service)
    devices = (device for host in service.hosts for device in site.hosts[host].fence)
    own = sum(hook.timeout for hook in service.hooks.values()) * len(service.hosts)
    if service.address_commands is not None:
        own += ADDRESS_COMMANDS * service.address_commands.timeout
    return PLAN_SECONDS + commands + own + sum(device.timeout for device in devices)


def end_seconds(site: Site) -> float:
    """Return how long a terminating actuator may take to finish a plan: a minute, or a start and a stop.

    At most five minutes: the next start finishes or undoes an interrupted plan.
    """
    longest = max(start_seconds(service) + stop_seconds(service) for service in site.services.values())
    return min(max(60.0, longest + 30.0), 300.0)


def _call_seconds(service: Service, command_seconds: float) -> float:
    waits = stop_seconds(service) + LOCK_SECONDS
    return command_seconds + APPEAR_SECONDS + waits + GATE_MARGIN_SECONDS
