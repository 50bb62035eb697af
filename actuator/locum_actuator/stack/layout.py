"""The addresses and the files of each program that `locum up` starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from locum_actuator.stack.web_config import PASSWORD_FILE, USER
from locum_actuator.web.certificate import Certificate
from locum_inventory.listen import Listen
from locum_inventory.site.model import ChainParts, Site

EXPORTER_PORT, ACTUATOR_PORT, WEBHOOK_PORT, PROMETHEUS_PORT, ALERTMANAGER_PORT = (
    10751,
    10752,
    10753,
    9090,
    9093,
)


@dataclass(frozen=True, slots=True)
class StackLayout:
    """The addresses and the files of each program of the stack, which runs on the actuator's host."""

    site: Site
    exporter: Listen
    actuator: Listen
    webhook: Listen  # of the actuator
    prometheus: Listen
    alertmanagers: tuple[Listen, ...]  # the first is the one that `locum up` starts
    directory: Path  # where the configuration files are written
    elsewhere: ChainParts | None = (
        None  # where Prometheus and Alertmanager are, if `locum up` does not run them
    )

    @classmethod
    def of(
        cls,
        site: Site,
        *,
        exporter: Listen | None = None,
        actuator: Listen | None = None,
        webhook: Listen | None = None,
        prometheus: Listen | None = None,
        alertmanagers: Iterable[Listen] = (),
        elsewhere: ChainParts | None = None,
    ) -> StackLayout:
        """Return the layout for a site; the default is loopback with the usual port.

        The exporter is the exception: if the actuator's host is a vantage point, it listens on that vantage
        point's address in the site file.
        """
        return cls(
            site=site,
            exporter=exporter or _own_exporter(site),
            actuator=actuator or Listen("127.0.0.1", ACTUATOR_PORT),
            webhook=webhook or Listen("127.0.0.1", WEBHOOK_PORT),
            prometheus=prometheus or Listen("127.0.0.1", PROMETHEUS_PORT),
            alertmanagers=tuple(alertmanagers) or (Listen("127.0.0.1", ALERTMANAGER_PORT),),
            directory=site.actuator.state_directory / "chain",
            elsewhere=elsewhere,
        )

    @property
    def alertmanager(self) -> Listen:
        """The Alertmanager that `locum up` starts."""
        return self.alertmanagers[0]

    @property
    def webhook_url(self) -> str:
        """The URL to which Alertmanager sends alerts."""
        return f"https://{self.webhook}/webhook"

    @property
    def certificate(self) -> Certificate:
        """The certificate with which the programs of the chain authenticate each other on this machine."""
        return Certificate.in_state(self.site.actuator.state_directory)

    @property
    def parts(self) -> ChainParts:
        """The URLs of Prometheus and every Alertmanager, with the credentials for them.

        Those that `locum up` runs use TLS and require a password or a certificate; other Alertmanagers do not.
        """
        if self.elsewhere is not None:
            return self.elsewhere
        own, *others = self.alertmanagers
        return ChainParts(
            prometheus=_over_tls(self.prometheus),
            alertmanagers=(_over_tls(own), *(listen.url for listen in others)),
            username=USER,
            password_file=self.directory / PASSWORD_FILE,
            ca_file=self.certificate.certificate,
            cert_file=self.certificate.client_certificate,
            key_file=self.certificate.client_key,
        )

    @property
    def prometheus_url(self) -> str:
        """The URL of Prometheus."""
        return self.parts.prometheus

    @property
    def alertmanager_urls(self) -> tuple[str, ...]:
        """The URL of every Alertmanager."""
        return self.parts.alertmanagers

    @property
    def exporter_urls(self) -> Mapping[str, str]:
        """The URL of each vantage point's exporter, by the vantage point's name."""
        return {name: point.url for name, point in self.site.vantage_points.items()}


def _over_tls(listen: Listen) -> str:
    return listen.url.replace("http://", "https://", 1)


def _own_exporter(site: Site) -> Listen:
    own = site.vantage_points.get(site.actuator.host)
    if own is not None:
        url = urlsplit(own.url)
        return Listen(url.hostname or "127.0.0.1", url.port or (443 if url.scheme == "https" else 80))
    return Listen("127.0.0.1", EXPORTER_PORT)
