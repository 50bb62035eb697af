"""`locum generate`: the configuration that an existing Prometheus and Alertmanager need."""

from __future__ import annotations

from typing import Any

import click

from locum_actuator.chain.configuration import alertmanager_text, prometheus_text, rules_text
from locum_actuator.cli.chain_options import chain_of, chain_options
from locum_actuator.cli.site_option import load_or_exit


@click.group()
def generate() -> None:
    """Print what an existing Prometheus and Alertmanager need: the very text that `locum up` uses."""


@generate.command()
@chain_options
@click.pass_obj
def prometheus(site_file: str | None, /, **listens: Any) -> None:
    """Print prometheus.yml."""
    _print(prometheus_text(chain_of(load_or_exit(site_file)[1], **listens)))


@generate.command()
@chain_options
@click.pass_obj
def alertmanager(site_file: str | None, /, **listens: Any) -> None:
    """Print alertmanager.yml."""
    _print(alertmanager_text(chain_of(load_or_exit(site_file)[1], **listens)))


@generate.command()
def rules() -> None:
    """Print the alert rules, to be laid beside prometheus.yml as locum.rules.yml. They serve every site."""
    _print(rules_text())


def _print(text: str) -> None:
    click.echo(text, nl=not text.endswith("\n"))
