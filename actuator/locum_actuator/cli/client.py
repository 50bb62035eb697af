"""How the `locum` command talks to the actuator: over its HTTP API on loopback."""

from __future__ import annotations

from typing import Any

import click
import requests

from locum_actuator.chain.layout import ACTUATOR_PORT
from locum_actuator.cli.exits import did_not_work, wrong_use

DEFAULT_URL = f"http://127.0.0.1:{ACTUATOR_PORT}"
TIMEOUT_SECONDS = 10.0

actuator_option = click.option(
    "--actuator", "url", default=DEFAULT_URL, show_default=True, metavar="URL", help="the actuator's address"
)
json_option = click.option("--json", "as_json", is_flag=True, help="print JSON, for programs")


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
