"""The signature of a request to AWS: Signature Version 4."""

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import urlsplit

from cts.build.credentials import Credentials


def signed(
    method: str,
    url: str,
    body: bytes,
    region: str,
    credentials: Credentials,
    *,
    service: str,
    target: str = "",
) -> dict[str, str]:
    """The headers to send with it. `target`: the operation, if the service has it in a header."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    parts = urlsplit(url)
    headers = {"host": parts.netloc, "x-amz-content-sha256": digest, "x-amz-date": moment}
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token
    if target:
        headers["x-amz-target"] = target
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"{method}\n{parts.path}\n{parts.query}\n{lines}\n{names}\n{digest}"
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{_sha256(canonical)}"
    key = f"AWS4{credentials.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.key_id}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return headers


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
