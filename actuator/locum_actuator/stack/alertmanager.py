"""Write the configuration of Alertmanager: which alerts go where, how soon, and with which text.

The texts are in `alert_rules/templates/`, and are the same for every site. `beside_alertmanager` returns the files
that belong next to the configuration.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from pathlib import Path

from locum_actuator.stack.layout import StackLayout
from locum_inventory.shared_files import shared
from locum_inventory.site.model import Mail
from locum_inventory.site.notifications import read_url

RUNBOOK = "RUNBOOK.md"
TEMPLATES = "templates"
CERTIFICATE = "actuator.crt"  # of the actuator, next to alertmanager.yml


def quoted(value: object) -> str:
    """Return a value as a YAML string on one line."""
    return json.dumps(str(value), ensure_ascii=False)  # a JSON string is a YAML string


def beside_alertmanager() -> Mapping[str, str]:
    """Return the files that belong next to alertmanager.yml, by their relative paths."""
    templates = sorted(shared(f"alert_rules/{TEMPLATES}").glob("*.tmpl"))
    files = {f"{TEMPLATES}/{path.name}": path for path in templates}
    return {
        name: path.read_text(encoding="utf-8")
        for name, path in {**files, RUNBOOK: shared(f"alert_rules/{RUNBOOK}")}.items()
    }


def _links(mail: Mail, runbook: str) -> str:
    """Return the templates for the links in mails."""
    links = mail.links
    lines = [f"Page: {links.page}"] if links.page else []
    if links.grafana:
        service = '{{ with .CommonLabels.service }}service?var-service={{ reReplaceAll "[^\\\\w.-]" "" . }}'
        lines += [
            f"Grafana: {links.grafana}/d/locum-{service}{{{{ else }}}}site{{{{ end }}}}",
            f"Runbook in Grafana: {links.grafana}/d/locum-runbook",
        ]
    lines.append("Alertmanager: {{ .ExternalURL }}")
    text = "".join(f"          {line}\n" for line in lines)
    return (
        f'          {{{{ define "locum.runbook" }}}}{links.runbook or runbook}{{{{ end -}}}}\n'
        f'          {{{{ define "locum.links" -}}}}\n{text}          {{{{- end -}}}}\n'
    )


def _receiver(name: str, mail: Mail | None, runbook: str, *, send_resolved: bool) -> str:
    if mail is None:
        return (
            f"  - name: {name}   # no `mail` in the site file: alerts are in Alertmanager and Grafana only\n"
        )
    login = ""
    if mail.username is not None:
        login = (
            f"        auth_username: {quoted(mail.username)}\n"
            f"        auth_password_file: {quoted(mail.password_file)}\n"
        )
    return (
        f"  - name: {name}\n    email_configs:\n"
        f"      - to: {quoted(', '.join(mail.to))}\n"
        f"        from: {quoted(mail.sender)}\n"
        f"        smarthost: {quoted(mail.smarthost)}\n"
        f"        require_tls: {'true' if mail.needs_tls else 'false'}\n"
        f"{login}"
        f"        send_resolved: {'true' if send_resolved else 'false'}\n"
        "        headers:\n"
        "          Subject: '{{ template \"locum.subject\" . }}'\n"
        "          Auto-Submitted: auto-generated   # no out-of-office replies\n"
        '        html: ""   # plain text alone\n'
        "        text: |\n"
        f"{_links(mail, runbook)}"
        '          {{ template "locum.text" . }}\n'
    )


def _webhook(stack: StackLayout, ca_file: Path) -> str:
    return (
        "    webhook_configs:\n"
        f"      - url: {quoted(stack.webhook_url)}\n"
        "        send_resolved: true\n"
        "        max_alerts: 0   # all of them\n"
        "        http_config:\n"
        "          follow_redirects: false\n"
        "          tls_config:   # the token is sent only to the owner of this certificate's key\n"
        f"            ca_file: {quoted(ca_file)}\n"
        "          authorization:\n"
        "            type: Bearer\n"
        f"            credentials_file: {quoted(stack.site.actuator.webhook_token_file)}\n"
    )


def _deadman_route(stack: StackLayout) -> str:
    """Return the route of the heartbeat to the dead man's switch outside."""
    deadman = stack.site.deadman
    if deadman is None:
        return ""
    # Alertmanager checks twice per interval what is due: with the exact value it would sometimes be one interval
    # late.
    milliseconds = round(deadman.every * 1000)
    return (
        "      continue: true\n"
        "    # And to a dead-man's switch outside, which alerts people when it no longer receives this.\n"
        '    - matchers: [alertname="LocumHeartbeat"]\n'
        "      receiver: deadman\n"
        "      group_by: [alertname]\n"
        "      group_wait: 0s\n"
        f"      group_interval: {milliseconds // 2}ms\n"
        f"      repeat_interval: {milliseconds * 9 // 10}ms\n"
    )


def _deadman_receiver(stack: StackLayout, directory: Path | None) -> str:
    deadman = stack.site.deadman
    if deadman is None:
        return ""
    if directory is None:
        url = f"url_file: {quoted(deadman.url_file)}   # read by Alertmanager 0.26 and later"
    else:
        url = f"url: {quoted(_secret_url(deadman.url_file))}"
    return (
        "  - name: deadman\n"
        "    webhook_configs:\n"
        f"      - {url}\n"
        "        send_resolved: false\n"
        "        max_alerts: 1\n"
    )


def _secret_url(file: Path) -> str:
    """Read the URL of the dead-man's switch; OSError if the file cannot be read or contains none."""
    try:
        return read_url(file.read_text(encoding="utf-8"))
    except ValueError as fault:
        raise OSError(errno.EINVAL, str(fault), str(file)) from fault


def alertmanager_text(stack: StackLayout, directory: Path | None = None) -> str:
    """Return alertmanager.yml for a chain. Tokens and passwords are named by their files.

    `directory` is where it will be, together with its other files: mails then contain the path of the runbook, and
    the URL of a dead-man's switch is read from its file. OSError if that file cannot be read.
    """
    mail = stack.site.mail
    ca_file = stack.certificate.certificate if directory is None else directory / CERTIFICATE
    runbook = RUNBOOK if directory is None else f"{stack.site.actuator.host}:{directory / RUNBOOK}"
    return f"""\
# Made by `locum generate alertmanager`, which also writes the templates that belong next to it.
templates: ["{TEMPLATES}/*.tmpl"]

route:
  receiver: people
  group_by: [alertname, service, host]
  group_wait: 10s
  group_interval: 1m
  repeat_interval: 4h
  routes:
    # Shows the actuator, every two or three seconds, that the chain works; not sent to people. The actuator reports
    # it missing after eight seconds. It has the same receiver as the alerts that trigger actions, which keeps that
    # connection open: a new one would queue behind the connections of local users.
    - matchers: [alertname="LocumHeartbeat"]
      receiver: actuator
      group_by: [alertname]
      group_wait: 0s
      group_interval: 1s
      repeat_interval: 2s
{_deadman_route(stack)}\
    # To the actuator, immediately. Grouped by service and host: if grouped by service only, the alert of a second
    # host would wait in a group that already exists. A group exists for half a minute after its alert has ended. An
    # alert that fires again in that time waits for group_interval, which is therefore short (0 is not allowed).
    - matchers: [locum_action="true"]
      receiver: actuator
      group_by: [service, host]
      group_wait: 0s
      group_interval: 200ms
      repeat_interval: 5s
      continue: true
    # And to people: one mail for one fault. All alerts of one service, or of the chain, go into one mail. A fault
    # that was repaired within group_wait is not mailed, except for the respawn that repaired it.
    - matchers: [alertname="LocumHostUnreachable"]
      receiver: people
      group_by: [host]
    - matchers: [alertname=~"Locum.+", severity="info"]
      receiver: people-once
      group_by: [service]
    - matchers: [alertname=~"Locum.+"]
      receiver: people
      group_by: [service]
    # Alerts that are not from locum.
    - receiver: people

# A consequence of another fault is not reported with it. None of these rules keeps an alert from the actuator.
inhibit_rules:
  - source_matchers: [alertname="LocumHostUnreachable"]
    target_matchers: [alertname=~"LocumStandbyNotReady|LocumCannotLook"]
    equal: [host]
  - source_matchers: [alertname="LocumTakeover"]   # lasts five minutes; after that, alerts that still fire are sent
    target_matchers: [alertname="LocumAlone"]
    equal: [service]
  - source_matchers: [alertname="LocumTakeover"]   # it has no label for the failed host
    target_matchers: [alertname="LocumHostUnreachable"]

receivers:
{_receiver("people", mail, runbook, send_resolved=True)}
{_receiver("people-once", mail, runbook, send_resolved=False)}
  - name: actuator
{_webhook(stack, ca_file)}{_deadman_receiver(stack, directory)}"""
