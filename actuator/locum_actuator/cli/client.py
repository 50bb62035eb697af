"""How the `locum` command talks to the actuator: over its HTTP API on loopback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
import requests

from locum_actuator.chain.layout import ACTUATOR_PORT
from locum_actuator.cli.exits import did_not_work, wrong_use
from locum_actuator.cli.site_option import load_or_exit

DEFAULT_URL = f"http://127.0.0.1:{ACTUATOR_PORT}"
TIMEOUT_SECONDS = 10.0

actuator_option = click.option(
    "--actuator", "url", default=DEFAULT_URL, show_default=True, metavar="URL", help="the actuator's address"
)
json_option = click.option("--json", "as_json", is_flag=True, help="print JSON, for programs")


def ask(url: str, path: str, **query: str | int) -> Any:
    """Return what the actuator answers to a GET, or end with the reason why there is none."""
    return _body(url, path, "GET", params=query)


def tell(url: str, path: str, token: str, body: Mapping[str, object]) -> Any:
    """Return what the actuator answers to a POST that wants the API token, or end with the reason why not."""
    return _body(url, path, "POST", json=body, headers={"Authorization": f"Bearer {token}"})


def api_token(site_file: str | None) -> str:
    """Return the token in the site's api_token_file, or end with the reason why there is none."""
    path = load_or_exit(site_file)[1].actuator.api_token_file
    if path is None:
        wrong_use(
            "locum: the site file names no actuator.api_token_file, so nobody may tell the actuator anything"
        )
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else "it is no text"
        did_not_work(f"locum: {path} cannot be read: {why}; run this as root or as the user locum")


def _body(url: str, path: str, method: str, **parts: Any) -> Any:
    try:
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the environment has no business on loopback
            answer = session.request(method, f"{url.rstrip('/')}{path}", timeout=TIMEOUT_SECONDS, **parts)
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
