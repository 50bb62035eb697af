"""What people are mailed, through a real Alertmanager and a real SMTP server, and that one fault is one mail."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.alert_rules.live_alertmanager import SOONER, LiveAlertmanager
from tests.alert_rules.live_chain import LiveChain, World
from tests.alert_rules.mailbox import Mailbox
from tests.alert_rules.mails import DIRECTORY, NOT_MAILED, ROOT, a_site, every_mail, faults
from tests.support.polling import wait_for

e2e = pytest.mark.e2e
PASSWORD = "a password: #1"
PARTS = ("exporter b", "exporter c", "actuator", "Alertmanager", "Prometheus")
SETTLED_SECONDS = 1.5  # several group_intervals of these tests: what has not come by then does not come


def _rule_names() -> set[str]:
    groups = yaml.safe_load((ROOT / "alert_rules" / "locum.rules.yml").read_text())["groups"]
    return {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}


def test_there_is_a_mail_for_each_alert_and_a_file_for_each_mail() -> None:
    assert {f"Locum{name}" for name in faults() if "-" not in name} == _rule_names() - NOT_MAILED
    assert sorted(path.stem for path in DIRECTORY.glob("*")) == sorted(faults())


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return dict(every_mail(tmp_path_factory.mktemp("mails")))


@e2e
@pytest.mark.parametrize("name", sorted(faults()))
def test_mails_are_as_the_files_show_them(name: str, sent: dict[str, str]) -> None:
    """After a change of words: `python -m tests.alert_rules.mails --write`, and read what it wrote."""
    assert sent[f"{name}.txt"] == (DIRECTORY / f"{name}.txt").read_text()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as box:
        yield box


@pytest.fixture
def alertmanager(mailbox: Mailbox, tmp_path: Path) -> Iterator[LiveAlertmanager]:
    with LiveAlertmanager(tmp_path, a_site(mailbox.smarthost, tmp_path)) as started:
        yield started


def an_alert(name: str, summary: str | None = None, /, **labels: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "severity": "critical", **labels},
        "annotations": {"summary": summary or f"{name} of {labels}"},
    }


@e2e
def test_nobody_writes_headers_or_lines_of_his_own(alertmanager: LiveAlertmanager, mailbox: Mailbox) -> None:
    evil = "x\r\nBcc: all@example.org\r\n\r\nSeverity: none\u2028\u202egnp.exe\x00 " + "long " * 100
    alert = an_alert("LocumServiceDown", evil, service="www")
    alert["labels"]["severity"] = "critical\nBcc: all@example.org"
    alert["annotations"] |= dict.fromkeys(("description", "action", "todo", "runbook_url"), evil)
    alertmanager.post([alert])
    (mail,) = mailbox.wait_for(1)
    assert mail.recipients == ("ops@example.org",)
    assert "Bcc" not in mail.message
    start = "[locum] critical Bcc: all@ex: x Bcc: all@example.org Severity: none gnp.exe long long "
    assert mail.subject.startswith(start)
    assert len(mail.subject) < 200
    assert [line for line in mail.text.splitlines() if line.startswith(("Bcc", "Severity: none"))] == []
    assert not set(mail.text) & set("\u2028\u202e\x00")


@e2e
def test_somebody_elses_alert_is_mailed_as_well_as_can_be(
    alertmanager: LiveAlertmanager, mailbox: Mailbox
) -> None:
    began = "2026-02-03T03:59:11Z"
    alertmanager.post([{"labels": {"alertname": "DiskFull"}, "annotations": {}, "startsAt": began}])
    (mail,) = mailbox.wait_for(1)
    assert mail.subject == "[locum] alert: DiskFull"
    assert mail.text.startswith("DiskFull\nSeverity: none. Began: 2026-02-03 03:59:11 UTC.\n\nPage: https:")


@e2e
def test_one_fault_is_one_mail(alertmanager: LiveAlertmanager, mailbox: Mailbox) -> None:
    """A host died, was taken over, and what follows from that is not reported as well."""
    alertmanager.post(
        [
            an_alert("LocumServiceDown", service="www", host="a", tier="250ms", locum_action="true"),
            an_alert("LocumAddressUnheld", service="www", tier="250ms", locum_action="true"),
            an_alert("LocumTakeover", "www was taken over by b", service="www"),
            an_alert("LocumAlone", service="www"),
            an_alert("LocumHostUnreachable", host="a"),
            an_alert("LocumStandbyNotReady", service="dns", host="a"),
            an_alert("LocumCannotLook", service="dns", host="a", check="process"),
        ]
    )
    time.sleep(SETTLED_SECONDS)
    (mail,) = mailbox.received
    assert mail.subject == "[locum] critical: www was taken over by b (and 2 more)"


@e2e
def test_what_follows_is_told_once_the_takeover_is_old(
    alertmanager: LiveAlertmanager, mailbox: Mailbox
) -> None:
    takeover = an_alert("LocumTakeover", "www was taken over by b", service="www")
    alone = an_alert("LocumAlone", "no standby is left", service="www")
    alertmanager.post([takeover, alone, an_alert("LocumHostUnreachable", "a is silent", host="a")])
    mailbox.wait_for(1)
    alertmanager.post([{**takeover, "endsAt": "2026-02-03T04:07:00Z"}])
    assert sorted(mail.subject for mail in mailbox.wait_for(3)) == [
        "[locum] critical: a is silent",
        "[locum] critical: no standby is left",
        "[locum] critical: www was taken over by b",
    ]


@e2e
def test_what_was_mended_at_once_is_not_mailed(mailbox: Mailbox, tmp_path: Path) -> None:
    down = an_alert("LocumServiceDown", service="www", host="a", locum_action="true")
    slower = {**SOONER, "group_wait: 10s": "group_wait: 1s"}
    with LiveAlertmanager(tmp_path, a_site(mailbox.smarthost, tmp_path), slower) as alertmanager:
        alertmanager.post([down])
        alertmanager.post([{**down, "endsAt": "2026-02-03T04:07:00Z"}])
        alertmanager.post([an_alert("LocumExporterGone", "the last to be sent")])
        mailbox.wait_for(1)
        time.sleep(SETTLED_SECONDS)
    assert [mail.subject for mail in mailbox.received] == ["[locum] critical: the last to be sent"]


LOGINS = {"the right password": (PASSWORD, True), "a wrong one": ("guessed", False)}


@e2e
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # this server is on loopback
@pytest.mark.parametrize(("password", "right"), LOGINS.values(), ids=LOGINS)
def test_it_logs_in_with_the_password_of_a_file(password: str, right: bool, tmp_path: Path) -> None:
    file = tmp_path / "mail.password"
    file.write_text(password)
    with Mailbox(login=("locum", PASSWORD)) as mailbox:
        site = a_site(mailbox.smarthost, tmp_path, username="locum", password_file=str(file))
        with LiveAlertmanager(tmp_path, site) as alertmanager:
            alertmanager.post([an_alert("LocumExporterGone", "an exporter is gone")])
            if right:
                assert [mail.login for mail in mailbox.wait_for(1)] == ["locum"]
                return
            wait_for(lambda: mailbox.refused_logins, "a login is refused", 10)
            assert mailbox.received == []
            assert password not in alertmanager.log()


@e2e
def test_from_a_failing_check_to_the_mail_and_back(mailbox: Mailbox, tmp_path: Path) -> None:
    """The whole way, with a real Prometheus and the shipped rules: www is taken over, dns gets well on its own."""
    world = World(("dns", "www"), "250ms")
    taken_over = 'locum_actuator_takeovers_total{service="www"}'
    world.actuator_metrics[taken_over] = 0
    mail = {"to": ["ops@example.org"], "sender": "locum@example.org", "smarthost": mailbox.smarthost}
    live = LiveChain(tmp_path, world, site={"mail": mail})
    config = live.directory / "alertmanager.yml"
    config.write_text(config.read_text().replace("group_interval: 1m", "group_interval: 3s"))
    with live:
        live.wait_for_targets(len(world.services) * len(world.hosts) + len(PARTS))
        time.sleep(2)  # the counter is to be seen at 0 before it counts
        begun = time.monotonic()
        world.failing |= {"dns", "www"}
        time.sleep(1)
        world.holders["www"] = "b"
        world.actuator_metrics[taken_over] = 1
        first = {mail.subject: mail.text for mail in mailbox.wait_for(2, deadline_seconds=20)}
        print(f"notified {time.monotonic() - begun:.1f} s after the fault")
        assert time.monotonic() - begun < 15
        assert sorted(first) == [
            "[locum] critical: dns fails its checks on a, which holds its address",
            "[locum] warning: www was taken over by b",
        ]
        assert "\nOver: www fails its checks on a, which holds its address\n" in first[max(first)]
        world.failing -= {"dns"}
        *_, last = mailbox.wait_for(3, deadline_seconds=15)
        assert last.subject == "[locum] over: dns fails its checks on a, which holds its address"
