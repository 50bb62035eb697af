"""The campaign's listener reads webhooks that pass over TLS, with the secrets that the actuator writes down."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from pathlib import Path

import pytest
from flask import Flask

from bench.campaign.inside.tls import Opened
from bench.campaign.inside.webhooks import Conversations
from locum_actuator.web.certificate import Certificate
from tests.bench.test_campaign_webhooks import BODY, CLIENT, PORT, packet
from tests.support.http_server import serving

SUITES = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}


class Relay:
    """Passes one connection on, and keeps the packets as a listener would see them."""

    def __init__(self, target: int) -> None:
        self.packets = [packet(CLIENT, PORT, b"", 0x02, sequence=0)]
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._target = target
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        near, _ = self._server.accept()
        with self._server, near, socket.create_connection(("127.0.0.1", self._target)) as far:
            back = threading.Thread(target=self._pump, args=(far, near, PORT, CLIENT))
            back.start()
            self._pump(near, far, CLIENT, PORT)
            back.join()

    def _pump(self, source: socket.socket, target: socket.socket, here: int, there: int) -> None:
        sequence = 1
        while data := source.recv(1000):  # in pieces
            with self._lock:
                self.packets.append(packet(here, there, data, sequence=sequence))
                target.sendall(data)
            sequence += len(data)
        target.shutdown(socket.SHUT_WR)

    def end(self) -> None:
        self._thread.join(30)


def test_webhooks_over_tls_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = tmp_path / "secrets"
    certificate = Certificate.in_state(tmp_path)
    certificate.make()
    monkeypatch.setenv("SSLKEYLOGFILE", str(secrets))
    tls = certificate.server_context()
    monkeypatch.delenv("SSLKEYLOGFILE")
    app = Flask("test", static_folder=None)
    app.add_url_rule("/webhook", "webhook", lambda: ("{}", 202), methods=["POST"])
    with serving(app, tls=tls) as listener:
        relay = Relay(listener.address[1])
        context = certificate.client_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        client = http.client.HTTPSConnection("127.0.0.1", relay.port, context=context, timeout=30)
        for _ in range(3):
            client.request("POST", "/webhook", BODY)
            assert client.getresponse().read() == b"{}"
        assert isinstance(client.sock, ssl.SSLSocket)
        cipher = client.sock.cipher()
        assert cipher is not None
        assert cipher[0] in SUITES
        client.close()
        relay.end()
    heard = Conversations(PORT, Opened(secrets))
    lines = [line for one in relay.packets for line in heard.hear(one)]
    assert [(line["status"], line["alerts"][0]["name"]) for line in lines] == [(202, "X")] * 3
