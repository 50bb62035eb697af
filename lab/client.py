"""The client: the service from a user's point of view, request by request."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.host import Host
from lab.namespaces import INSIDE, PYTHON
from lab.plan import Address
from lab.provision import SERVED_BY
from lab.stream import Stream

PACE_SECONDS = 0.02
TIMEOUT_SECONDS = 0.2
IN_A_ROW = 25  # so many consecutive good answers mean that the service is back: half a second


@dataclass(frozen=True, slots=True)
class Sample:
    """One request. `fault` is None for a good answer; `host` is the host that answered, if any."""

    number: int
    started: float  # time.time()
    seconds: float
    host: str | None
    fault: str | None

    @property
    def ok(self) -> bool:
        """Whether the answer was good."""
        return self.fault is None

    @property
    def ended(self) -> float:
        """When the request was answered or timed out (time.time())."""
        return self.started + self.seconds


def _since(samples: Sequence[Sample], since: float) -> list[Sample]:
    return sorted((sample for sample in samples if sample.started >= since), key=lambda sample: sample.number)


def _good_runs(samples: Sequence[Sample], n: int) -> Iterator[list[Sample]]:
    """Yield the first `n` good answers of each unbroken row. A request that has not ended yet breaks the row."""
    run: list[Sample] = []
    for sample in samples:
        if not sample.ok or (run and sample.number != run[-1].number + 1):
            run = []
        if sample.ok:
            run.append(sample)
        if len(run) == n:
            yield run


def seconds_without_service(samples: Sequence[Sample], since: float, n: int = IN_A_ROW) -> float | None:
    """Return the seconds from `since` until the service was back.

    Only requests that started at `since` or later count. If none of them failed: 0.0. Otherwise the service is
    back at the first of the first `n` consecutive good answers after the first failure. None: it is not back yet,
    or there were too few requests to decide. Good answers before the first failure do not count (a fault may take
    a moment to take effect), and failures after the service was back are a new outage: see `failed_requests`.
    """
    later = _since(samples, since)
    first_failure = next((index for index, sample in enumerate(later) if not sample.ok), None)
    run = next(_good_runs(later[first_failure:], n), None)
    if run is None:
        return None
    return 0.0 if first_failure is None else run[0].ended - since


class Client:
    """Sends a request to a service address every 20 ms from the lab's client host and records the results."""

    def __init__(self, host: Host, address: Address) -> None:
        self.address = address
        process = host.popen(
            [
                *PYTHON, str(INSIDE / "asks.py"), str(address), "80",
                str(PACE_SECONDS), str(TIMEOUT_SECONDS), SERVED_BY,
            ],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        self._stream = Stream(f"client of {address}", process, _sample)

    def samples(self, since: float = 0.0) -> list[Sample]:
        """Return the finished requests that started at `since` or later, in the order of their start."""
        return _since(self._stream.records(), since)

    def wait_good(self, n: int = IN_A_ROW, timeout: float = 60.0, since: float | None = None) -> float:
        """Wait for `n` consecutive good answers to requests sent from now on (or from `since` on).

        Return the time of the first of them (time.time()); raise TimeoutError if they do not arrive.
        """
        begin = time.time() if since is None else since
        deadline = time.monotonic() + timeout
        seen = 0
        while True:
            run = next(_good_runs(self.samples(begin), n), None)
            if run is not None:
                return run[0].ended
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(
                    f"no {n} good answers in a row within {timeout:g} s: {self._last_words(begin)}"
                )
            seen = self._stream.wait(seen, left)

    def wait_failed(self, timeout: float = 60.0, since: float | None = None) -> float:
        """Wait until a request sent from now on (or from `since` on) fails; return when it started."""
        begin = time.time() if since is None else since
        deadline = time.monotonic() + timeout
        seen = 0
        while True:
            failed = [sample.started for sample in self.samples(begin) if not sample.ok]
            if failed:
                return failed[0]
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no request failed within {timeout:g} s")
            seen = self._stream.wait(seen, left)

    def seconds_without_service(self, since: float) -> float | None:
        """Call the function of that name on the requests so far."""
        return seconds_without_service(self._stream.records(), since)

    def failed_requests(self, since: float) -> int:
        """Count the failed requests that started at `since` or later."""
        return sum(not sample.ok for sample in self.samples(since))

    def answered_by(self, since: float) -> str | None:
        """Return the host of the latest good answer to a request sent at `since` or later."""
        return next((sample.host for sample in reversed(self.samples(since)) if sample.ok), None)

    def close(self) -> None:
        """Stop reading; the client's host must have ended."""
        self._stream.close()

    def _last_words(self, since: float) -> str:
        faults = Counter(sample.fault or f"good from {sample.host}" for sample in self.samples(since))
        return (
            ", ".join(f"{count} {fault}" for fault, count in faults.most_common()) or "no request has ended"
        )


def _sample(line: Mapping[str, Any]) -> Sample:
    return Sample(line["number"], line["started"], line["seconds"], line["host"], line["fault"])
