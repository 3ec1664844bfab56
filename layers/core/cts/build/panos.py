"""Commits what an apply left uncommitted on a firewall of Palo Alto Networks: its XML API."""

import http.client
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from cts.build.errors import RunError
from cts.build.log import Log
from cts.build.stop import Stop

RETRIES = 4
"""As many as CTS makes: after 1, 2, 4 and 8 seconds."""
POLL_SECONDS = 1.0
DESCRIPTION = "Consul-Terraform-Sync commit"
YES = re.compile(r"true|yes|1", re.IGNORECASE)


class Panos:
    """The firewall that the provider `panos` is configured for: by its arguments, else by
    `PANOS_...` in the environment, else by the file that `json_config_file` names."""

    def __init__(
        self, arguments: Mapping[str, Any], environment: Mapping[str, str], folder: Path
    ) -> None:
        """`folder`: where relative names of files begin. Raises RunError if it lacks something."""
        self._given, self._environment = arguments, environment
        self._file: Mapping[str, Any] = {}
        if name := self._option("json_config_file"):
            self._file = _from_file(folder / name)
        self.user = self._option("username")
        host, port = self._option("hostname"), self._option("port")
        if not host or not self.user:
            missing = "PANOS_USERNAME" if host else "PANOS_HOSTNAME"
            raise _mistake(
                f"committing to the firewall: the provider panos has no "
                f"{missing.removeprefix('PANOS_').lower()}; set it, or {missing}"
            )
        protocol = self._option("protocol") or "https"
        address = f"{host}:{port}" if port and port != "0" else host
        self.url = f"{protocol}://{address}/api/"
        self._timeout = self._seconds()
        self._context = None if self._is_verified() else _unverified()
        self._key = self._option("api_key")

    def commit(self, log: Log, stop: Stop) -> None:
        """Commit only what this administrator has changed, and wait for the job's end.
        Raises RunError."""
        for attempt in range(RETRIES + 1):
            try:
                done = self._commit(stop)
                log.note(f"committed the changes of {self.user} at {self.url}: {done}")
                return
            except RunError as failed:
                if attempt == RETRIES or not failed.retryable or stop.reason:
                    raise
                log.note(f"{failed}; trying again")
            stop.pause(2**attempt)

    def _commit(self, stop: Stop) -> str:
        admin = f"<admin><member>{escape(self.user)}</member></admin>"
        what = f"<description>{DESCRIPTION}</description><partial>{admin}</partial>"
        answer = self._ask(type="commit", cmd=f"<commit>{what}</commit>")
        job = answer.findtext("result/job")
        if job is None:
            return "there was nothing to commit"
        while True:
            command = f"<show><jobs><id>{escape(job)}</id></jobs></show>"
            shown = self._ask(type="op", cmd=command).find("result/job")
            if shown is not None and shown.findtext("status") == "FIN":
                break
            if stop.reason:
                raise RunError(f"waiting for commit job {job}: stopped because {stop.reason}")
            stop.pause(POLL_SECONDS)
        if shown.findtext("result") != "OK":
            raise RunError(f"commit job {job} at {self.url} failed: {_lines(shown)}")
        return f"job {job} is done"

    def _ask(self, **form: str) -> ET.Element:
        """The answer to a request, which says success. Raises RunError."""
        if not self._key:
            password = self._option("password")
            if not password:
                text = "committing to the firewall: the provider panos has neither api_key nor"
                raise _mistake(f"{text} password; set one, or PANOS_API_KEY or PANOS_PASSWORD")
            form_of_key = {"type": "keygen", "user": self.user, "password": password}
            self._key = self._send(form_of_key).findtext("result/key") or ""
        if target := self._option("target"):
            form["target"] = target
        return self._send({**form, "key": self._key})

    def _send(self, form: Mapping[str, str]) -> ET.Element:
        # In the body: what is in an address stands in the logs of proxies.
        request = urllib.request.Request(self.url, urlencode(form).encode())
        doing = f"asking {self.url} for {form['type']}"
        try:
            opened = urllib.request.urlopen(request, timeout=self._timeout, context=self._context)
            with opened as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                body = error.read()
            if not body.lstrip().startswith(b"<response"):
                raise RunError(f"{doing}: HTTP {error.code}") from None
        except (OSError, http.client.HTTPException) as error:
            raise RunError(f"{doing}: {error}") from error
        try:
            answered = ET.fromstring(body)
        except ET.ParseError as error:
            raise RunError(f"{doing}: the answer is not XML: {error}") from error
        if answered.get("status") != "success":
            raise RunError(f"{doing}: {_lines(answered)} (code {answered.get('code')})")
        return answered

    def _option(self, name: str) -> str:
        """Empty if it is not set."""
        for found in (
            self._given.get(name),
            self._environment.get(f"PANOS_{name.upper()}"),
            self._file.get(name),
        ):
            if found not in (None, ""):
                return str(found)
        return ""

    def _seconds(self) -> float:
        given = self._option("timeout") or "10"
        if not re.fullmatch(r"[1-9]\d{0,5}(\.0)?", given, re.ASCII):
            text = "committing to the firewall: the timeout of the provider panos must be a number"
            raise _mistake(f"{text} of seconds")
        return float(given)

    def _is_verified(self) -> bool:
        """By default it is not, as with the provider that CTS knows: most firewalls have
        self-signed certificates."""
        if skip := self._option("skip_verify_certificate"):
            return not YES.fullmatch(skip)
        return bool(YES.fullmatch(self._option("verify_certificate")))


def _from_file(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise _mistake(f"reading {file}, the provider panos's json_config_file: {error}") from error
    return found if isinstance(found, dict) else {}


def _mistake(text: str) -> RunError:
    return RunError(text, retryable=False, because="the provider's configuration has to be changed")


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _lines(answer: ET.Element) -> str:
    """What the firewall says."""
    found = [text.strip() for each in answer.iter() if (text := each.text) and each.tag in WORDS]
    return " ".join(each for each in found if each) or "it says nothing of why"


WORDS = ("line", "msg")
