"""A server that speaks as Prometheus does, and says what a test wants said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.http_server import QuietHandler, http_server

Series = list[tuple[dict[str, str], float]]
# What each query finds, by its expression.
Finds = Callable[[str], Series]


def well(finds: Finds, groups: list[dict[str, Any]] | None = None) -> Callable[[str, dict[str, str]], Any]:
    """Return the answers of a Prometheus in which `finds` says what there is, at every moment the same."""

    def answer(path: str, form: dict[str, str]) -> Any:
        if path == "rules":
            return _success({"groups": groups or []})
        if path.startswith("label/"):
            return _success(["mail", "www"])
        found = finds(form["query"])
        if path == "query":
            rows = [{"metric": labels, "value": [float(form["time"]), str(value)]} for labels, value in found]
            return _success({"resultType": "vector", "result": rows})
        begin, end, step = (float(form[key]) for key in ("start", "end", "step"))
        times = [begin + number * step for number in range(int((end - begin) / step) + 1)]
        rows = [{"metric": labels, "values": [[at, str(value)] for at in times]} for labels, value in found]
        return _success({"resultType": "matrix", "result": rows})

    return answer


@contextmanager
def serving(answer: Callable[[str, dict[str, str]], Any]) -> Iterator[str]:
    """Serve answers on a free port of loopback; yields the address. A text is sent as it is, all else as JSON."""

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"  # one connection for all requests
        disable_nagle_algorithm = True
        wbufsize = -1

        def get(self) -> None:
            url = urlsplit(self.path)
            self._send(url.path, url.query)

        def post(self, body: bytes) -> None:
            self._send(self.path, body.decode())

        def _send(self, path: str, form: str) -> None:
            words = {key: values[0] for key, values in parse_qs(form).items()}
            said = answer(path.removeprefix("/api/v1/"), words)
            self.answer(said if isinstance(said, str) else json.dumps(said))

    with http_server(Handler) as at:
        yield at.url


def _success(data: Any) -> dict[str, Any]:
    return {"status": "success", "data": data}
