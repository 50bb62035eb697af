"""The HTTP interface, asked as Prometheus and people ask it."""

from collections.abc import AsyncIterator, Mapping
from importlib.metadata import version

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request
from prometheus_client.parser import text_string_to_metric_families

from locum_exporter.app import TIMEOUT_HEADER, Exporter, deadline_from
from locum_exporter.net.icmp import Pinger
from locum_exporter.net.neighbours import Neighbours
from locum_exporter.probe_request import ParameterMissingError, ProbeRequest
from locum_exporter.runner import Runner
from locum_inventory.gate.protocol import GateClient, GateError
from tests.exporter.fake_gate import FakeGate
from tests.exporter.servers import http_answer, server, silent
from tests.exporter.sites import service, site

pytestmark = pytest.mark.timed  # some of its deadlines are some tenths of a second

Client = TestClient[Request, Application]

GOOD, BAD, SILENT, DEAF = "well", "ill", "silent", "unwatched"


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """An exporter on host b, which a well, an ill and a silent service are on."""
    async with (
        server(http_answer(), host="127.0.0.11") as well,
        server(silent, host="127.0.0.11") as mute,
        Pinger() as pinger,
        Neighbours() as neighbours,
    ):
        checks = {
            GOOD: {"http": {"url": f"http://{{host}}:{well}/"}, "process": {"name": "apache2"}},
            BAD: {
                "http": {"url": f"http://{{host}}:{well}/", "expect_status": 500},
                "process": {"name": "x"},
            },
            SILENT: {"tcp": {"port": mute, "expect": "220"}},
            DEAF: {},
        }
        services = {name: service(checks=kinds, interface="nosuch0") for name, kinds in checks.items()}
        gates: Mapping[str, GateClient] = {
            "a": FakeGate({GOOD: 3, BAD: 0}),
            "b": FakeGate(fault=GateError("auth", "the key was not accepted")),
        }
        runner = Runner(
            site(services=services), this_name="b", pinger=pinger, neighbours=neighbours, gates=gates
        )
        async with TestClient(TestServer(Exporter(runner).app())) as made:
            yield made


def samples(text: str) -> dict[str, float]:
    """Parse an exposition: values by name and labels."""
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


PROBES: dict[str, tuple[str, dict[str, float], set[str]]] = {
    "ping": ("check=ping&host=a", {"locum_check_success": 1}, {"locum_ping_rtt_seconds"}),
    "http": (
        f"check=http&service={GOOD}&host=a",
        {"locum_check_success": 1, "locum_http_status_code": 200, "locum_http_body_bytes": 21},
        {f"locum_http_phase_seconds phase={phase}" for phase in ("connect", "first_byte", "transfer")},
    ),
    "http that fails": (
        f"check=http&service={BAD}&host=a",
        {"locum_check_success": 0, "locum_check_failure reason=status": 1, "locum_http_status_code": 200},
        {f"locum_http_phase_seconds phase={phase}" for phase in ("connect", "first_byte")},
    ),
    "http refused": (
        f"check=http&service={GOOD}&host=b",
        {"locum_check_success": 0, "locum_check_failure reason=refused": 1},
        set(),
    ),
    "tcp in time for the scrape": (
        f"check=tcp&service={SILENT}&host=a",
        {"locum_check_success": 0, "locum_check_failure reason=timeout": 1},
        {"locum_tcp_connect_seconds"},
    ),
    "process": (
        f"check=process&service={GOOD}&host=a",
        {"locum_check_success": 1, "locum_process_count": 3},
        set(),
    ),
    "process absent": (
        f"check=process&service={BAD}&host=a",
        {"locum_check_success": 0, "locum_check_failure reason=absent": 1, "locum_process_count": 0},
        set(),
    ),
    "process could not be checked: no count at all": (
        f"check=process&service={GOOD}&host=b",
        {"locum_check_looked": 0, "locum_check_failure reason=auth": 1},
        set(),
    ),
    "address could not be checked: no owners at all": (
        f"check=address&service={GOOD}",
        {"locum_check_looked": 0, "locum_check_failure reason=interface": 1},
        set(),
    ),
    "ping of a service that has no other check": (
        f"check=ping&service={DEAF}&host=a",
        {"locum_check_success": 1},
        {"locum_ping_rtt_seconds"},
    ),
    "a parameter that is not needed": (
        f"check=address&service={GOOD}&host=a",
        {"locum_check_looked": 0, "locum_check_failure reason=interface": 1},
        set(),
    ),
}


@pytest.mark.parametrize("row", PROBES)
async def test_probe(client: Client, row: str) -> None:
    query, values, measured = PROBES[row]
    async with client.get(f"/probe?{query}", headers={TIMEOUT_HEADER: "0.25"}) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        found = samples(await response.text())
    assert found.keys() == values.keys() | measured | {"locum_check_duration_seconds", "locum_check_looked"}
    assert found["locum_check_looked"] == ("locum_check_success" in found)
    assert {key: found[key] for key in values} == values
    assert 0 < found["locum_check_duration_seconds"] < 0.25


WRONG: dict[str, tuple[str, int, str]] = {
    "no check": ("", 400, "parameter 'check' is missing: one of ping, http, tcp, process, address"),
    "an empty check": (
        "check=",
        400,
        "parameter 'check' is missing: one of ping, http, tcp, process, address",
    ),
    "an unknown check": (
        "check=dns",
        404,
        "there is no check 'dns': use one of ping, http, tcp, process, address",
    ),
    "http without a service": (
        "check=http&host=a",
        400,
        "parameter 'service' is missing: check 'http' needs it",
    ),
    "http without a host": (
        f"check=http&service={GOOD}",
        400,
        "parameter 'host' is missing: check 'http' needs it",
    ),
    "ping without a host": ("check=ping", 400, "parameter 'host' is missing: check 'ping' needs it"),
    "address without a service": (
        "check=address",
        400,
        "parameter 'service' is missing: check 'address' needs it",
    ),
    "an unknown service": ("check=http&service=ftp&host=a", 404, "the site file has no service 'ftp'"),
    "an unknown host": (f"check=http&service={GOOD}&host=z", 404, "the site file has no host 'z'"),
    "an address instead of a host": (
        "check=ping&host=192.0.2.1",
        404,
        "the site file has no host '192.0.2.1'",
    ),
    "a check that the service does not have": (
        f"check=tcp&service={GOOD}&host=a",
        404,
        f"service '{GOOD}' has no tcp check",
    ),
    "a name with a line feed": ("check=ping&host=a%0Ab", 404, "the site file has no host 'a b'"),
}


@pytest.mark.parametrize("row", WRONG)
async def test_wrong_question(client: Client, row: str) -> None:
    query, status, text = WRONG[row]
    async with client.get(f"/probe?{query}") as response:
        assert (response.status, await response.text()) == (status, f"{text}\n")


DEADLINES: dict[str, tuple[str | None, float]] = {
    "no header": (None, 5.0),
    "100 ms": ("0.1", 0.07),
    "250 ms": ("0.25", 0.175),
    "1 s": ("1", 0.7),
    "15 s": ("15", 14.7),
    "an hour": ("3600", 60.0),
}


@pytest.mark.parametrize("row", DEADLINES)
def test_deadline(row: str) -> None:
    header, seconds = DEADLINES[row]
    assert deadline_from(header) == pytest.approx(seconds)


@pytest.mark.parametrize("header", ["", "soon", "0", "-1", "nan", "inf"])
def test_a_timeout_that_is_none(header: str) -> None:
    with pytest.raises(ParameterMissingError, match=f"^header {TIMEOUT_HEADER} is not a number of seconds$"):
        deadline_from(header)


async def test_a_timeout_that_is_none_is_a_wrong_question(client: Client) -> None:
    async with client.get("/probe?check=ping&host=a", headers={TIMEOUT_HEADER: "soon"}) as response:
        assert response.status == 400


async def test_metrics(client: Client) -> None:
    for query in (f"check=http&service={BAD}&host=a", "check=ping&host=a"):
        await client.get(f"/probe?{query}")
    async with client.get("/metrics") as response:
        found = samples(await response.text())
    assert found[f"locum_exporter_info version={version('locum')}"] == 1
    assert found[f"locum_site_voters host=a service={GOOD}"] == 2
    assert found[f"locum_site_voters host=b service={GOOD}"] == 1
    assert found["locum_exporter_probe_duration_seconds_count check=http"] == 1
    assert found["locum_exporter_check_failures_total check=http reason=status"] == 1
    assert found["locum_exporter_site_reload_success"] == 1
    assert found["process_cpu_seconds_total"] > 0


async def test_targets(client: Client) -> None:
    async with client.get("/sd") as response:
        assert response.content_type == "application/json"
        assert {entry["labels"]["vantage_point"] for entry in await response.json()} == {"b", "c"}


async def test_healthy(client: Client) -> None:
    async with client.get("/-/healthy") as response:
        assert (response.status, await response.text()) == (200, "locum-exporter is healthy\n")


async def test_every_link_of_the_page_leads_somewhere(client: Client) -> None:
    async with client.get("/") as response:
        assert response.content_type == "text/html"
        page = await response.text()
    links = [part.partition("'")[0].replace("&amp;", "&") for part in page.split("href='")[1:]]
    # hosts; addresses of services; checks through them; checks of each on both hosts
    assert len(links) == 2 + 4 + 4 + 2 * 5
    for link in links:
        async with client.get(link, headers={TIMEOUT_HEADER: "0.1"}) as response:
            assert response.status == 200, link


async def test_openmetrics_when_asked_for(client: Client) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with client.get("/probe?check=ping&host=a", headers=accept) as response:
        text = await response.text()
    assert text.endswith("# EOF\n")
    assert "answered in" not in text


async def test_looks_run_at_once_under_one_deadline() -> None:
    async with Pinger() as pinger, Neighbours() as neighbours, server(silent, host="127.0.0.11") as port:
        services = {
            f"s{number}": service(checks={"tcp": {"port": port, "expect": "x"}}) for number in range(20)
        }
        runner = Runner(
            site(services=services), this_name="b", pinger=pinger, neighbours=neighbours, gates={}
        )
        looks = [ProbeRequest("tcp", name, "a") for name in services] + [ProbeRequest("ping", None, "a")]
        results = await runner.run(looks, 0.2)
    assert list(results) == looks
    assert [result.reason for result in results.values()] == ["timeout"] * 20 + [None]
    assert max(result.seconds for result in results.values()) < 0.35
