"""What the references of a task mean that HCP Terraform runs, read as a build would read it."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from cts.build.aws import Aws
from cts.build.credentials import read_credentials
from cts.build.errors import RunError
from cts.build.facts import Facts
from cts.build.hidden import Hidden
from cts.build.references import BadReference, filled
from cts.build.resolve import Values
from cts.errors import Refused, Unavailable
from cts.run.model import Run
from cts.terraform.cloud import Job
from cts.terraform.references import has_reference

SECONDS = 20.0
"""Within which all of them must be read."""


class RunSessions(Protocol):
    def credentials(self, run: Run) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Resolved:
    """The values of a workspace's variables, and what takes them out of texts."""

    sensitive: Mapping[str, Any] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    hide: Callable[[str], str]


class HcpSecrets:
    """Each run reads with its own credentials, which see what its task refers to."""

    def __init__(self, sessions: RunSessions) -> None:
        self._sessions = sessions

    def of(self, run: Run, job: Job) -> Resolved:
        """Raises Unavailable, and Refused if there is no value."""
        hidden = Hidden()
        if not has_reference([job.sensitive, job.environment]):
            return Resolved(job.sensitive, job.environment, hidden)
        facts, found = Facts(**json.loads(job.facts)), dict(self._sessions.credentials(run))
        credentials = read_credentials(found)
        aws = Aws(facts.region, lambda: credentials, time.monotonic() + SECONDS)
        try:
            with TemporaryDirectory() as own:
                values = Values(facts, aws, aws, Path(own), hidden.add)
                sensitive = {
                    name: filled(each, values, templates=name in job.providers)
                    for name, each in job.sensitive.items()
                }
                return Resolved(sensitive, filled(dict(job.environment), values), hidden)
        except BadReference as error:
            raise Refused(str(error)) from None
        except RunError as error:
            kind = Unavailable if error.retryable else Refused
            raise kind(str(error)) from None
