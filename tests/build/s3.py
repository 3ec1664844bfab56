"""A tiny S3 in memory: enough for the build and for Terraform's S3 backend."""

import base64
import hashlib
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

Fault = Callable[[str, str], int | tuple[int, str] | None]
"""Method and path -> the status to answer with instead, or None. A code may follow the status:
`(400, "RequestTimeout")`."""


PAGE = 1000
"""Versions in one answer, and at most that many deleted by one request."""


@dataclass(frozen=True)
class Version:
    id: str
    body: bytes | None
    """None: a delete marker."""


@dataclass
class S3:
    """Objects by `bucket/key`. `fault` sees each request first; `seen` lists what came."""

    url: str
    objects: dict[str, bytes] = field(default_factory=dict)
    versions: dict[str, list[Version]] = field(default_factory=dict)
    """What requests have put and deleted, the latest last."""
    seen: list[str] = field(default_factory=list)
    signers: list[tuple[str, str]] = field(default_factory=list)
    """The access key and the path of each request."""
    fault: Fault = lambda *_: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def change(self, path: str, body: bytes | None) -> None:
        self.versions.setdefault(path, []).append(Version(uuid.uuid4().hex, body))
        self._show_latest(path)

    def delete_version(self, path: str, version: str) -> None:
        kept = [each for each in self.versions.get(path, []) if each.id != version]
        self.versions[path] = kept
        self._show_latest(path)

    def _show_latest(self, path: str) -> None:
        latest = self.versions[path][-1].body if self.versions[path] else None
        self.objects.pop(path, None)
        if latest is not None:
            self.objects[path] = latest


@contextmanager
def serving() -> Iterator[S3]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    s3 = S3(f"http://127.0.0.1:{server.server_address[1]}")
    server.s3 = s3  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield s3
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def s3(self) -> S3:
        return self.server.s3  # type: ignore[attr-defined,no-any-return]

    @property
    def path_only(self) -> str:
        return unquote(urlsplit(self.path).path).lstrip("/")

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

    def log_message(self, *args: object) -> None:
        pass

    def setup(self) -> None:
        super().setup()
        self.request.setsockopt(6, 1, 1)  # TCP_NODELAY: answers are small

    def do_GET(self) -> None:
        if not self._faulty():
            if "/" in self.path_only.rstrip("/"):
                self._get()
            elif "versions" in self.query:
                self._list_versions(self.path_only.rstrip("/"))
            else:
                self._list(self.path_only.rstrip("/"))

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        body = self._body()
        if self._faulty():
            return
        with self.s3.lock:
            exists = self.path_only in self.s3.objects
            refused = exists and self.headers.get("If-None-Match") == "*"
            if (expected := self.headers.get("If-Match")) is not None:
                refused = expected != _etag(self.s3.objects.get(self.path_only, b""))
            if not refused:
                self.s3.change(self.path_only, body)
        if refused:
            self._error(412, "PreconditionFailed")
        else:
            self._answer(200, b"", ETag=_etag(body))

    def do_DELETE(self) -> None:
        if self._faulty():
            return
        expected = self.headers.get("If-Match")
        with self.s3.lock:
            body = self.s3.objects.get(self.path_only)
            refused = expected is not None and (body is None or expected != _etag(body))
            if not refused:
                self.s3.change(self.path_only, None)
        if refused:
            self._error(412 if body is not None else 404, "PreconditionFailed")
        else:
            self._answer(204, b"")

    def do_POST(self) -> None:
        """Delete versions of several objects."""
        body = self._body()
        if self._faulty():
            return
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        named = ET.fromstring(body).findall("Object")
        if "delete" not in self.query or self.headers.get("Content-MD5") != digest:
            self._error(400, "InvalidDigest")
        elif len(named) > PAGE:
            self._error(400, "MalformedXML")
        else:
            bucket = self.path_only.rstrip("/")
            with self.s3.lock:
                for each in named:
                    path, version = f"{bucket}/{each.findtext('Key')}", each.findtext("VersionId")
                    self.s3.delete_version(path, version or "")
            self._answer(200, b"<DeleteResult/>")

    def _get(self) -> None:
        body = self.s3.objects.get(self.path_only)
        if body is None:
            self._error(404, "NoSuchKey")
        else:
            self._answer(200, body, ETag=_etag(body), Last_Modified=formatdate(usegmt=True))

    def _list(self, bucket: str) -> None:
        prefix = self.query.get("prefix", [""])[0]
        start = f"{bucket}/{prefix}"
        keys = [k.split("/", 1)[1] for k in sorted(self.s3.objects) if k.startswith(start)]
        found = "".join(f"<Contents><Key>{escape(k)}</Key><Size>1</Size></Contents>" for k in keys)
        self._answer(
            200,
            f"<ListBucketResult><Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix>"
            f"<KeyCount>{len(keys)}</KeyCount><IsTruncated>false</IsTruncated>{found}"
            "</ListBucketResult>".encode(),
        )

    def _list_versions(self, bucket: str) -> None:
        """By key, the latest first."""
        start = f"{bucket}/{self.query.get('prefix', [''])[0]}"
        found = [
            _version(path.split("/", 1)[1], each, is_latest=each is versions[-1])
            for path, versions in sorted(self.s3.versions.items())
            if path.startswith(start)
            for each in reversed(versions)
        ]
        cut = str(len(found) > PAGE).lower()
        self._answer(
            200,
            '<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{cut}</IsTruncated>{''.join(found[:PAGE])}"
            "</ListVersionsResult>".encode(),
        )

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            return _unchunked(body)
        return body

    def _faulty(self) -> bool:
        self.s3.seen.append(f"{self.command} {self.path_only}")
        key = self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
        self.s3.signers.append((key, f"{self.command} {self.path_only}"))
        fault = self.s3.fault(self.command, self.path_only)
        if fault is None:
            return False
        status, code = (fault, "Injected") if isinstance(fault, int) else fault
        self._error(status, code)
        return True

    def _error(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
        self._answer(status, body.encode())

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _version(key: str, version: Version, *, is_latest: bool) -> str:
    name = "DeleteMarker" if version.body is None else "Version"
    latest = str(is_latest).lower()
    inside = f"<Key>{escape(key)}</Key><VersionId>{version.id}</VersionId>"
    return f"<{name}>{inside}<IsLatest>{latest}</IsLatest></{name}>"


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def _unchunked(body: bytes) -> bytes:
    """The payload of an aws-chunked body: `<hex size>[;signature]\\r\\n<data>\\r\\n...0\\r\\n`."""
    whole = b""
    while True:
        head, _, body = body.partition(b"\r\n")
        size = int(head.split(b";")[0], 16)
        if size == 0:
            return whole
        whole, body = whole + body[:size], body[size + 2 :]
