"""What the build asks of S3."""

import base64
import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from html import escape
from typing import NamedTuple
from urllib.parse import quote

from cts.build.begun import Begun
from cts.build.credentials import Credentials, find_credentials
from cts.build.errors import RunError
from cts.build.https import context_for
from cts.build.signature import signed

PASSING = re.compile(
    r"<Code>(?:RequestTimeout|SlowDown|RequestTimeTooSkewed|InternalError|ExpiredToken)</Code>"
)
"""What S3 says of a request that may succeed the next time, whatever the status."""


class StoredState(NamedTuple):
    body: bytes
    etag: str


class S3:
    """A few calls of S3, signed (Signature Version 4). Conflicts, throttling, server errors and
    broken connections are tried again: eight attempts take about half a minute, and never more
    than half of the time until `ends_at` (monotonic), so that what comes after has its chance."""

    def __init__(
        self,
        region: str,
        attempts: int = 8,
        ends_at: float = float("inf"),
        find: Callable[[], Credentials] = find_credentials,
    ) -> None:
        self.region, self.attempts, self.ends_at, self.find = region, attempts, ends_at, find
        self.endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        self._credentials: Credentials | None = None
        self._begun: dict[tuple[str, str, str], Begun[StoredState | None]] = {}

    def begin(self, *reads: tuple[str, str, str]) -> None:
        """Begin to read, side by side, what is soon asked for: the next `get` or `exists` has the
        answer of now. `reads`: each the method, the bucket and the key."""
        for read in reads:
            self._begun[read] = Begun(partial(self._send, *read, accept=(404,)))

    def get(self, bucket: str, key: str, most: float = float("inf")) -> StoredState | None:
        """`most`: bytes. A longer object is not read, and its body is empty here."""
        return self._read("GET", bucket, key, most)

    def exists(self, bucket: str, key: str) -> bool:
        return self._read("HEAD", bucket, key) is not None

    def _read(
        self, method: str, bucket: str, key: str, most: float = float("inf")
    ) -> StoredState | None:
        if begun := self._begun.pop((method, bucket, key), None):
            return begun.answer()
        return self._send(method, bucket, key, accept=(404,), most=most)

    def put(self, bucket: str, key: str, body: bytes) -> None:
        self._send("PUT", bucket, key, body)

    def put_if_absent(self, bucket: str, key: str, body: bytes) -> bool:
        return self._send("PUT", bucket, key, body, {"if-none-match": "*"}, (412,)) is not None

    def put_over(self, bucket: str, key: str, body: bytes, etag: str) -> bool:
        """False if it is another object by now."""
        return self._send("PUT", bucket, key, body, {"if-match": etag}, (404, 412)) is not None

    def delete(self, bucket: str, key: str, etag: str) -> bool:
        """False if it is another object by now."""
        return self._send("DELETE", bucket, key, b"", {"if-match": etag}, (404, 412)) is not None

    def former_versions(self, bucket: str, key: str) -> list[str]:
        """Ids of an object's versions and delete markers, the latest left out; the first thousand
        at most. Raises RunError."""
        from xml.etree import ElementTree as ET

        query = f"prefix={quote(key, safe='')}&versions="
        answer = self._send("GET", bucket, "", query=query)
        try:
            listed = ET.fromstring(answer.body if answer else b"")
        except ET.ParseError as error:
            raise RunError(f"GET s3://{bucket}?versions: the answer is not XML: {error}") from None
        each = (*listed.iterfind("{*}Version"), *listed.iterfind("{*}DeleteMarker"))
        return [
            found.findtext("{*}VersionId", "")
            for found in each
            if found.findtext("{*}Key") == key and found.findtext("{*}IsLatest") == "false"
        ]

    def delete_versions(self, bucket: str, key: str, versions: list[str]) -> None:
        named = "".join(
            f"<Object><Key>{escape(key)}</Key><VersionId>{escape(each)}</VersionId></Object>"
            for each in versions
        )
        body = f"<Delete><Quiet>true</Quiet>{named}</Delete>".encode()
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        headers = {"content-md5": base64.b64encode(digest).decode()}
        answer = self._send("POST", bucket, "", body, headers, query="delete=")
        if answer and b"<Error>" in answer.body:
            raise RunError(f"POST s3://{bucket}?delete: {told_by_s3(answer.body)}")

    def _send(
        self,
        method: str,
        bucket: str,
        key: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        accept: tuple[int, ...] = (),
        query: str = "",
        most: float = float("inf"),
    ) -> StoredState | None:
        """The answer; None for a status in `accept`."""
        began = time.monotonic()
        until = began + (self.ends_at - began) / 2
        for attempt in range(self.attempts):
            pause = 0.1 * 2**attempt if attempt else 0
            left = until - time.monotonic() - pause
            if attempt and left < 0:
                break
            time.sleep(pause)
            try:
                request = self._request(method, bucket, key, body, headers or {}, query)
                seconds, shared = min(60, max(1, left / 2)), context_for(request.full_url)
                with urllib.request.urlopen(request, timeout=seconds, context=shared) as answer:
                    body = answer.read() if (answer.length or 0) <= most else b""
                    return StoredState(body, answer.headers.get("ETag", ""))
            except urllib.error.HTTPError as error:
                with error:
                    told = error.read()
                problem = f"HTTP {error.code} {told_by_s3(told)}".rstrip()
                if error.code in accept:
                    return None
                passing = PASSING.search(told.decode(errors="replace"))
                if error.code < 500 and error.code not in (409, 429) and not passing:
                    raise RunError(f"{method} s3://{bucket}/{key}: {problem}") from None
                if b"<Code>ExpiredToken</Code>" in told:
                    self._credentials = None
            except (OSError, http.client.HTTPException) as error:
                problem = str(error)
        raise RunError(f"{method} s3://{bucket}/{key}: {problem}")

    def _request(
        self,
        method: str,
        bucket: str,
        key: str,
        body: bytes,
        headers: dict[str, str],
        query: str = "",
    ) -> urllib.request.Request:
        """`query`: its names in alphabetical order, as the signature wants them."""
        if self.endpoint:
            url = f"{self.endpoint.rstrip('/')}/{bucket}/{quote(key)}"
        else:
            china = ".cn" if self.region.startswith("cn-") else ""
            url = f"https://{bucket}.s3.{self.region}.amazonaws.com{china}/{quote(key)}"
        url += f"?{query}" if query else ""
        headers = headers | {"content-type": "application/octet-stream"}
        credentials = self._fresh_credentials()
        headers |= signed(method, url, body, self.region, credentials, service="s3")
        return urllib.request.Request(url, body or None, headers, method=method)

    def _fresh_credentials(self) -> Credentials:
        soon = datetime.now(UTC) + timedelta(minutes=5)
        if self._credentials is None or self._credentials.expires < soon:
            self._credentials = self.find()
        return self._credentials


def told_by_s3(body: bytes) -> str:
    return " ".join(re.findall(r"<(?:Code|Message)>(.*?)</", body.decode(errors="replace")))
