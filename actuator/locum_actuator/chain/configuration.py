"""The configuration of Prometheus and Alertmanager for one chain.

`locum up` writes these texts and starts the programs with them; `locum generate` prints the very same texts for a
Prometheus and an Alertmanager that are there already.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from locum_actuator.chain.layout import Chain
from locum_inventory.listen import is_loopback
from locum_inventory.model import Mail
from locum_inventory.share import shared

RULES_FILE = "locum.rules.yml"


def rules_text() -> str:
    """Return the alert rules. They are the same for every site."""
    return shared(f"alert_rules/{RULES_FILE}").read_text(encoding="utf-8")


def _quoted(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)  # a JSON string is a YAML string


def _targets(name_to_url: Mapping[str, str]) -> str:
    lines = []
    for name, url in name_to_url.items():
        parts = urlsplit(url)
        lines.append(
            f"      - targets: [{_quoted(parts.netloc)}]\n"
            f"        labels: {{vantage_point: {_quoted(name)}, __scheme__: {parts.scheme}}}\n"
        )
    return "".join(lines)


def _reached_alike(urls: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield scheme, path and targets of parts, those together that are reached alike."""
    alike: dict[tuple[str, str], list[str]] = {}
    for parts in map(urlsplit, urls):
        alike.setdefault((parts.scheme, parts.path), []).append(_quoted(parts.netloc))
    for (scheme, path), targets in alike.items():
        yield scheme, path, f"targets: [{', '.join(targets)}]"


def _alerting(urls: Iterable[str]) -> str:
    """Return whom Prometheus tells."""
    entries = []
    for scheme, path, targets in _reached_alike(urls):
        keys = [f"scheme: {scheme}"] if scheme != "http" else []
        keys += [f"path_prefix: {_quoted(path)}"] if path else []
        entries.append("\n      ".join([*keys, f"static_configs:\n        - {targets}\n"]))
    return "".join(f"    - {entry}" for entry in entries)


def _own_metrics(urls: Iterable[str]) -> str:
    """Return the targets of parts that tell of themselves."""
    entries = []
    for scheme, path, targets in _reached_alike(urls):
        entries.append(f"      - {targets}\n")
        if (scheme, path) != ("http", ""):
            metrics = _quoted(f"{path}/metrics")
            entries.append(f"        labels: {{__scheme__: {scheme}, __metrics_path__: {metrics}}}\n")
    return "".join(entries)


def prometheus_text(chain: Chain) -> str:
    """Return prometheus.yml for a chain."""
    discovery = dict.fromkeys([*chain.exporter_urls.values(), chain.exporter.url])
    sd = "".join(f"      - url: {_quoted(url + '/sd')}\n        refresh_interval: 5s\n" for url in discovery)
    return f"""\
# Made by `locum generate prometheus`. Start Prometheus with --rules.alert.resend-delay=2s: an Alertmanager that was
# away when an alert began hears of it that much later (the default is a minute).
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s

rule_files: [{RULES_FILE}]

# Every Alertmanager by its own address, never a load balancer: all of them must hear every alert.
alerting:
  alertmanagers:
{_alerting(chain.alertmanager_urls)}
scrape_configs:
  # The checks. Any exporter lists the targets of all of them, each with its own interval; what two of them list
  # alike is scraped once. A new service needs no edit here.
  - job_name: locum-probe
    http_sd_configs:
{sd}
  # The parts of the chain themselves.
  - job_name: locum-exporter
    static_configs:
{_targets(chain.exporter_urls)}
  - job_name: locum-actuator
    static_configs:
      - targets: [{_quoted(chain.actuator)}]

  - job_name: locum-prometheus
    scrape_interval: 5s
    static_configs:
{_own_metrics([chain.prometheus_url])}
  - job_name: locum-alertmanager
    scrape_interval: 5s
    static_configs:
{_own_metrics(chain.alertmanager_urls)}"""


def _people(mail: Mail | None) -> str:
    if mail is None:
        return (
            "  - name: people   # the site file has no `mail`: they see it in Alertmanager and Grafana only\n"
        )
    host = mail.smarthost.rpartition(":")[0]
    # A mail server on this very machine rarely offers TLS, and nothing leaves the machine on the way to it.
    tls = "false" if is_loopback(host.strip("[]")) else "true"
    return (
        "  - name: people\n    email_configs:\n"
        f"      - to: {_quoted(', '.join(mail.to))}\n"
        f"        from: {_quoted(mail.sender)}\n"
        f"        smarthost: {_quoted(mail.smarthost)}\n"
        f"        require_tls: {tls}\n"
        "        send_resolved: true\n"
    )


def _webhook(chain: Chain, *, send_resolved: bool) -> str:
    return (
        "    webhook_configs:\n"
        f"      - url: {_quoted(chain.actuator.url + '/webhook')}\n"
        f"        send_resolved: {'true' if send_resolved else 'false'}\n"
        "        max_alerts: 0   # all of them\n"
        "        http_config:\n"
        "          follow_redirects: false\n"
        "          authorization:\n"
        "            type: Bearer\n"
        f"            credentials_file: {_quoted(chain.site.actuator.webhook_token_file)}\n"
    )


def alertmanager_text(chain: Chain) -> str:
    """Return alertmanager.yml for a chain. The webhook's token is named by its file and not in it."""
    return f"""\
# Made by `locum generate alertmanager`.
route:
  receiver: people
  group_by: [alertname, service, host]
  group_wait: 5s
  group_interval: 1m
  repeat_interval: 4h
  routes:
    # Tells the actuator, every two or three seconds, that the chain is alive; nobody else. The actuator misses it
    # after eight.
    - matchers: [alertname="LocumHeartbeat"]
      receiver: heartbeat
      group_by: [alertname]
      group_wait: 0s
      group_interval: 1s
      repeat_interval: 2s
    # To the actuator, at once. By service and host: with the service alone, the alert of a second host would wait
    # in a group that stands open. A group stays open for half a minute after its alert has ended, and an alert that
    # comes back meanwhile waits for group_interval: so it is short (zero is not allowed).
    - matchers: [locum_action="true"]
      receiver: actuator
      group_by: [service, host]
      group_wait: 0s
      group_interval: 200ms
      repeat_interval: 5s
      continue: true
    # And all of it to people.
    - receiver: people

receivers:
{_people(chain.site.mail)}
  - name: actuator
{_webhook(chain, send_resolved=True)}
  - name: heartbeat
{_webhook(chain, send_resolved=False)}"""


def write_configuration(chain: Chain) -> None:
    """Write the configuration of Prometheus and Alertmanager, for their owner's eyes only."""
    state = chain.site.actuator.state_directory
    for directory in (state, chain.directory, state / "log", state / "prometheus", state / "alertmanager"):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in (
        ("prometheus.yml", prometheus_text(chain)),
        (RULES_FILE, rules_text()),
        ("alertmanager.yml", alertmanager_text(chain)),
    ):
        new = chain.directory / f".{name}.new"
        new.touch(mode=0o600)
        new.write_text(text, encoding="utf-8")
        new.rename(chain.directory / name)
