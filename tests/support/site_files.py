"""Site files for programs and commands that tests run: hosts a and b, the service www, and the actuator on b."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_SITE: Mapping[str, Any] = {
    "hosts": {"a": {"address": "192.0.2.1", "ssh": {"user": "locum"}}, "b": {"address": "192.0.2.2"}},
    "services": {
        "www": {
            "hosts": ["a", "b"],
            "addresses": ["192.0.2.100/24"],
            "interface": "lo",
            "takeover": {"when_unreachable": "refuse"},
        }
    },
    "witnesses": ["192.0.2.254"],
    "actuator": {"host": "b"},
}
# For a service whose standby is stopped; `true` starts and stops nothing.
COMMANDS = {"start": "true", "stop": "true"}
SECRETS = {"webhook": "a-secret-of-the-webhook", "api": "a-secret-of-the-api-itself"}


def write_site(directory: Path, *, www: Mapping[str, Any], **changes: Any) -> Path:
    """Write a site file into a directory and return its path.

    `www` holds keys of the service, which needs `standby: running` or `commands`; `changes` are other keys of the
    file. Mappings are merged with the site's own, anything else replaces it.
    """
    path = directory / "locum.yml"
    tree = _merged(_SITE, {"services": {"www": www}, **changes})
    path.write_text(yaml.safe_dump(tree, default_flow_style=None, sort_keys=False, width=1000))
    return path


def quiet_site(directory: Path) -> Path:
    """Write a site file and its secrets: nothing of the site can be reached, and the actuator only observes.

    For programs that are only to run, or to fail. The actuator's host is this machine.
    """
    for name, secret in SECRETS.items():
        write_secret(directory / name, secret)
    key_files = {"key_file": f"{directory}/key", "known_hosts": f"{directory}/known"}
    return write_site(
        directory,
        hosts={
            "a": {"address": "127.0.0.11", "ssh": {"port": 1, **key_files}},
            "b": {"address": "127.0.0.1"},
        },
        www={
            "addresses": ["192.0.2.100/32"],
            "interface": "nosuch0",
            "checks": {"tcp": {"port": 1}},
            "commands": COMMANDS,
            "takeover": {"mode": "observe"},
        },
        actuator={
            "state_directory": f"{directory}/state",
            "webhook_token_file": f"{directory}/webhook",
            "api_token_file": f"{directory}/api",
        },
    )


def write_secret(path: Path, secret: str = "a token of more than sixteen characters") -> None:
    """Write a secret into a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(f"{secret}\n")


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = (
            _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
        )
    return merged
