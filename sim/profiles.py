"""The sites that scenarios run with: those of the campaign in the lab, and one with three service hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from locum_inventory.site.model import Site

SERVICE = "www"


@dataclass(frozen=True, slots=True)
class Profile:
    """One site: who serves, who checks, where the actuator runs, and what it may do."""

    name: str
    service_hosts: tuple[str, ...]
    vantage_points: tuple[str, ...]
    home: str  # where the actuator runs
    when_unreachable: str
    fenced: bool = False
    cooldown_seconds: int = 0
    max_per_hour: int = 60
    respawn: str | None = None  # the command; None: stop and start

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return all hosts of the site."""
        return tuple(sorted({*self.service_hosts, *self.vantage_points, self.home}))


# Those that are drawn.
PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("refuse", ("a", "b"), ("b",), "b", "refuse"),
        Profile("takeover", ("a", "b"), ("a", "b", "c"), "c", "takeover"),
        Profile("three", ("a", "b", "c"), ("a", "b", "c"), "c", "refuse"),
        Profile("fence", ("a", "b"), ("b", "c"), "b", "refuse", fenced=True),
    )
}
# The lab's own site, as `locum init` writes it: for the comparison with the lab (lab_comparison.py), never drawn.
LAB = Profile(
    "lab",
    ("a", "b"),
    ("b", "c"),
    "b",
    "refuse",
    cooldown_seconds=60,
    max_per_hour=3,
    respawn="apachectl restart",
)
BY_NAME: Mapping[str, Profile] = {**PROFILES, LAB.name: LAB}


@cache
def site(profile: Profile) -> Site:
    """Return the site of a profile."""
    numbers = {name: number for number, name in enumerate(profile.hosts, 1)}
    ssh = {"key_file": "/etc/locum/id_ed25519"}
    hosts: dict[str, Any] = {
        name: {"address": f"192.0.2.{number}", **({} if name == profile.home else {"ssh": ssh})}
        for name, number in numbers.items()
    }
    commands = {"start": "apachectl start", "stop": "apachectl stop"}
    if profile.respawn is not None:
        commands["respawn"] = profile.respawn
    if profile.fenced:
        for name in profile.service_hosts:
            hosts[name]["fence"] = {"agent": "fence_simulated", "timeout": 20}
    return Site.model_validate(
        {
            "hosts": hosts,
            "services": {
                SERVICE: {
                    "hosts": list(profile.service_hosts),
                    "addresses": ["192.0.2.100/24"],
                    "interface": "eth0",
                    "checks": {"http": {"url": "http://{host}/"}, "process": {"name": "apache2"}},
                    "commands": commands,
                    "takeover": {
                        "when_unreachable": profile.when_unreachable,
                        "cooldown": profile.cooldown_seconds,
                        "max_per_hour": profile.max_per_hour,
                    },
                }
            },
            "vantage_points": {
                name: {"url": f"http://192.0.2.{numbers[name]}:9750"} for name in profile.vantage_points
            },
            "witnesses": ["192.0.2.254"],
            "actuator": {"host": profile.home, "webhook_token_file": "/etc/locum/webhook.token"},
        }
    )
