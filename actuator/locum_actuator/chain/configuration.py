"""The configuration of Prometheus and Alertmanager for one chain.

`locum up` writes these texts and starts the programs with them; `locum generate` prints the very same texts for a
Prometheus and an Alertmanager that are there already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from locum_actuator.chain.alertmanager import alertmanager_text, beside_alertmanager, quoted
from locum_actuator.chain.layout import Chain
from locum_inventory.share import shared

RULES_FILE = "locum.rules.yml"


def rules_text() -> str:
    """Return the alert rules. They are the same for every site."""
    return shared(f"alert_rules/{RULES_FILE}").read_text(encoding="utf-8")


def _targets(name_to_url: Mapping[str, str]) -> str:
    lines = []
    for name, url in name_to_url.items():
        parts = urlsplit(url)
        lines.append(
            f"      - targets: [{quoted(parts.netloc)}]\n"
            f"        labels: {{vantage_point: {quoted(name)}, __scheme__: {parts.scheme}}}\n"
        )
    return "".join(lines)


def _reached_alike(urls: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield scheme, path and targets of parts, those together that are reached alike."""
    alike: dict[tuple[str, str], list[str]] = {}
    for parts in map(urlsplit, urls):
        alike.setdefault((parts.scheme, parts.path), []).append(quoted(parts.netloc))
    for (scheme, path), targets in alike.items():
        yield scheme, path, f"targets: [{', '.join(targets)}]"


def _alerting(urls: Iterable[str]) -> str:
    """Return whom Prometheus tells."""
    entries = []
    for scheme, path, targets in _reached_alike(urls):
        keys = [f"scheme: {scheme}"] if scheme != "http" else []
        keys += [f"path_prefix: {quoted(path)}"] if path else []
        entries.append("\n      ".join([*keys, f"static_configs:\n        - {targets}\n"]))
    return "".join(f"    - {entry}" for entry in entries)


def _own_metrics(urls: Iterable[str]) -> str:
    """Return the targets of parts that tell of themselves."""
    entries = []
    for scheme, path, targets in _reached_alike(urls):
        entries.append(f"      - {targets}\n")
        if (scheme, path) != ("http", ""):
            metrics = quoted(f"{path}/metrics")
            entries.append(f"        labels: {{__scheme__: {scheme}, __metrics_path__: {metrics}}}\n")
    return "".join(entries)


def prometheus_text(chain: Chain) -> str:
    """Return prometheus.yml for a chain."""
    discovery = dict.fromkeys([*chain.exporter_urls.values(), chain.exporter.url])
    sd = "".join(f"      - url: {quoted(url + '/sd')}\n        refresh_interval: 5s\n" for url in discovery)
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
      - targets: [{quoted(chain.actuator)}]

  - job_name: locum-prometheus
    scrape_interval: 5s
    static_configs:
{_own_metrics([chain.prometheus_url])}
  - job_name: locum-alertmanager
    scrape_interval: 5s
    static_configs:
{_own_metrics(chain.alertmanager_urls)}"""


def write_configuration(chain: Chain) -> None:
    """Write the configuration of Prometheus and Alertmanager, for their owner's eyes only."""
    state = chain.site.actuator.state_directory
    for directory in (state, chain.directory, state / "log", state / "prometheus", state / "alertmanager"):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_files(chain.directory, {"prometheus.yml": prometheus_text(chain), RULES_FILE: rules_text()})
    write_alertmanager(chain, chain.directory)


def write_alertmanager(chain: Chain, directory: Path) -> list[Path]:
    """Write alertmanager.yml and what belongs beside it; return what was written.

    It holds the secret URL of a dead-man's switch, for Alertmanager before 0.26 reads none from a file: so all of
    it is for its owner's eyes only. OSError where a file cannot be read or written.
    """
    text = alertmanager_text(chain, directory)
    return write_files(directory, {**beside_alertmanager(), "alertmanager.yml": text})


def write_files(directory: Path, name_to_text: Mapping[str, str]) -> list[Path]:
    """Write files, each at once and for its owner's eyes only, the last one last; return their paths."""
    written = []
    for name, text in name_to_text.items():
        path = directory / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.touch(mode=0o600)
        new.write_text(text, encoding="utf-8")
        written.append(new.rename(path))
    return written
