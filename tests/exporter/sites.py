"""Sites for the exporter's tests, made of the model's own values."""

from pathlib import Path
from typing import Any

from locum_inventory.site.model import Site
from tests.support.site_files import COMMANDS, write_site


def site(**changes: Any) -> Site:
    """Two hosts on loopback, one service with every check, two vantage points; `changes` replace its parts."""
    tree: dict[str, Any] = {
        "hosts": {
            "a": {"address": "127.0.0.11", "ssh": {"key_file": "/etc/locum/id_ed25519"}},
            "b": {"address": "127.0.0.12"},
        },
        "services": {"www": service()},
        "vantage_points": {"b": {"url": "http://127.0.0.12:10751"}, "c": {"url": "https://[2001:db8::c]"}},
        "witnesses": ["10.9.0.254"],
        "actuator": {"host": "b", "webhook_token_file": "/etc/locum/webhook.token"},
    }
    return Site.model_validate(tree | changes)


def service(**changes: Any) -> dict[str, Any]:
    """A service with every check, no program listening on its ports."""
    return {
        "hosts": ["a", "b"],
        "addresses": ["10.9.0.100/24"],
        "interface": "eth0",
        "checks": {"http": {"url": "http://{host}:1/"}, "tcp": {"port": 1}, "process": {"name": "apache2"}},
        "takeover": {"when_unreachable": "takeover"},
    } | changes


def exporter_site(directory: Path) -> Path:
    """Write a site file for a running exporter on this machine, whose token and key files are missing."""
    return write_site(
        directory,
        hosts={
            "a": {"address": "127.0.0.11", "ssh": {"key_file": "/nonexistent/key"}},
            "b": {"address": "127.0.0.1"},
        },
        www={
            "addresses": ["10.9.0.100/24"],
            "interface": "nosuch0",
            "checks": {"http": {"url": "http://{host}/"}},
            "commands": COMMANDS,
            "takeover": {"when_unreachable": "takeover"},
        },
        witnesses=["10.9.0.254"],
        actuator={"webhook_token_file": "/nonexistent/token"},
    )
