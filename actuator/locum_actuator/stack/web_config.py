"""Who may ask the Prometheus and the Alertmanager of `locum up`: their web configuration (exporter-toolkit's).

Both speak TLS. Prometheus wants a password, of which its file holds a hash. Alertmanager wants the certificate for
clients: if it wanted nothing, every local user could silence the alerts that wake locum; if it compared passwords,
wrong ones could delay them, for those of an unknown user take 60 ms each, one after another.
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
# The least there is: the password has 256 bits, so nobody guesses it, and each wrong guess costs the program that
# much of a processor.
ROUNDS = 4


def write_password(directory: Path) -> str:
    """Return the password in a directory, made where there is none. Raises `OSError`."""
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
# Made by `locum up`. The password is in {PASSWORD_FILE} beside this file.
tls_server_config:
  cert_file: {certificate.certificate}
  key_file: {certificate.key}
basic_auth_users:
  {USER}: "{hashed}"
"""


def alertmanager_web_text(certificate: Certificate) -> str:
    """Return the web configuration of Alertmanager."""
    return f"""\
# Made by `locum up`. Who has {certificate.client_certificate.name} and its key may ask: see {CLIENT_FILE}.
tls_server_config:
  cert_file: {certificate.certificate}
  key_file: {certificate.key}
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: {certificate.client_certificate}
"""


def client_config_text(certificate: Certificate) -> str:
    """Return what amtool needs to ask Alertmanager: its `--http.config.file`."""
    return f"""\
# Made by `locum up`, for `amtool --http.config.file=FILE`.
tls_config:
  ca_file: {certificate.certificate}
  cert_file: {certificate.client_certificate}
  key_file: {certificate.client_key}
"""
