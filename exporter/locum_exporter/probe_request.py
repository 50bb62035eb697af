"""A requested check: its name, with the service and the host to check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from locum_inventory.errors import LocumError
from locum_inventory.site.model import Service, Site

CheckName = Literal["ping", "http", "tcp", "process", "address"]
CHECKS: tuple[str, ...] = get_args(CheckName)


class ParameterMissingError(LocumError, ValueError):
    """A parameter that the check needs is missing."""


class NotInSiteError(LocumError, ValueError):
    """The site file has no such check, service or host."""


@dataclass(frozen=True, slots=True, order=True)
class ProbeRequest:
    """A check of a service on a host; `ping` needs only the host, `address` only the service.

    With `through` it is a deciding check of a service through the service addresses, whichever host holds them.
    """

    check: CheckName
    service: str | None = None
    host: str | None = None
    through: Literal["address"] | None = None


def parse_probe_request(
    site: Site, check: str | None, service: str | None, host: str | None, through: str | None = None
) -> ProbeRequest:
    """Return the requested check.

    Raises `ParameterMissingError`, or `NotInSiteError` if the site file does not contain it: an exporter makes only
    the checks of the site file.
    """
    if not check:
        raise ParameterMissingError(f"parameter 'check' is missing: one of {', '.join(CHECKS)}")
    if check not in CHECKS:
        raise NotInSiteError(f"there is no check '{check}': use one of {', '.join(CHECKS)}")
    if through:
        return _look_through(site, check, service, host, through)
    needs_service, needs_host = check != "ping", check != "address"
    if needs_service and not service:
        raise ParameterMissingError(f"parameter 'service' is missing: check '{check}' needs it")
    if needs_host and not host:
        raise ParameterMissingError(f"parameter 'host' is missing: check '{check}' needs it")
    if service and service not in site.services:
        raise NotInSiteError(f"the site file has no service '{service}'")
    if host and host not in site.hosts:
        raise NotInSiteError(f"the site file has no host '{host}'")
    if service and host and host not in site.services[service].hosts:
        raise NotInSiteError(f"host '{host}' is not one of the hosts of service '{service}'")
    if (
        service
        and check in {"http", "tcp", "process"}
        and getattr(site.services[service].checks, check) is None
    ):
        raise NotInSiteError(f"service '{service}' has no {check} check")
    if service and check == "address" and not site.services[service].addresses:
        raise NotInSiteError(f"service '{service}' has no address: it uses address_commands")
    name: CheckName = check  # type: ignore[assignment]  # it is one of CHECKS
    return ProbeRequest(name, service or None, (host or None) if needs_host else None)


def _look_through(
    site: Site, check: str, service: str | None, host: str | None, through: str
) -> ProbeRequest:
    if through != "address":
        raise NotInSiteError(f"nothing can be checked through '{through}': use through=address")
    if not service:
        raise ParameterMissingError("parameter 'service' is missing: through=address needs it")
    if host:
        raise ParameterMissingError(
            "parameter 'host' cannot be combined with through=address: the holder of the address answers"
        )
    if service not in site.services:
        raise NotInSiteError(f"the site file has no service '{service}'")
    if not site.services[service].addresses:
        raise NotInSiteError(f"service '{service}' has no address: it uses address_commands")
    if check not in through_checks(site.services[service]):
        raise NotInSiteError(f"check '{check}' of service '{service}' is not made through its address")
    name: CheckName = check  # type: ignore[assignment]  # it is one of CHECKS
    return ProbeRequest(name, service, None, "address")


def through_checks(service: Service) -> tuple[str, ...]:
    """Return the checks of a service that are made through its addresses: the deciding ones without a gate."""
    if not service.addresses:
        return ()
    return tuple(check for check in service.checks.deciding if check != "process")
