"""The page in a browser, with a real incident while it is open; and what it lets a person do."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.forward import Forwarder
from lab.locum import ALERTMANAGER, HOME, Locum, curl
from tests.e2e.browser import Browser, browser

pytestmark = pytest.mark.e2e

ACTUATOR_PORT = 10752


@pytest.fixture
def page(fresh: Locum) -> Iterator[Browser]:
    """A browser on this machine that has the page open, forwarded as `ssh -L` does."""
    with Forwarder() as forwarder, browser() as opened:
        opened.driver.get(forwarder.forward(fresh.lab.hosts[HOME], ACTUATOR_PORT).url)
        opened.wait(lambda: "live" in opened.text("#pulse"), "the page is live")
        yield opened


def heard_aloud(page: Browser) -> None:
    """Note everything that a screen reader would say from now on."""
    page.run(
        "const announcer = document.getElementById('announcer'); window.heard = [];"
        "new MutationObserver(() => heard.push(announcer.textContent)).observe(announcer, {childList: true})"
    )


def unlock(page: Browser, token: str) -> None:
    page.find("#token").send_keys(token)
    page.find("#token-form button").click()


def post(page: Browser, path: str, token: str | None) -> int:
    """Post as a script in the page would; return the status."""
    status: int = page.run(
        "const headers = {'Content-Type': 'application/json'};"
        "if (arguments[1]) headers.Authorization = `Bearer ${arguments[1]}`;"
        "return fetch(arguments[0], {method: 'POST', headers, body: '{}'}).then((answer) => answer.status)",
        path,
        token,
    )
    return status


def shows_its_steps(page: Browser, act: str) -> bool:
    """Ask for a move once; on a machine too busy to look it is refused, and the dialog says so."""
    page.find(f"button[data-act={act}]").click()
    is_filled = (
        "const words = document.getElementById('ask').textContent; return !words.includes('Checking what')"
    )
    page.wait(lambda: page.run(is_filled), "the dialog says what would be done")
    if page.text("#ask-words li"):
        return True
    page.find("#ask-no").click()
    return False


def test_an_incident_is_seen_without_a_reload_and_a_person_acts(
    fresh: Locum, page: Browser, tmp_path: Path
) -> None:
    lab = fresh.lab
    page.wait(lambda: "Held by a" in page.text(".held"), "a holds the service")
    page.wait(lambda: page.text("td.ok").count("ok") >= 4, "Prometheus tells how the checks went")
    page.wait(lambda: "Nothing: " in page.text(".now"), "what locum would do now")
    page.run("window.never_reloaded = true")
    first = page.run(
        "const row = document.querySelector('table.incidents a'); row.focus(); return row.textContent"
    )
    heard_aloud(page)

    hung = lab.hang_service("a")
    page.wait(lambda: "Held by b" in page.text(".held"), "the takeover is seen")
    fresh.wait_incident("takeover", since=hung)
    page.wait(lambda: "takeover" in page.text(".shown .outcome"), "and how it ended")
    for step in ("LocumServiceDown on a", "release on a", "claim on b", "prove on b"):
        assert step in page.text(".shown svg.timeline text.label")
        assert step in page.text(".shown table.course")
    assert page.run("return document.querySelectorAll('.shown svg rect.bar.done').length") >= 5
    assert page.run("return window.never_reloaded")
    assert page.run("return document.activeElement.textContent") == first, "the focus stays where it was"
    assert page.run("return document.querySelector('table.incidents a').textContent") != first
    heard = page.run("return heard")
    assert any("www is held by b" in words for words in heard), heard
    assert len(heard) <= 8, f"it chatters: {heard}"
    page.picture(tmp_path / "page.png", 1280)

    for width in (360, 1280):
        page.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        assert page.run("return document.documentElement.scrollWidth <= innerWidth"), f"wider than {width}"
        wide = "one => one.scrollWidth > one.clientWidth"
        cut = f"return [...document.querySelectorAll('.scroll')].filter({wide}).length"
        assert page.run(cut) == 0, f"a table is cut at {width}"

    # No client acts without the token, and the page offers nothing.
    assert page.text(".acts button").strip() == ""
    assert post(page, "/api/v1/services/www/pause", None) == 401
    assert post(page, "/api/v1/services/www/pause", "not-the-token-at-all") == 401
    unlock(page, "not-the-token-at-all")
    page.wait(lambda: "not the API token" in page.text("#token-fault"), "a wrong token is reported")
    assert fresh.command("status", "www", "--json").stdout.count('"pause": null') == 1

    page.find("#token").clear()
    unlock(page, lab.run(HOME, ["cat", "/etc/locum/api.token"]).stdout.strip())
    page.wait(lambda: "Pause" in page.text(".acts button"), "the buttons are there")
    page.find("button[data-act=pause]").click()
    assert "stays down" in page.text("#ask")
    assert page.run("return document.activeElement.id") == "ask-no", "the safe answer has the focus"
    page.find("#ask-no").click()
    assert json.loads(fresh.command("status", "www", "--json").stdout)["pause"] is None, "asked is not done"
    page.find("button[data-act=pause]").click()
    page.find("#ask-reason").send_keys("new disks")
    page.find("#ask-yes").click()
    page.wait(lambda: "new disks" in page.text(".notice"), "the pause is seen")
    assert json.loads(fresh.command("status", "www", "--json").stdout)["pause"]["reason"] == "new disks"

    page.find("button[data-act=switchover]").click()
    page.wait(lambda: "refused" in page.text("#ask-words"), "a move of a paused service says so beforehand")
    assert not page.find("#ask-yes").is_displayed()
    page.find("#ask-no").click()
    page.find("button[data-act=resume]").click()
    page.find("#ask-yes").click()
    page.wait(lambda: "new disks" not in page.text(".notice"), "it is resumed")

    assert "localStorage" not in page.run("return Object.keys(sessionStorage).join() || 'nothing'")
    assert page.run("return [localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    expected = ("401",)  # the two posts, and the wrong token
    assert [line for line in page.complaints() if not any(word in line for word in expected)] == []


def test_a_silence_is_seen_and_a_failback_goes_its_way(fresh: Locum, page: Browser) -> None:
    lab = fresh.lab
    now = time.time()
    when = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + offset)) for offset in (-5, 600)]
    silence = {
        "matchers": [{"name": "service", "value": "w.*", "isRegex": True, "isEqual": True}],
        "startsAt": when[0], "endsAt": when[1], "createdBy": "anna", "comment": "new kernel",
    }  # fmt: skip
    lab.run(
        HOME,
        curl(
            "-H",
            "Content-Type: application/json",
            "-d",
            json.dumps(silence),
            f"{ALERTMANAGER}/api/v2/silences",
        ),
    )
    page.wait(lambda: "by anna (new kernel)" in page.text(".notice"), "the silence is seen", seconds=60)
    assert "LocumServiceDown on a" in page.text(".notice")

    unlock(page, lab.run(HOME, ["cat", "/etc/locum/api.token"]).stdout.strip())
    page.wait(lambda: "Switch over to b" in page.text(".acts"), "the buttons are there")
    for act, holder in (("switchover", "b"), ("failback", "a")):
        page.wait(lambda act=act: page.text(f"button[data-act={act}]") != "", "the button is there")  # type: ignore[misc]
        page.wait(lambda: "Open incident" not in page.text(".shown"), "nothing is open")
        page.wait(lambda act=act: shows_its_steps(page, act), "its steps are shown", seconds=60)  # type: ignore[misc]
        assert page.text("#ask-words li").splitlines()[-1] == f"prove on {holder}"
        page.find("#ask-by").send_keys("anna")
        page.find("#ask-yes").click()
        page.wait(lambda holder=holder: f"Held by {holder}" in page.text(".held"), "it has moved")  # type: ignore[misc]
        page.wait(lambda act=act: act in page.text(".shown .outcome"), "and its incident tells so")  # type: ignore[misc]
        assert "anna, on the page" in page.text(".shown .facts")
    assert page.complaints() == []
