"""Who may ask the Prometheus and the Alertmanager of `locum up`: whoever has the password, over TLS.

Without it every local user could silence the alerts that wake locum. Both read the same file (exporter-toolkit's
web configuration), which holds a hash of the password; those who ask read the password from a file of its own.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import bcrypt

from locum_actuator.web.certificate import Certificate

USER = "locum"
PASSWORD_FILE, CONFIG_FILE, CLIENT_FILE = "web.password", "web.yml", "client.yml"
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
    """Return the web configuration of Prometheus and Alertmanager."""
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(ROUNDS)).decode()
    return f"""\
# Made by `locum up`. The password is in {PASSWORD_FILE} beside this file.
tls_server_config:
  cert_file: {certificate.certificate}
  key_file: {certificate.key}
basic_auth_users:
  {USER}: "{hashed}"
"""


def client_config_text(certificate: Certificate, directory: Path) -> str:
    """Return what amtool needs to ask Alertmanager: its `--http.config.file`."""
    return f"""\
# Made by `locum up`, for `amtool --http.config.file=FILE`.
basic_auth:
  username: {USER}
  password_file: {directory / PASSWORD_FILE}
tls_config:
  ca_file: {certificate.certificate}
"""
