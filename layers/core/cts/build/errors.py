"""Why a run fails, in words."""

import sys
from collections.abc import Callable
from contextlib import suppress

from cts.build.masking import masked


class RunError(Exception):
    """A sentence: what was being done, then what came back."""

    def __init__(
        self, text: str, *, retryable: bool = True, because: str = "", logged: bool = False
    ) -> None:
        """`because`: why a retry can or can't help. `logged`: the log says it already."""
        super().__init__(text)
        self.retryable, self.because, self.logged = retryable, because, logged


class Busy(RunError):
    """Someone else works on the state; nothing was done."""


def described(failed: Exception, shown: Callable[[str], str] = masked) -> str:
    """Why a run failed, for users; an unexpected error also goes to the build's log, as `shown`."""
    if isinstance(failed, RunError):
        return str(failed)
    import traceback

    with suppress(OSError):
        print(shown(traceback.format_exc()), file=sys.stderr)
    return f"the build failed unexpectedly: {type(failed).__name__}: {failed}"
