"""Options for the addresses on which the monitoring chain listens, shared by `locum up` and `locum generate`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from locum_actuator.stack.layout import (
    ACTUATOR_PORT,
    ALERTMANAGER_PORT,
    PROMETHEUS_PORT,
    WEBHOOK_PORT,
    StackLayout,
)
from locum_inventory.listen import Listen
from locum_inventory.site.model import Site

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _ListenType(click.ParamType[Listen]):
    name = "HOST:PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Listen:
        try:
            return value if isinstance(value, Listen) else Listen.parse(str(value))
        except ValueError as fault:
            self.fail(str(fault), param, ctx)


_OPTIONS = (
    click.option(
        "--exporter-listen",
        type=_ListenType(),
        help="[default: the address of the site file's vantage point]",
    ),
    click.option("--actuator-listen", type=_ListenType(), help=f"[default: 127.0.0.1:{ACTUATOR_PORT}]"),
    click.option(
        "--webhook-listen",
        type=_ListenType(),
        help=f"where the actuator receives alerts [default: 127.0.0.1:{WEBHOOK_PORT}]",
    ),
    click.option("--prometheus-listen", type=_ListenType(), help=f"[default: 127.0.0.1:{PROMETHEUS_PORT}]"),
    click.option(
        "--alertmanager-listen",
        type=_ListenType(),
        multiple=True,
        help="may be given several times: Prometheus sends alerts to all of them "
        f"[default: 127.0.0.1:{ALERTMANAGER_PORT}]",
    ),
)


def chain_options(command: _Command) -> _Command:
    """Add the `--*-listen` options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def stack_of(
    site: Site,
    *,
    exporter_listen: Listen | None,
    actuator_listen: Listen | None,
    webhook_listen: Listen | None,
    prometheus_listen: Listen | None,
    alertmanager_listen: tuple[Listen, ...],
    of_the_site: bool = False,
) -> StackLayout:
    """Return the layout that the options describe.

    `of_the_site`: take the URLs of Prometheus and Alertmanager from the site file where no option sets them.
    """
    urls: dict[str, Any] = {}
    if prometheus_listen is not None:
        urls["prometheus"] = prometheus_listen.url
    if alertmanager_listen:
        urls["alertmanagers"] = tuple(listen.url for listen in alertmanager_listen)
    return StackLayout.of(
        site,
        exporter=exporter_listen,
        actuator=actuator_listen,
        webhook=webhook_listen,
        prometheus=prometheus_listen,
        alertmanagers=alertmanager_listen,
        elsewhere=site.chain.model_copy(update=urls) if of_the_site else None,
    )
