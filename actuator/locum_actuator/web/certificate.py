"""Create the certificates with which the programs of the chain authenticate each other on this machine.

The first one is self-signed and valid for loopback only. Clients of the chain accept only this certificate. So
another user who listens on a port of the chain while its program is down gets no token, because that user lacks the
key. The second one is the client certificate that Alertmanager requires.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from locum_actuator.system.private_file import write_private

DIRECTORY = "tls"  # in the state directory
NAMES = ("localhost", "127.0.0.1", "::1")
# The certificates must not expire: RFC 5280, 4.1.2.5, defines this date for certificates without an end.
BEGINS, ENDS = datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The paths of the two certificates and their keys."""

    certificate: Path
    key: Path
    client_certificate: Path
    client_key: Path

    @classmethod
    def in_state(cls, state_directory: Path) -> Certificate:
        """Return the paths for an actuator with this state directory."""
        directory = state_directory / DIRECTORY
        return cls(*(directory / name for name in ("chain.crt", "chain.key", "client.crt", "client.key")))

    def make(self) -> None:
        """Create missing pairs, as the owner of the state directory. Raises `OSError`."""
        pairs = (
            (self.certificate, self.key, ExtendedKeyUsageOID.SERVER_AUTH),
            (self.client_certificate, self.client_key, ExtendedKeyUsageOID.CLIENT_AUTH),
        )
        missing = [pair for pair in pairs if not (pair[0].exists() and pair[1].exists())]
        if not missing:
            return
        directory = self.key.parent
        with _as_owner_of(directory.parent):
            directory.mkdir(mode=0o700, exist_ok=True)
            for certificate_file, key_file, usage in missing:
                key = ec.generate_private_key(ec.SECP256R1())
                secret = key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
                write_private(key_file, secret)
                write_private(certificate_file, _signed(key, usage).public_bytes(serialization.Encoding.PEM))

    def server_context(self) -> ssl.SSLContext:
        """Return a TLS context for the server. Raises `OSError`, including `ssl.SSLError`."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return a TLS context for clients that accept only this certificate. Raises `OSError`."""
        return ssl.create_default_context(cafile=str(self.certificate))


def _signed(key: ec.EllipticCurvePrivateKey, usage: x509.ObjectIdentifier) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "locum on this machine")])
    names: list[x509.GeneralName] = [
        x509.DNSName(one) if one == "localhost" else x509.IPAddress(ip_address(one)) for one in NAMES
    ]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGINS)
        .not_valid_after(ENDS)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, content_commitment=False, key_encipherment=False,
                data_encipherment=False, key_agreement=False, crl_sign=False, encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip


@contextmanager
def _as_owner_of(directory: Path) -> Iterator[None]:
    """Become the owner of a directory for the block: root must not write where another user can create links."""
    owner = directory.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    group = os.getegid()
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
