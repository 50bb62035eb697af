"""The mails as people get them: sent by a real Alertmanager with the shipped templates to a real SMTP server.

The alerts are those that the promtool tests hold the rules to, so that their words are the rules' own.
`python -m tests.alert_rules.mails --write` renews alert_rules/mails/, where a person can read them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yaml import CSafeLoader, load

from locum_inventory.site.load import load_site
from locum_inventory.site.model import Mail, Site
from tests.alert_rules.live_alertmanager import LiveAlertmanager
from tests.alert_rules.mailbox import Mailbox, Received

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "alert_rules" / "mails"
BEGAN, SEEN, ENDED = "2026-02-03T03:59:11Z", "2026-02-03T03:59:13Z", "2026-02-03T04:07:00Z"
NOT_MAILED = {"LocumHeartbeat"}
TOLD_ONCE = {"LocumRespawned"}  # severity info: no mail is needed to say that it is over
LINKS = {
    "page": "https://locum.example.org",
    "grafana": "https://grafana.example.org",
    "runbook": "https://wiki.example.org/locum/RUNBOOK.md",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is sent together: alerts that fire, and alerts that fired and are over."""

    firing: tuple[dict[str, Any], ...]
    over: tuple[dict[str, Any], ...] = ()

    @property
    def told_once(self) -> bool:
        """Return whether no mail says that it is over."""
        return {alert["labels"]["alertname"] for alert in self.firing} <= TOLD_ONCE


def _tested_alerts() -> dict[str, dict[str, Any]]:
    """Return one alert of each name, as the promtool tests say that the rules make it."""
    found: dict[str, dict[str, Any]] = {}
    for file in sorted((ROOT / "alert_rules" / "tests").glob("*.yml")):
        for case in load(file.read_text(), CSafeLoader)["tests"]:
            for look in case.get("alert_rule_test", ()):
                name = look["alertname"]
                for alert in look["exp_alerts"]:
                    labels = {"alertname": name, **alert["exp_labels"]}
                    found.setdefault(name, {"labels": labels, "annotations": alert["exp_annotations"]})
    return found


def faults() -> dict[str, Fault]:
    """Return what is mailed, by the name of its file."""
    alerts = {name: alert for name, alert in _tested_alerts().items() if name not in NOT_MAILED}
    return {
        **{name.removeprefix("Locum"): Fault((alert,)) for name, alert in sorted(alerts.items())},
        "together-a-host-died": Fault((alerts["LocumTakeover"],), (alerts["LocumServiceDown"],)),
        "together-takeover-refused": Fault((alerts["LocumServiceDown"], alerts["LocumTakeoverRefused"])),
    }


def a_site(smarthost: str, directory: Path, **mail: Any) -> Site:
    """Return the example's site, with mail to a server of one's own and a state directory of one's own."""
    site = load_site(ROOT / "locum.example.yml")
    value = Mail.model_validate(
        {
            "to": ["ops@example.org"], "sender": "locum@example.org", "smarthost": smarthost, "links": LINKS,
            **mail,
        }
    )  # fmt: skip
    actuator = site.actuator.model_copy(update={"state_directory": directory})
    return site.model_copy(update={"mail": value, "actuator": actuator})


def send(fault: Fault, alertmanager: LiveAlertmanager, mailbox: Mailbox) -> list[Received]:
    """Have a fault begin and end; return the mails."""
    before = len(mailbox.received)
    firing = [{**alert, "startsAt": SEEN} for alert in fault.firing]
    over = [{**alert, "startsAt": BEGAN, "endsAt": SEEN} for alert in fault.over]
    alertmanager.post([*firing, *over])
    mailbox.wait_for(before + 1)
    alertmanager.post({**alert, "endsAt": ENDED} for alert in firing)
    return mailbox.wait_for(before + (1 if fault.told_once else 2))[before:]


def as_text(mails: Iterable[Received]) -> str:
    """Return mails as a file shows them."""
    return "\n".join(
        f"Subject: {mail.subject}\nFrom: {mail.message['From']}\nTo: {mail.message['To']}\n\n{mail.text}"
        for mail in mails
    ).replace("\nSubject:", f"\n{'=' * 30} and when it is over {'=' * 30}\n\nSubject:")


def every_mail(directory: Path) -> Iterator[tuple[str, str]]:
    """Send every mail; yield the name of its file, and its text."""
    with Mailbox() as mailbox, LiveAlertmanager(directory, a_site(mailbox.smarthost, directory)) as sender:
        for name, fault in faults().items():
            yield f"{name}.txt", as_text(send(fault, sender, mailbox))


def main() -> None:
    """Show every mail, or write each into its file."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--write", action="store_true", help=f"renew {DIRECTORY.relative_to(ROOT)}")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory() as directory:
        sent = dict(every_mail(Path(directory)))
    if not write:
        print("\n\n".join(f"# {name}\n{text}" for name, text in sent.items()))
        return
    DIRECTORY.mkdir(exist_ok=True)
    for old in DIRECTORY.glob("*.txt"):
        old.unlink()
    for name, text in sent.items():
        (DIRECTORY / name).write_text(text)
    print(f"wrote {len(sent)} files into {DIRECTORY.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
