"""`locum check --live`: what it says of fence devices and their secrets. The agents are real scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from locum_actuator.cli.live_check import fencing as check_fence
from locum_actuator.cli.live_check.finding import Finding
from locum_exporter.net.icmp import Pinger
from locum_inventory.shared_files import shared
from locum_inventory.site.model import Site
from tests.actuator.fakes import site
from tests.actuator.steps.fence_scripts import actions, make
from tests.support.marks import needs_root


def with_fence(*devices: dict[str, object]) -> Site:
    values = site().model_dump()
    values["hosts"]["a"] = {**values["hosts"]["a"], "address": "127.0.0.1", "fence": list(devices)}
    return Site.model_validate(values)


async def found(values: Site) -> list[Finding]:
    async with Pinger() as pinger:
        return await check_fence.devices(values, pinger)


@needs_root
async def test_each_device_says_on(tmp_path: Path) -> None:
    one, two = (str(make(tmp_path, name, "honest")) for name in ("one", "two"))
    assert await found(with_fence({"command": [one]}, {"command": [two]})) == [
        Finding("fence 1 of a (one)", "ok", "reports that a is on"),
        Finding("fence 2 of a (two)", "ok", "reports that a is on"),
    ]
    assert set(actions(tmp_path)) == {"status"}, "nothing is switched by a check"


@needs_root
async def test_a_device_that_says_off_while_the_host_answers_is_the_wrong_one(tmp_path: Path) -> None:
    (tmp_path / "off").touch()
    (finding,) = await found(with_fence({"command": [str(make(tmp_path, "one", "honest"))]}))
    assert finding.line == (
        "fence of a (one): reports that a is off, but a answers a ping; fix: find out what it switches: if not the"
        " power of this host, locum must not rely on it"
    )
    assert finding.state == "wrong"


@needs_root
async def test_a_device_that_cannot_be_asked_is_no_fence(tmp_path: Path) -> None:
    (finding,) = await found(with_fence({"agent": "fence_nowhere"}))
    assert finding == Finding(
        "fence of a (fence_nowhere)",
        "wrong",
        "did not answer: there is no program fence_nowhere on this host",
        f"a device that does not answer cannot fence a: see {shared('docs/fencing.md')}",
    )


SECRETS = {
    "sound": ("x\n", 0o640, "present (mode 0640)"),
    "open to all": ("x\n", 0o644, "is accessible to other users (mode 0644)"),
    "empty": ("", 0o640, "is empty"),
    "missing": (None, 0, "is missing"),
}


@pytest.mark.parametrize(("content", "mode", "text"), SECRETS.values(), ids=SECRETS)
def test_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, mode: int, text: str
) -> None:
    monkeypatch.setattr(check_fence, "ACTUATORS_USER", "no-such-user")
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_text(content)
        secret.chmod(mode)
    values = with_fence({"agent": "fence_x", "secret_files": {"password": str(secret)}})
    assert [(one.what, one.text) for one in check_fence.secrets(values)] == [(f"fence secret {secret}", text)]


@needs_root
def test_a_secret_that_the_actuators_user_cannot_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_fence, "ACTUATORS_USER", "nobody")
    secret = tmp_path / "secret"
    secret.write_text("x\n")
    secret.chmod(0o600)
    (finding,) = check_fence.secrets(
        with_fence({"agent": "fence_x", "secret_files": {"password": str(secret)}})
    )
    assert finding.text == "cannot be read by nobody, the user that runs the actuator"
