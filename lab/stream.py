"""Read an observer's output inside the lab line by line in the background."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from lab.namespaces import Inside
from lab.needs import LabError

Record = TypeVar("Record")


class Stream(Generic[Record]):
    """Records in the order of arrival. The observer lives as long as its host."""

    def __init__(self, name: str, process: Inside, make: Callable[[Mapping[str, Any]], Record]) -> None:
        self._name = name
        self._process = process
        self._make = make
        self._records: list[Record] = []
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read, name=f"lab-{name}", daemon=True)
        self._thread.start()

    def records(self) -> list[Record]:
        """Return a copy of all records so far."""
        with self._news:
            return list(self._records)

    def wait(self, seen: int, seconds: float) -> int:
        """Wait until there are more records than `seen`, or until the timeout; return their number."""
        deadline = time.monotonic() + seconds
        with self._news:
            while len(self._records) <= seen and (left := deadline - time.monotonic()) > 0:
                if not self._thread.is_alive():
                    raise LabError(f"the {self._name} has ended: the lab is no longer observed")
                self._news.wait(min(left, 0.5))
            return len(self._records)

    def close(self) -> None:
        """Wait for the reader to end; the observer's process must have ended."""
        self._thread.join(timeout=5)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            record = self._make(json.loads(line))
            with self._news:
                self._records.append(record)
                self._news.notify_all()
