"""A machine and a site file for the tests of `locum enrol`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# The command, for a machine's shell: what it prints, then how it ended.
MAIN = f'{sys.executable} -c "from locum_actuator.cli import main; main()"'
LOCUM = f'locum() {{ {MAIN} "$@" 2>&1; echo "exit $?"; }}\n'

MACHINE = Path(__file__).with_name("enrol_machine.sh")
ENROL = "locum enrol a --admin-known-hosts /run/admin_known_hosts"
LOCAL = "locum enrol b"

SITE = """\
hosts:
  a:
    address: 192.0.2.1
    ssh:
      user: locum
      key_file: /etc/locum/id_ed25519
      exporter_key_file: /etc/locum/exporter_ed25519
      known_hosts: /etc/locum/known_hosts
  b: {address: 192.0.2.2}
  c: {address: 192.0.2.3}
services:
  www:
    hosts: [a, b]
    addresses: [192.0.2.100/32]
    interface: lo
    checks:
      http: {url: "http://{host}/"}
      process: {name: no-such-process}
    commands: {start: "exit 1", stop: "true"}
    takeover: {when_unreachable: refuse}
vantage_points: {b: {url: "http://192.0.2.2:10751"}}
witnesses: [192.0.2.254]
actuator: {host: b, webhook_token_file: /etc/locum/webhook.token}
"""


def on_a_machine(site_file: Path, script: str) -> list[str]:
    """Run a shell script there, in which `locum` is the command, and return the lines it printed."""
    done = subprocess.run(
        ["unshare", "-mnu", "sh", str(MACHINE), str(site_file), "sh", "-c", LOCUM + script],
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()
