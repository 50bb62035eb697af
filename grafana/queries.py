"""PromQL that several dashboards share, and the words for its results."""

from __future__ import annotations

from grafana.palette import REST, WELL, WRONG

HOLDS = {"1": ("holds", WELL), "0": ("standby", REST)}
CHECK = {"1": ("ok", WELL), "0": ("FAILS", WRONG), "2": ("stopped, as intended", REST)}
INCIDENT = {"0": ("none", REST), "1": ("OPEN", WRONG)}
STAND_IN = {"1": ("yes", WELL), "0": ("NO STANDBY", WRONG)}
OWNERS = {"0": ("NO HOST", WRONG), "1": ("one host", WELL)}
OWNERS_MANY = "HELD TWICE"
ANSWERS = {"1": ("answers", WELL)}
FILE_READ = {"1": ("read", WELL), "0": ("FAULTY", WRONG)}
UP = {"1": ("up", WELL), "0": ("DOWN", WRONG)}
FAILS = {"1": ("fails", WRONG)}
SERVED = {"0": ("answers", WELL), "1": ("WITHOUT SERVICE", WRONG)}
PAUSED = {"0": ("no", REST), "1": ("PAUSED", WRONG)}
FLAPPING = {"0": ("available", REST), "1": ("USED UP", WRONG)}
COPY = {"0": ("fresh", WELL), "1": ("STALE", WRONG)}
RUNNING = {"0": ("idle", REST), "1": ("running", WELL)}
IS_SO = {"1": ("yes", WELL)}
THREADS = {"1": ("ok", WELL), "0": ("FAILING", WRONG)}
THERE = {"1": ("ok", WELL), "0": ("MISSING", WRONG)}

CHECK_NAME = "{{service}} on {{host}}: {{check}} from {{vantage_point}}"


def lowest(selector: str) -> str:
    """Return the lowest value of each step, or the last value if a step is shorter than the scrape interval."""
    return f"min_over_time({selector}[$__interval]) or {selector}"


def highest(selector: str) -> str:
    """Return the highest value of each step, likewise."""
    return f"max_over_time({selector}[$__interval]) or {selector}"


def holders(matcher: str) -> str:
    """Return 1 for the holder and 0 for the other hosts, by service and host."""
    return f"max by (service, host) (locum_actuator_holder{{{matcher}}})"


def checks(matcher: str) -> str:
    """Return the worst result of each check in each step: 1 ok, 0 fails, 2 fails where it should be stopped."""
    standby = _worst(f'{matcher}, standby="stopped"')
    stopped = f"2 + ({standby} == 0 and on (service, host) ({holders('')} == 0))"
    return f"{stopped} or {_worst(matcher)}"


def through_address(matcher: str) -> str:
    """Return the worst result of each check through the service address in each step, by vantage point."""
    selector = f'locum_check_success{{{matcher}, through="address"}}'
    return f"min by (service, check, vantage_point) ({lowest(selector)})"


def pings(condition: str = "") -> str:
    """Return the worst ping of each host in each step, by host and vantage point."""
    selector = 'locum_check_success{check="ping"}'
    return f"min by (host, vantage_point) (({lowest(selector)}){condition})"


def failures(matcher: str) -> str:
    """Return 1 for each check of a service that failed in a step, with its reason."""
    selector = f'locum_check_failure{{{matcher}, reason!="holder"}}'
    return f"max by (host, check, vantage_point, reason) ({highest(selector)})"


def failing_now(matcher: str) -> str:
    """Return 1 for each check that fails now but should not, with its reason."""
    failures = f'locum_check_failure{{{matcher}, reason!="holder"}}'
    meant = f'{failures.removesuffix("}")}, standby="stopped"}} and on (service, host) ({holders("")} == 0)'
    return f"max by (service, host, check, vantage_point, reason) ({failures} unless ({meant}))"


def without_service(matcher: str) -> str:
    """Return 1 if a service was not served at a moment, otherwise 0, by service.

    It was not served if its deciding checks failed from every vantage point, or if no host held its address. A
    standby that should be stopped answers only once it serves, before Prometheus stores the new holder. One that
    always runs counts only while it is the holder.
    """
    answers = f'locum_check_success{{{matcher}, decides="true"'
    serving = (
        f'{answers}, standby="stopped"}} or {answers}}} and on (service, host) ({holders(matcher)} == 1)'
    )
    silent = f"1 - max by (service) (min by (service, host, vantage_point) ({serving}))"
    unheld = f"max by (service) (locum_address_owners{{{matcher}}}) == bool 0"
    return f"clamp_max(({silent}) + (({unheld}) or ({silent}) * 0), 1)"


def seconds_without_service(matcher: str) -> str:
    """Return the seconds without service in the time shown, by service: the rules recorded each second."""
    served = f"locum:service_served{{{matcher}}}[$__range]"
    return f"sum by (service) (count_over_time({served}) - sum_over_time({served}))"


def availability(matcher: str) -> str:
    """Return the share of the seconds in the time shown that were served, by service: the rules recorded each."""
    return f"avg by (service) (avg_over_time(locum:service_served{{{matcher}}}[$__range]))"


def of_copy(gauge: str, matcher: str, *, by: str = "host") -> str:
    """Return the value of a mirror gauge for each copy."""
    return f"max by ({by}) ({gauge}{{{matcher}}})"


def in_range(counter: str, matcher: str) -> str:
    """Return the increase of a counter that starts at 0 in the time shown, by service."""
    return f"round(sum by (service) (increase({counter}{{{matcher}}}[$__range])))"


def since_first(counter: str, matcher: str, *, by: str = "service", window: str = "$__range") -> str:
    """Return the same for a counter whose series begin with their first event, which increase() does not count."""
    selector = f"{counter}{{{matcher}}}"
    return f"sum by ({by}) (clamp_min({selector} - ({selector} offset {window} or {selector} * 0), 0))"


def _worst(matcher: str) -> str:
    selector = f'locum_check_success{{{matcher}, through=""}}'
    return f"min by (service, host, check, vantage_point) ({lowest(selector)})"
