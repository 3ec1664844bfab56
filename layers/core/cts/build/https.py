"""TLS: with AWS, and with servers of the user's."""

import ssl
from functools import cache
from pathlib import Path
from typing import Any

from cts.build.errors import RunError


def context_for(url: str) -> ssl.SSLContext | None:
    """For a request to AWS; None if it is not HTTPS."""
    return _context() if url.startswith("https:") else None


@cache
def _context() -> ssl.SSLContext:
    # Until Python 3.12, each connection without one reads the certificates of all CAs again.
    return ssl.create_default_context()


class TlsContext(ssl.SSLContext):
    """`server_name`: the name that the server's certificate must have; empty: the address's."""

    server_name = ""

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        if self.server_name:
            options["server_hostname"] = self.server_name
        return super().wrap_socket(*args, **options)


def tls_context(whose: str, ca: str, files: dict[str, Path]) -> TlsContext:
    """`files`: perhaps the client's `certificate` and its `key`. Raises RunError."""
    context = TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    # As in HashiCorp's programs, an intermediate CA may be trusted alone, and a private CA may lack
    # extensions that RFC 5280 demands.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        if ca:
            context.load_verify_locations(cadata=ca)
        else:
            context.load_default_certs()
        if "certificate" in files and "key" in files:
            context.load_cert_chain(files["certificate"], files["key"], password=str)
    except (ssl.SSLError, ValueError, TypeError):
        raise RunError(
            f"reading the certificates for {whose}: each must be PEM text, and a client's key its "
            "certificate's own, not encrypted",
            retryable=False,
        ) from None
    return context
