"""How the `locum` command talks to the actuator: over its HTTP API on loopback."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click
import requests

from locum_inventory.load import SiteFault, find_site, load_site
from locum_inventory.model import Site

DEFAULT_URL = "http://127.0.0.1:10752"
TIMEOUT_SECONDS = 10.0

actuator_option = click.option(
    "--actuator", "url", default=DEFAULT_URL, show_default=True, metavar="URL", help="the actuator's address"
)
json_option = click.option("--json", "as_json", is_flag=True, help="print JSON, for programs")


def wrong_use(*lines: str) -> NoReturn:
    """End with exit code 2: wrong use, or a faulty site file."""
    for line in lines:
        click.echo(line, err=True)
    sys.exit(2)


def did_not_work(line: str) -> NoReturn:
    """End with exit code 1: it did not work."""
    click.echo(line, err=True)
    sys.exit(1)


def site_of(site_file: str | None) -> Site:
    """Load the site file that a command was given, or end with its faults."""
    try:
        return load_site(find_site(site_file))
    except SiteFault as fault:
        wrong_use(*fault.lines)


def ask(url: str, path: str, **query: str | int) -> Any:
    """Return what the actuator answers to a GET, or end with the reason why there is none."""
    try:
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the environment has no business on loopback
            answer = session.get(f"{url.rstrip('/')}{path}", params=query, timeout=TIMEOUT_SECONDS)
            body = answer.json()
    except requests.exceptions.ConnectionError:
        did_not_work(f"locum: no actuator answers at {url}; is `locum up` or locum-actuator running?")
    except (requests.exceptions.RequestException, ValueError) as fault:
        did_not_work(f"locum: {url}{path}: {fault}")
    if answer.status_code == 404:
        wrong_use(f"locum: {body.get('error', 'not found')}")
    if not answer.ok:
        did_not_work(f"locum: {body.get('error', answer.status_code)}")
    return body
