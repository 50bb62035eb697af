"""Convert check results to metric families, a new set for each probe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from locum_exporter.result import CheckResult, Outcome

# Details with a single number: name of the metric, help.
_NUMBERS: Mapping[str, tuple[str, str]] = {
    "rtt_seconds": ("locum_ping_rtt_seconds", "Seconds from echo request to echo reply."),
    "status_code": ("locum_http_status_code", "Status of the HTTP answer."),
    "body_bytes": ("locum_http_body_bytes", "Bytes of the HTTP body."),
    "certificate_expiry_timestamp_seconds": (
        "locum_http_certificate_expiry_timestamp_seconds",
        "When the server's certificate expires, in seconds since 1970.",
    ),
    "connect_seconds": ("locum_tcp_connect_seconds", "Seconds until the TCP connection was established."),
    "count": ("locum_process_count", "Live processes of the service; absent if the check could not be made."),
    "owners": (
        "locum_address_owners",
        "Different hosts that hold the service's addresses; 0 if no host holds one of them.",
    ),
}


class ResultCollector(Collector):
    """The metrics of one check result, as a collector for prometheus_client."""

    def __init__(self, result: CheckResult) -> None:
        self._result = result

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families of this result."""
        result = self._result
        looked = result.outcome is not Outcome.NOT_LOOKED
        if looked:
            well = result.outcome is Outcome.WELL
            yield _gauge("locum_check_success", "1 if the check succeeded, 0 if it failed.", float(well))
        yield _gauge("locum_check_looked", "0 if the check could not be made.", float(looked))
        yield _gauge("locum_check_duration_seconds", "Seconds that the check took.", result.seconds)
        if result.reason is not None:
            failure = GaugeMetricFamily(
                "locum_check_failure",
                "1 for the reason why it failed or could not be made.",
                labels=["reason"],
            )
            failure.add_metric([result.reason], 1)
            yield failure
        for detail, (name, text) in _NUMBERS.items():
            value = result.details.get(detail)
            if isinstance(value, int | float):
                yield _gauge(name, text, float(value))
        phases = result.details.get("phases")
        if isinstance(phases, Mapping) and phases:
            family = GaugeMetricFamily(
                "locum_http_phase_seconds",
                "Seconds of each phase of the HTTP exchange.",
                labels=["phase"],
            )
            for phase, seconds in phases.items():
                family.add_metric([phase], seconds)
            yield family
        owners = result.details.get("owner_names")
        if isinstance(owners, Iterable) and owners:
            family = GaugeMetricFamily(
                "locum_address_owner",
                "1 for each host that holds an address of the service.",
                labels=["owner"],
            )
            for owner in owners:
                family.add_metric([owner], 1)
            yield family


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)
