"""What a task looks at, or is given, as one hash."""

import hashlib
import json
from collections.abc import Mapping

from cts.watch.snapshot import EMPTY


def fingerprint_of(definition: str, digests: Mapping[str, str]) -> str:
    """Hash over a definition's digest and the digests of views: those that the condition looks at
    (trigger fingerprint), or all that a run is given (inputs fingerprint).

    A view without rows renders nothing, so a service that a regular expression matches and
    that has no passing instance counts the same as one that is not there.
    """
    rendered = sorted((view, digest) for view, digest in digests.items() if digest != EMPTY.digest)
    return hashlib.sha256(json.dumps([definition, rendered]).encode()).hexdigest()[:32]
