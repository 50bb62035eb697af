"""Write the web configuration (exporter-toolkit) of the Prometheus and the Alertmanager of `locum up`.

Both use TLS. Prometheus requires a password, and its file has a hash of it. Alertmanager requires the client
certificate: without authentication every local user could silence the alerts that trigger locum, and with passwords
wrong ones could delay them, because checking that of an unknown user takes 60 ms, one after another.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import bcrypt

from locum_actuator.web.certificate import Certificate

USER = "locum"
PASSWORD_FILE, CONFIG_FILE, CLIENT_FILE = "web.password", "web.yml", "client.yml"
ALERTMANAGER_FILE = "alertmanager-web.yml"
# The minimum: the password has 256 bits, so it cannot be guessed, and each wrong guess costs the program CPU time.
ROUNDS = 4


def write_password(directory: Path) -> str:
    """Return the password in a directory; create it if there is none. Raises `OSError`."""
    path = directory / PASSWORD_FILE
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        password = secrets.token_urlsafe(32)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{password}\n")
        return password


def web_config_text(certificate: Certificate, password: str) -> str:
    """Return the web configuration of Prometheus."""
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(ROUNDS)).decode()
    return f"""\
# Made by `locum up`. The password is in {PASSWORD_FILE} next to this file.
tls_server_config:
  cert_file: {certificate.certificate}
  key_file: {certificate.key}
basic_auth_users:
  {USER}: "{hashed}"
"""


def alertmanager_web_text(certificate: Certificate) -> str:
    """Return the web configuration of Alertmanager."""
    return f"""\
# Made by `locum up`. Clients need {certificate.client_certificate.name} and its key: see {CLIENT_FILE}.
tls_server_config:
  cert_file: {certificate.certificate}
  key_file: {certificate.key}
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: {certificate.client_certificate}
"""


def client_config_text(certificate: Certificate) -> str:
    """Return the `--http.config.file` with which amtool can connect to Alertmanager."""
    return f"""\
# Made by `locum up`, for `amtool --http.config.file=FILE`.
tls_config:
  ca_file: {certificate.certificate}
  cert_file: {certificate.client_certificate}
  key_file: {certificate.client_key}
"""
