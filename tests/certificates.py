"""Certificates of servers and their clients, made here, without what RFC 5280 demands."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


def made(name: str, issuer: x509.Name | None = None) -> x509.CertificateBuilder:
    """A certificate without key identifiers."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )


def authority(folder: Path, host: str = "") -> Path:
    """The certificate of a CA; beside it `server.pem`, with its key, for a host of that name, or
    for this machine."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = made("ca").public_key(ca_key.public_key()).sign(ca_key, hashes.SHA256())
    name = x509.DNSName(host) if host else x509.IPAddress(IPv4Address("127.0.0.1"))
    server = made("server", ca.subject).add_extension(
        x509.SubjectAlternativeName([name]), critical=False
    )
    signed = server.public_key(key.public_key()).sign(ca_key, hashes.SHA256())
    text = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(text + signed.public_bytes(PEM))
    (folder / "ca.pem").write_bytes(ca.public_bytes(PEM))
    return folder / "ca.pem"


def pair(ca: Path) -> tuple[str, str]:
    """The certificate of this machine, and its key."""
    key, begin, certificate = ca.with_name("server.pem").read_text().partition("-----BEGIN CERT")
    return begin + certificate, key
