"""A site of which nothing can be reached and nothing is done: for programs that are only to run, or to fail."""

from __future__ import annotations

from pathlib import Path

_SITE = """\
hosts:
  a: {{address: 127.0.0.11, ssh: {{user: locum, port: 1, key_file: {0}/key, known_hosts: {0}/known}}}}
  b: {{address: 127.0.0.1}}
services:
  www:
    hosts: [a, b]
    addresses: [192.0.2.100/32]
    interface: nosuch0
    checks: {{tcp: {{port: 1}}}}
    commands: {{start: "true", stop: "true"}}
    takeover: {{when_unreachable: refuse, mode: observe}}
witnesses: [192.0.2.254]
actuator: {{host: b, state_directory: {0}/state, webhook_token_file: {0}/webhook, api_token_file: {0}/api}}
"""
SECRETS = {"webhook": "a-secret-of-the-webhook", "api": "a-secret-of-the-api-itself"}


def quiet_site(directory: Path) -> Path:
    """Write a site file and its secrets into a directory; the actuator, on host b, is this machine."""
    for name, secret in SECRETS.items():
        (directory / name).touch(mode=0o600)
        (directory / name).write_text(secret)
    path = directory / "locum.yml"
    path.write_text(_SITE.format(directory))
    return path
