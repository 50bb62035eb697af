"""Change the site file that `locum init` wrote, as an administrator of this lab would."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lab.needs import LabError
from lab.plan import Address

TAKEOVER = "    takeover:\n"  # an anchor line in the section of the lab's service
_FENCE = """\
    fence:
      agent: fence_lab
      options: {{plug: {name}}}
      secret_files: {{password: {password_file}}}
      timeout: 10
"""


def before(text: str, head: str, lines: str) -> str:
    """Insert lines before the first `head`; raise `LabError` if there is none."""
    at = _find(text, head)
    return f"{text[:at]}{lines}{text[at:]}"


def after(text: str, head: str, lines: str) -> str:
    """Insert lines after the first `head`; raise `LabError` if there is none."""
    at = _find(text, head) + len(head)
    return f"{text[:at]}{lines}{text[at:]}"


def with_value(text: str, key: str, value: str) -> str:
    """Replace the value of the first line with a key; raise `LabError` if there is none."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.strip().startswith(f"{key}:"):
            indent = line[: len(line) - len(line.lstrip())]
            lines[number] = f"{indent}{key}: {value}"
            return "\n".join(lines) + "\n"
    raise LabError(f"the site file has no line for {key}")


def with_watchers(text: str, addresses: Mapping[str, Address], home: str, port: int) -> str:
    """Add hosts that only run an exporter, by name, each on `port` as the actuator's host has it."""
    hosts = "".join(f'  {host}: {{address: "{address}"}}\n' for host, address in addresses.items())
    points = {home: "127.0.0.1", **{host: in_url(address) for host, address in addresses.items()}}
    lines = "".join(f'  {host}: {{url: "http://{at}:{port}"}}\n' for host, at in points.items())
    return text.replace("hosts:\n", f"hosts:\n{hosts}", 1) + f"\nvantage_points:\n{lines}"


def with_fence_device(text: str, host: str, password_file: str) -> str:
    """Add the lab's power switch as the fence device of a host."""
    head, lines = rf"^  {host}:\n    address: .*\n", _FENCE.format(name=host, password_file=password_file)
    return re.sub(head, rf"\g<0>{lines}", text, flags=re.MULTILINE)


def in_url(address: Address) -> str:
    """Return an address as it stands in a URL."""
    return f"[{address}]" if address.version == 6 else str(address)


def _find(text: str, head: str) -> int:
    at = text.find(head)
    if at < 0:
        raise LabError(f"the site file has no {head.strip()!r}:\n{text}")
    return at
