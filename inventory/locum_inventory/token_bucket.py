"""Token buckets: a burst, then a fixed rate per second; for all clients together or for each one."""

from __future__ import annotations

import math

CLIENTS_REMEMBERED = 4096


class TokenBucket:
    """A burst, then a fixed rate per second. Times are from time.monotonic."""

    def __init__(self, burst: float, per_second: float) -> None:
        self._burst, self._per_second = burst, per_second
        self.left, self._at = burst, -math.inf

    def take(self, now: float) -> float:
        """Take one token; return the number left, which is negative if there was none."""
        self._fill(now)
        self.left -= 1
        return self.left

    def allows(self, now: float) -> bool:
        """Take one token if there is one, and return whether there was; a refusal takes none."""
        self._fill(now)
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def _fill(self, now: float) -> None:
        self.left = min(self._burst, self.left + (now - self._at) * self._per_second)
        self._at = now


class ClientRates:
    """One bucket per client, by name."""

    def __init__(self, burst: float, per_second: float) -> None:
        self._burst, self._per_second = burst, per_second
        self._buckets: dict[str, TokenBucket] = {}

    def allows(self, client: str, now: float) -> bool:
        """Count an action of a client at monotonic time `now`; return whether it is allowed."""
        if client not in self._buckets:
            if len(self._buckets) >= CLIENTS_REMEMBERED:
                self._buckets.clear()
            self._buckets[client] = TokenBucket(self._burst, self._per_second)
        return self._buckets[client].allows(now)
