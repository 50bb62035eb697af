"""`locum-actuator`: run the actuator as a process."""

from __future__ import annotations

import faulthandler
import logging
import sys

import click

from locum_actuator.journal.database import JournalError
from locum_actuator.process import Actuator
from locum_actuator.stack.layout import ACTUATOR_PORT, WEBHOOK_PORT
from locum_actuator.start_settings import StartError, chain_parts
from locum_actuator.system.instance_lock import AlreadyRunningError
from locum_exporter.log_options import log_options
from locum_exporter.this_host import WrongMachineError
from locum_inventory.logs.format import begin_log
from locum_inventory.site.load import SiteError, find_site

DEFAULT_LISTEN, DEFAULT_WEBHOOK_LISTEN = f"127.0.0.1:{ACTUATOR_PORT}", f"127.0.0.1:{WEBHOOK_PORT}"


@click.command()
@click.option("--site", "site_file", metavar="FILE", default=None, help="the site file")
@click.option("--listen", default=DEFAULT_LISTEN, show_default=True, metavar="HOST:PORT")
@click.option(
    "--webhook-listen",
    default=DEFAULT_WEBHOOK_LISTEN,
    show_default=True,
    metavar="HOST:PORT",
    help="where the actuator receives Alertmanager's alerts, over TLS",
)
@click.option("--prometheus", metavar="URL", help="URL of Prometheus [default: from the site file]")
@click.option(
    "--alertmanager",
    "alertmanagers",
    multiple=True,
    metavar="URL",
    help="URL of an Alertmanager; may be given several times [default: from the site file]",
)
@click.option("--chain-password-file", metavar="FILE", help="password for both, sent over https:// only")
@click.option("--chain-ca-file", metavar="FILE", help="CA certificates with which both are verified")
@click.option(
    "--chain-cert-file", metavar="FILE", help="client certificate for both, used over https:// only"
)
@click.option("--chain-key-file", metavar="FILE", help="the key of that certificate")
@log_options
@click.version_option(package_name="locum", prog_name="locum-actuator")
def main(
    *,
    site_file: str | None,
    listen: str,
    webhook_listen: str,
    prometheus: str | None,
    alertmanagers: tuple[str, ...],
    chain_password_file: str | None,
    chain_ca_file: str | None,
    chain_cert_file: str | None,
    chain_key_file: str | None,
    log_format: str,
    log_level: str,
) -> None:
    """Act on Alertmanager's alerts: check the service, decide, respawn it or take it over."""
    begin_log(log_format, log_level)
    faulthandler.enable()  # systemd's watchdog ends us with SIGABRT: the log then has the stack of every thread
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    try:
        actuator = Actuator(
            find_site(site_file),
            listen,
            webhook_listen,
            chain_parts(
                prometheus=prometheus,
                alertmanagers=alertmanagers,
                password_file=chain_password_file,
                ca_file=chain_ca_file,
                cert_file=chain_cert_file,
                key_file=chain_key_file,
            ),
        )
    except SiteError as fault:
        click.echo("\n".join(fault.lines), err=True)
        sys.exit(2)
    except (StartError, WrongMachineError) as fault:
        click.echo(f"locum-actuator: {fault}", err=True)
        sys.exit(2)
    except (JournalError, AlreadyRunningError) as fault:
        click.echo(f"locum-actuator: {fault}", err=True)
        sys.exit(1)
    if not actuator.run():
        sys.exit(1)


if __name__ == "__main__":
    main()
