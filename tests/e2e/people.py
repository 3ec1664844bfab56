"""People with roles of their own, who type commands and send requests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cts_cli.client import Emulated
from local.stack import REGION
from tests.e2e.records import PERSON
from tests.e2e.world import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.world import World

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
            "Action": "sts:AssumeRole",
        }
    ],
}


class Person:
    """Somebody with a role of their own, who types commands."""

    def __init__(self, world: World, name: str, policy: str | None) -> None:
        iam, sts = world.client("iam"), world.client("sts")
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
        if policy:
            iam.attach_role_policy(RoleName=name, PolicyArn=world.stack.outputs[policy])
        session = sts.assume_role(RoleArn=role["Arn"], RoleSessionName=PERSON)
        keys = session["Credentials"]
        self.world = world
        self.arn: str = session["AssumedRoleUser"]["Arn"]
        self.env = {
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }

    def client(self, service: str) -> Any:
        """A boto3 client with the person's rights."""
        key, secret, token = self.env.values()
        session = boto3.Session(key, secret, token, region_name=REGION)
        return session.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.world.stack.endpoint,
        )

    def types(self, *words: str, code: int = 0) -> str:
        done = self.world.cts(*words, **self.env)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def asks(self, method: str, url: str, body: object = None, **headers: str) -> httpx.Response:
        """A request signed with the person's credentials."""
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", **headers}
        return self.sends(method, quote(url, safe=":/?&=%"), data, headers)

    def sends(
        self, method: str, url: str, data: bytes, headers: Mapping[str, str]
    ) -> httpx.Response:
        """The same, with whatever body and headers."""
        signed = AWSRequest(method, url, dict(headers), data)
        SigV4Auth(Credentials(*self.env.values()), "lambda", REGION).add_auth(signed)
        with httpx.Client(transport=Emulated(self.world.stack.endpoint), timeout=PATIENCE) as http:
            sent = dict(signed.headers)
            return http.request(method, str(signed.url), content=data, headers=sent)

    def reads(self, path: str) -> Any:
        """The JSON of a good answer of the reader."""
        answer = self.asks("GET", self.world.stack.outputs["ReaderUrl"] + path.removeprefix("/"))
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    def changes(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, Any]:
        """Status and JSON of what the api answers."""
        url = self.world.stack.outputs["ApiUrl"] + path.removeprefix("/")
        answer = self.asks(method, url, body, **headers)
        return answer.status_code, answer.json()
