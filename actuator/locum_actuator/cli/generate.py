"""`locum generate`: write the configuration that an existing Prometheus, Alertmanager and Grafana need."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click

from locum_actuator.chain.runbook_link import OF_THE_ACTUATOR
from locum_actuator.cli.common.exits import did_not_work, wrong_use
from locum_actuator.cli.common.listen_options import chain_options, stack_of
from locum_actuator.cli.common.site_option import load_or_exit
from locum_actuator.stack.alertmanager import alertmanager_text
from locum_actuator.stack.prometheus import prometheus_text, rules_text, write_alertmanager
from locum_actuator.stack.systemd_units import ACTUATOR, EXPORTER, SOCKET, units
from locum_actuator.system.printing import say
from locum_inventory.shared_files import shared

# The values in the shipped provisioning files, which are replaced if the options differ.
PROMETHEUS_URL, DASHBOARDS = "http://127.0.0.1:9090", "/var/lib/grafana/dashboards/locum"


@click.group()
def generate() -> None:
    """Print or write the configuration that an existing Prometheus, Alertmanager and Grafana need.

    It is the same that `locum up` uses.
    """


@generate.command()
@chain_options
@click.pass_obj
def prometheus(site_file: str | None, /, **listens: Any) -> None:
    """Print prometheus.yml."""
    _print(prometheus_text(stack_of(load_or_exit(site_file)[1], **listens, of_the_site=True)))


@generate.command()
@chain_options
@click.argument("directory", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.pass_obj
def alertmanager(site_file: str | None, /, directory: Path | None, **listens: Any) -> None:
    """Print alertmanager.yml; or write it into DIRECTORY, together with its templates and the runbook.

    Without the templates Alertmanager sends no mail. Only their owner can read the files that are written.
    """
    stack = stack_of(load_or_exit(site_file)[1], **listens, of_the_site=True)
    try:
        if directory is None:
            _print(alertmanager_text(stack))
            if stack.site.mail is not None:
                say(
                    "mail also needs the templates: `locum generate alertmanager DIRECTORY` writes them",
                    err=True,
                )
            # Alertmanager does not start if it cannot read the certificate.
            say(
                f"only the actuator's user can read {stack.certificate.certificate}: if Alertmanager runs as "
                "another user, `locum generate alertmanager DIRECTORY` writes a copy for it",
                err=True,
            )
            return
        for written in write_alertmanager(stack, directory.absolute()):
            say(f"wrote {written}")
    except OSError as fault:
        did_not_work(f"{fault.filename}: {fault.strerror}")


@generate.command()
@chain_options
@click.option(
    "--only",
    type=click.Choice(["exporter", "socket", "actuator", "up"]),
    help="print only this unit file; `up` is the unit of `locum up`, which replaces the other three",
)
@click.pass_obj
def systemd(site_file: str | None, /, only: str | None, **listens: Any) -> None:
    """Print unit files for exporter and actuator, to run with an existing Prometheus; or for `locum up`.

    `locum generate systemd --only actuator > /etc/systemd/system/locum-actuator.service`
    """
    path, site = load_or_exit(site_file)
    texts = units(stack_of(site, **listens), path)
    one = {"socket": SOCKET}.get(only or "", f"locum-{only}.service")
    names = [EXPORTER, SOCKET, ACTUATOR] if only is None else [one]
    _print("\n".join(texts[name] for name in names))


@generate.command()
@click.option(
    "--runbook-url",
    default=OF_THE_ACTUATOR,
    show_default=True,
    help="URL of the runbook that alerts link to: the actuator's page, or your own copy",
)
def rules(runbook_url: str) -> None:
    """Print the alert rules, the same for every site. Save them as locum.rules.yml next to prometheus.yml."""
    if not re.fullmatch(r"https?://[^\s#\"']+", runbook_url):
        wrong_use(f"--runbook-url: '{runbook_url}' is not a URL such as {OF_THE_ACTUATOR}")
    _print(rules_text(runbook_url))


@generate.command()
@click.option(
    "--prometheus-url",
    default=PROMETHEUS_URL,
    show_default=True,
    help="URL at which Grafana reaches Prometheus",
)
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def grafana(directory: Path, prometheus_url: str) -> None:
    """Write the dashboards and Grafana's provisioning files into DIRECTORY."""
    if not prometheus_url.startswith(("http://", "https://")):
        wrong_use(f"--prometheus-url: '{prometheus_url}' is not a URL such as {PROMETHEUS_URL}")
    replaced = {
        f"url: {PROMETHEUS_URL}": f"url: {json.dumps(prometheus_url)}",  # a JSON string is a YAML string
        f"path: {DASHBOARDS}": f"path: {json.dumps(str(directory.absolute() / 'dashboards'))}",
    }
    source = shared("grafana")
    try:
        for file in sorted([*source.glob("dashboards/*.json"), *source.glob("provisioning/*/*.yml")]):
            text = file.read_text(encoding="utf-8")
            if file.suffix == ".yml":
                for shipped, here in replaced.items():
                    text = text.replace(shipped, here)
            written = directory / file.relative_to(source)
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(text, encoding="utf-8")
            say(f"wrote {written}")
    except OSError as fault:
        did_not_work(f"{fault.filename}: cannot be written: {fault.strerror}")


def _print(text: str) -> None:
    say(text, end="" if text.endswith("\n") else "\n")
