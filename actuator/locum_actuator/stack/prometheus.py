"""Write the configuration of Prometheus and Alertmanager for one chain.

`locum up` writes these texts and starts the programs with them; `locum generate` prints the same texts for an
existing Prometheus and Alertmanager.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from locum_actuator.chain.runbook_link import OF_THE_ACTUATOR, runbook_link, with_links
from locum_actuator.stack.alertmanager import (
    CERTIFICATE,
    alertmanager_text,
    beside_alertmanager,
    quoted,
)
from locum_actuator.stack.layout import StackLayout
from locum_actuator.stack.web_config import (
    ALERTMANAGER_FILE,
    CLIENT_FILE,
    CONFIG_FILE,
    alertmanager_web_text,
    client_config_text,
    web_config_text,
    write_password,
)
from locum_actuator.system.private_file import write_private
from locum_inventory.shared_files import shared
from locum_inventory.site.model import ChainParts

RULES_FILE = "locum.rules.yml"


def rules_text(runbook: str = OF_THE_ACTUATOR) -> str:
    """Return the alert rules. Apart from the URL of the runbook they are the same for every site."""
    return with_links(shared(f"alert_rules/{RULES_FILE}").read_text(encoding="utf-8"), runbook)


def _targets(name_to_url: Mapping[str, str]) -> str:
    lines = []
    for name, url in name_to_url.items():
        parts = urlsplit(url)
        lines.append(
            f"      - targets: [{quoted(parts.netloc)}]\n"
            f"        labels: {{vantage_point: {quoted(name)}, __scheme__: {parts.scheme}}}\n"
        )
    return "".join(lines)


def _reached_alike(urls: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield scheme, path and targets, grouped by scheme and path."""
    alike: dict[tuple[str, str], list[str]] = {}
    for parts in map(urlsplit, urls):
        alike.setdefault((parts.scheme, parts.path), []).append(quoted(parts.netloc))
    for (scheme, path), targets in alike.items():
        yield scheme, path, f"targets: [{', '.join(targets)}]"


def _access(parts: ChainParts, scheme: str) -> list[str]:
    """Return the authentication keys for Prometheus's configuration; the password is used over TLS only."""
    if scheme != "https":
        return []
    keys, files = [], {"ca_file": parts.ca_file, "cert_file": parts.cert_file, "key_file": parts.key_file}
    if parts.password_file is not None:
        name, file = quoted(parts.username), quoted(parts.password_file)
        keys.append(f"basic_auth: {{username: {name}, password_file: {file}}}")
    if given := [f"{key}: {quoted(file)}" for key, file in files.items() if file is not None]:
        keys.append(f"tls_config: {{{', '.join(given)}}}")
    return keys


def _alerting(parts: ChainParts) -> str:
    """Return the Alertmanagers to which Prometheus sends alerts."""
    entries = []
    for scheme, path, targets in _reached_alike(parts.alertmanagers):
        keys = [f"scheme: {scheme}"] if scheme != "http" else []
        keys += _access(parts, scheme)
        keys += [f"path_prefix: {quoted(path)}"] if path else []
        entries.append("\n      ".join([*keys, f"static_configs:\n        - {targets}\n"]))
    return "".join(f"    - {entry}" for entry in entries)


def _own_job(name: str, parts: ChainParts, urls: Iterable[str]) -> str:
    """Return the jobs that scrape a program's own metrics, with a separate job for those that need credentials."""
    jobs: list[str] = []
    alike = list(_reached_alike(urls))
    for shown in (False, True):
        entries, keys = "", ["scrape_interval: 5s"]
        for scheme, path, targets in alike:
            if bool(_access(parts, scheme)) is not shown:
                continue
            keys = [keys[0], *_access(parts, scheme)]
            entries += f"      - {targets}\n"
            if (scheme, path) != ("http", ""):
                metrics = quoted(f"{path}/metrics")
                entries += f"        labels: {{__scheme__: {scheme}, __metrics_path__: {metrics}}}\n"
        if entries:
            if jobs:
                keys.append(f"relabel_configs: [{{target_label: job, replacement: {name}}}]")
            lines = "".join(f"    {key}\n" for key in keys)
            job = f"{name}-tls" if jobs else name
            jobs.append(f"  - job_name: {job}\n{lines}    static_configs:\n{entries}")
    return "".join(jobs)


def prometheus_text(stack: StackLayout) -> str:
    """Return prometheus.yml for a chain."""
    discovery = dict.fromkeys([*stack.exporter_urls.values(), stack.exporter.url])
    sd = "".join(f"      - url: {quoted(url + '/sd')}\n        refresh_interval: 5s\n" for url in discovery)
    return f"""\
# Made by `locum generate prometheus`. Start Prometheus with --rules.alert.resend-delay=2s: an Alertmanager that was
# down when an alert began receives it with that delay (the default is a minute).
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s

rule_files: [{RULES_FILE}]

# Every Alertmanager by its own address, never a load balancer: each of them must receive every alert.
alerting:
  alertmanagers:
{_alerting(stack.parts)}
scrape_configs:
  # The checks. Every exporter lists the targets of all exporters, each with its own interval; a target listed twice
  # is scraped once. A new service needs no change here.
  - job_name: locum-probe
    http_sd_configs:
{sd}
  # The parts of the monitoring chain.
  - job_name: locum-exporter
    static_configs:
{_targets(stack.exporter_urls)}
  - job_name: locum-actuator
    static_configs:
      - targets: [{quoted(stack.actuator)}]

{_own_job("locum-prometheus", stack.parts, [stack.prometheus_url])}
{_own_job("locum-alertmanager", stack.parts, stack.alertmanager_urls)}"""


def write_configuration(stack: StackLayout) -> None:
    """Write the configuration of Prometheus and Alertmanager, readable by its owner only."""
    state = stack.site.actuator.state_directory
    for directory in (state, stack.directory, state / "log", state / "prometheus", state / "alertmanager"):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    stack.certificate.make()
    web = web_config_text(stack.certificate, write_password(stack.directory))
    alertmanager = alertmanager_web_text(stack.certificate)
    client = client_config_text(stack.certificate)
    write_files(stack.directory, {CONFIG_FILE: web, ALERTMANAGER_FILE: alertmanager, CLIENT_FILE: client})
    write_files(
        stack.directory,
        {
            "prometheus.yml": prometheus_text(stack),
            RULES_FILE: rules_text(runbook_link(stack.site, stack.actuator.url)),
        },
    )
    write_alertmanager(stack, stack.directory)


def write_alertmanager(stack: StackLayout, directory: Path) -> list[Path]:
    """Write alertmanager.yml and the files that belong next to it; return their paths.

    Only their owner can read them, because alertmanager.yml contains the secret URL of a dead-man's switch:
    Alertmanager before 0.26 cannot read it from a file. OSError if a file cannot be read or written.
    """
    text = alertmanager_text(stack, directory)
    try:
        stack.certificate.make()
    except FileNotFoundError as fault:
        why = "does not exist yet: start the actuator once, it creates the certificate of the chain"
        raise FileNotFoundError(errno.ENOENT, why, str(stack.site.actuator.state_directory)) from fault
    certificate = stack.certificate.certificate.read_text(encoding="ascii")
    beside = {**beside_alertmanager(), CERTIFICATE: certificate}
    return write_files(directory, {**beside, "alertmanager.yml": text})


def write_files(directory: Path, name_to_text: Mapping[str, str]) -> list[Path]:
    """Write files in order, each atomically and readable by its owner only; return their paths."""
    written = []
    for name, text in name_to_text.items():
        path = directory / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        written.append(write_private(path, text.encode()))
    return written
