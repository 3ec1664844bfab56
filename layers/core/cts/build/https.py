"""HTTPS to AWS."""

import ssl
from functools import cache


def context_for(url: str) -> ssl.SSLContext | None:
    """None if it is not HTTPS."""
    return _context() if url.startswith("https:") else None


@cache
def _context() -> ssl.SSLContext:
    # Until Python 3.12, each connection without one reads the certificates of all CAs again.
    return ssl.create_default_context()
