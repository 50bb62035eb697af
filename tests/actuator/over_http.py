"""An actuator over HTTP, with the token that tests show it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.serving import make_server

from locum_actuator.app import create_app
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.site_reload import ReloadResult

API_TOKEN = "an-api-token-of-some-length"
AUTH = {"Authorization": f"Bearer {API_TOKEN}"}


@contextmanager
def served(engine: Engine) -> Iterator[str]:
    """Serve an engine's API, and yield its address."""
    server = make_server(
        "127.0.0.1", 0, create_app(engine, "a-webhook-token", API_TOKEN, ReloadResult), threaded=True
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
