"""Find the programs of the stack, and build their command lines."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from locum_actuator.domain.patience import end_seconds
from locum_actuator.stack.layout import StackLayout
from locum_actuator.stack.supervisor import CAP_NET_RAW, Program
from locum_actuator.stack.web_config import ALERTMANAGER_FILE, CONFIG_FILE, PASSWORD_FILE
from locum_inventory.errors import LocumError

_PACKAGES = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}


class NotInstalledError(LocumError):
    """A program is not on this machine; the text names the Debian package."""


def find_programs() -> Mapping[str, str]:
    """Return the paths of Prometheus and Alertmanager. Raises `NotInstalledError`, which names Debian packages."""
    found = {
        "prometheus": shutil.which("prometheus"),
        # Debian calls it prometheus-alertmanager, other distributions alertmanager.
        "alertmanager": shutil.which("prometheus-alertmanager") or shutil.which("alertmanager"),
    }
    missing = [_PACKAGES[name] for name, path in found.items() if path is None]
    if missing:
        raise NotInstalledError(
            f"not in the PATH: {' and '.join(missing)}; on Debian: apt-get install {' '.join(missing)}"
        )
    return {name: path for name, path in found.items() if path is not None}


def programs(
    stack: StackLayout,
    site_file: Path,
    found: Mapping[str, str],
    log_format: str = "logfmt",
    held: tuple[socket.socket, ...] = (),
) -> tuple[Program, ...]:
    """Return the programs in the order of starting. Prometheus starts last and stops first.

    `held` has the listening sockets of the actuator.
    """
    ours = ("--log-format", log_format)
    theirs = f"--log.format={'json' if log_format == 'json' else 'logfmt'}"  # they have no text format
    # -P: do not import modules from the current directory of `locum up`.
    python = (sys.executable, "-P", "-m")
    site, me = ("--site", str(site_file)), ("--host", stack.site.actuator.host)
    watched = ["--prometheus", stack.prometheus_url]
    for url in stack.alertmanager_urls:
        watched += ["--alertmanager", url]
    watched += ["--chain-password-file", str(stack.directory / PASSWORD_FILE)]
    watched += ["--chain-ca-file", str(stack.certificate.certificate)]
    watched += ["--chain-cert-file", str(stack.certificate.client_certificate)]
    watched += ["--chain-key-file", str(stack.certificate.client_key)]
    state, on = stack.site.actuator.state_directory, stack.directory
    return (
        Program(
            "exporter",
            (*python, "locum_exporter.server", *site, "--listen", str(stack.exporter), *me, *ours),
            capabilities=frozenset({CAP_NET_RAW}),
        ),
        Program(
            "actuator",
            (
                *python,
                "locum_actuator.server",
                *site,
                "--listen",
                str(stack.actuator),
                "--webhook-listen",
                str(stack.webhook),
                *watched,
                *ours,
            ),
            stop_seconds=end_seconds(stack.site) + 5.0,  # a plan that has started is finished
            sockets=held,
        ),
        Program(
            "alertmanager",
            (
                found["alertmanager"],
                f"--config.file={on / 'alertmanager.yml'}",
                f"--storage.path={state / 'alertmanager'}",
                f"--web.listen-address={stack.alertmanager}",
                f"--web.external-url={stack.alertmanager_urls[0]}",
                f"--web.config.file={on / ALERTMANAGER_FILE}",
                theirs,
                "--cluster.listen-address=",  # without a private address it would not start
            ),
            capabilities=frozenset(),
            may_use_sudo=False,
        ),
        Program(
            "prometheus",
            (
                found["prometheus"],
                f"--config.file={on / 'prometheus.yml'}",
                f"--storage.tsdb.path={state / 'prometheus'}",
                "--storage.tsdb.retention.time=35d",  # the rules count seconds without service over 30 days
                "--storage.tsdb.retention.size=2GB",
                f"--web.listen-address={stack.prometheus}",
                f"--web.external-url={stack.prometheus_url}",
                f"--web.config.file={on / CONFIG_FILE}",
                # Clients that send nothing, or one byte at a time, must not keep other clients out.
                "--web.read-timeout=10s",
                "--web.max-connections=4096",
                "--rules.alert.resend-delay=2s",
                theirs,
            ),
            capabilities=frozenset(),
            may_use_sudo=False,
        ),
    )
