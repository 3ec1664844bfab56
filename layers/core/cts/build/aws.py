"""What the build asks of Secrets Manager, Parameter Store and STS."""

import json
import os
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from cts.build.asking import Reply, asked, is_outage
from cts.build.credentials import Credentials, read_credentials
from cts.build.errors import RunError
from cts.build.https import context_for
from cts.build.signature import signed

PASSING = b"Throttling", b"RequestLimitExceeded", b"InternalServiceError", b"InternalFailure"
MISSING = "ResourceNotFoundException", "ParameterNotFound", "ParameterVersionNotFound"
OK, OF_ARN = 200, 5


class NotThere(RunError):
    """There is nothing with that name: another try would not find it either."""

    def __init__(self, text: str) -> None:
        super().__init__(text, retryable=False)


class Aws:
    """Signed requests with the credentials that `find` gives. Each method raises RunError, and
    NotThere if what it asks for does not exist. `doing`: for errors."""

    def __init__(self, region: str, find: Callable[[], Credentials], ends_at: float) -> None:
        self.region, self.find, self.ends_at = region, find, ends_at

    def secret(self, doing: str, name: str, stage: str = "", version: str = "") -> str:
        """The text of a secret. `name` may be an ARN, also of another region."""
        asked_for = {"SecretId": name, "VersionStage": stage, "VersionId": version}
        given = {key: value for key, value in asked_for.items() if value}
        target = "secretsmanager.GetSecretValue"
        answer = self._json(doing, "secretsmanager", target, given, name)
        if "SecretBinary" in answer:
            raise RunError(f"{doing}: the secret is binary: it must be text", retryable=False)
        try:
            return str(answer["SecretString"])
        except KeyError:
            raise RunError(f"{doing}: the answer is not one of Secrets Manager") from None

    def parameter(self, doing: str, name: str, version: str = "") -> str:
        """The value of a parameter, decrypted."""
        of_version = f"{name}:{version}" if version else name
        given = {"Name": of_version, "WithDecryption": True}
        answer = self._json(doing, "ssm", "AmazonSSM.GetParameter", given, name)
        try:
            return str(answer["Parameter"]["Value"])
        except (KeyError, TypeError):
            raise RunError(f"{doing}: the answer is not one of Parameter Store") from None

    def assumed(self, doing: str, role: str, session: str) -> Credentials:
        """Credentials of a role, for an hour: AWS gives no more to one that has assumed another."""
        asked_for = {
            "Action": "AssumeRole",
            "Version": "2011-06-15",
            "RoleArn": role,
            "RoleSessionName": session,
        }
        kind = "application/x-www-form-urlencoded"
        body = urlencode(asked_for).encode()
        answer = self._answer(doing, "sts", self.region, body, {"content-type": kind})
        try:
            told = ET.fromstring(answer.body)
            if answer.status != OK:
                code, message = (
                    told.findtext(f".//{{*}}{each}", "") for each in ("Code", "Message")
                )
                raise RunError(f"{doing}: {code}: {message}")
            found = {each.tag.rpartition("}")[2]: each.text for each in told.iter()}
            token = found["SessionToken"]
            return read_credentials({**found, "Token": token})  # type: ignore[dict-item]
        except (ET.ParseError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"{doing}: the answer is not one of STS: {error!r}") from None

    def _json(
        self, doing: str, service: str, target: str, given: dict[str, Any], name: str
    ) -> dict[str, Any]:
        words = name.split(":")
        region = words[3] if len(words) > OF_ARN else self.region
        headers = {"content-type": "application/x-amz-json-1.1"}
        answer = self._answer(doing, service, region, json.dumps(given).encode(), headers, target)
        try:
            told = json.loads(answer.body)
            if answer.status == OK and isinstance(told, dict):
                return told
            code = str(told["__type"]).rpartition("#")[2]
            message = told.get("Message") or told.get("message") or ""
        except (ValueError, KeyError, TypeError):
            raise RunError(f"{doing}: HTTP {answer.status}") from None
        kind = NotThere if code in MISSING else RunError
        raise kind(f"{doing}: {code}: {message}".removesuffix(": "))

    def _answer(
        self,
        doing: str,
        service: str,
        region: str,
        body: bytes,
        headers: dict[str, str],
        target: str = "",
    ) -> Reply:
        url = _endpoint(service, region)

        def request() -> urllib.request.Request:
            credentials = self.find()
            own = signed("POST", url, body, region, credentials, service=service, target=target)
            return urllib.request.Request(url, body, headers | own, method="POST")

        def passes(answer: Reply) -> bool:
            return is_outage(answer) or any(each in answer.body for each in PASSING)

        return asked(doing, request, self.ends_at, context=context_for(url), passes=passes)


def _endpoint(service: str, region: str) -> str:
    variable = {"secretsmanager": "SECRETS_MANAGER"}.get(service, service.upper())
    given = os.environ.get(f"AWS_ENDPOINT_URL_{variable}") or os.environ.get("AWS_ENDPOINT_URL")
    china = ".cn" if region.startswith("cn-") else ""
    return f"{(given or f'https://{service}.{region}.amazonaws.com{china}').rstrip('/')}/"
