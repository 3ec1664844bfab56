"""What a task's condition looks at, as one hash."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from cts.watch.query import ServicesCondition, View
from cts.watch.snapshot import EMPTY
from cts.watch.view import Row


def trigger_fingerprint(definition: str, digests: Mapping[str, str]) -> str:
    """Hash over a definition's digest and the digests of the views its condition renders.

    A view without rows renders nothing, so a service that a regular expression matches and
    that has no passing instance counts the same as one that is not there.
    """
    rendered = sorted((view, digest) for view, digest in digests.items() if digest != EMPTY.digest)
    return hashlib.sha256(json.dumps([definition, rendered]).encode()).hexdigest()[:32]


def digests(
    condition: ServicesCondition, rows: Mapping[str, Row], names: Iterable[str] | None
) -> dict[str, str] | None:
    """View id -> digest of all that the condition renders; None while some view was not read.

    `names` is the catalog's listing, None if it was not read.
    """
    if condition.regexp is not None and names is None:
        return None
    needed: tuple[View, ...] = condition.needed_views(names or ())
    if any(view.id not in rows for view in needed):
        return None
    return {view.id: rows[view.id].digest for view in needed}
