"""What a task's condition looks at, as one hash."""

import hashlib
import json
from collections.abc import Mapping

from cts.watch.snapshot import EMPTY


def trigger_fingerprint(definition: str, digests: Mapping[str, str]) -> str:
    """Hash over a definition's digest and the digests of the views its condition renders.

    A view without rows renders nothing, so a service that a regular expression matches and
    that has no passing instance counts the same as one that is not there.
    """
    rendered = sorted((view, digest) for view, digest in digests.items() if digest != EMPTY.digest)
    return hashlib.sha256(json.dumps([definition, rendered]).encode()).hexdigest()[:32]
