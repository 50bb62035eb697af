"""Send the `locum` command's requests to the actuator: over its Unix socket, or over HTTP if a URL is given.

A token is sent over the socket only, because the kernel reports which user listens there. While the actuator is
down any user can listen on a loopback port, so only requests without a token go there, unless a person gives
the URL.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click
import requests

from locum_actuator.api.bearer_auth import token_command
from locum_actuator.cli.common.exits import did_not_work, wrong_use
from locum_actuator.cli.common.site_option import load_or_exit
from locum_actuator.stack.layout import ACTUATOR_PORT
from locum_actuator.web.own_socket import NotTheActuatorError, OwnSocket
from locum_inventory.site.load import SiteError, find_site, load_site

DEFAULT_URL = f"http://127.0.0.1:{ACTUATOR_PORT}"
UNIX = "unix:"  # then the state directory
TIMEOUT_SECONDS = 10.0


def _default(context: click.Context, _option: click.Parameter, value: str | None) -> str:
    """Return the URL that was given, else the socket in the site's state directory."""
    if value is not None:
        return value
    try:
        return f"{UNIX}{load_site(find_site(context.obj)).actuator.state_directory}"
    except SiteError:
        return DEFAULT_URL


actuator_option = click.option(
    "--actuator",
    "url",
    callback=_default,
    metavar="URL",
    help="the actuator's address, such as http://127.0.0.1:10752 [default: its socket in the state directory]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="print JSON, for programs")


def ask(url: str, path: str, **query: str | int) -> Any:
    """Send a GET to the actuator and return its answer; exit with the reason if there is none."""
    if query:
        path = f"{path}?{urlencode(query)}"
    if url.startswith(UNIX):
        try:
            return _judged(*_over_socket(url, "GET", path))
        except (OSError, http.client.HTTPException):
            url = DEFAULT_URL  # the request holds no secret, and any user of this machine may read the answer
    return _judged(*_over_http(url, "GET", path))


def tell(url: str, path: str, token: str, body: Mapping[str, object]) -> Any:
    """Send a POST with the API token and return the answer; exit with the reason if it is refused."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    if not url.startswith(UNIX):
        return _judged(*_over_http(url, "POST", path, data=json.dumps(body), headers=headers))
    where = url.removeprefix(UNIX)
    try:
        return _judged(*_over_socket(url, "POST", path, json.dumps(body), headers))
    except NotTheActuatorError as fault:
        did_not_work(f"locum: the token was not sent: {fault}")
    except (FileNotFoundError, ConnectionRefusedError):
        did_not_work(f"locum: no actuator answers in {where}; is `locum up` or locum-actuator running?")
    except PermissionError:
        did_not_work(f"locum: {where} cannot be opened; run this as root or as the user locum")
    except (OSError, http.client.HTTPException) as fault:
        did_not_work(f"locum: the actuator in {where} does not answer: {fault}")


def api_token(site_file: str | None) -> str:
    """Return the token in the site's api_token_file; exit with the reason if there is none."""
    path = load_or_exit(site_file)[1].actuator.api_token_file
    if path is None:
        wrong_use("locum: the site file sets no actuator.api_token_file, so the actuator accepts no commands")
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        did_not_work(f"locum: {path} (actuator.api_token_file) is missing; make it: {token_command(path)}")
    except (OSError, UnicodeDecodeError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else "it is not text"
        did_not_work(f"locum: {path} cannot be read: {why}; run this as root or as the user locum")


def _over_socket(
    url: str, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """Return status and JSON. Raises `OSError` and `http.client.HTTPException`."""
    connection = OwnSocket(Path(url.removeprefix(UNIX)), TIMEOUT_SECONDS)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, _parsed(answer.read(), path)
    finally:
        connection.close()


def _over_http(url: str, method: str, path: str, **parts: Any) -> tuple[int, Any]:
    try:
        with requests.Session() as session:
            session.trust_env = False  # a proxy from the environment must not be used for loopback
            answer = session.request(method, f"{url.rstrip('/')}{path}", timeout=TIMEOUT_SECONDS, **parts)
            return answer.status_code, _parsed(answer.content, path)
    except requests.exceptions.ConnectionError:
        did_not_work(f"locum: no actuator answers at {url}; is `locum up` or locum-actuator running?")
    except requests.exceptions.RequestException as fault:
        did_not_work(f"locum: {url}{path}: {fault}")


def _parsed(body: bytes, path: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        did_not_work(f"locum: {path}: the answer is not JSON")


def _judged(status: int, body: Any) -> Any:
    """Return the body of a successful answer; exit on any other."""
    why = body.get("error") if isinstance(body, dict) else None
    if status == 404:
        wrong_use(f"locum: {why or 'not found'}")
    if not 200 <= status < 400:
        did_not_work(f"locum: {why or status}")
    return body
