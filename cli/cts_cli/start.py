"""The program `cts`. What takes time to import is imported inside of it, where an interruption
and an output that can't be written are handled."""

import errno
import os
import sys

INTERRUPTED, NOT_WRITTEN = 130, 2
"""Exit codes."""
OF_OUTPUTS = {errno.EIO, errno.ENOSPC, errno.EPIPE, errno.EBADF, errno.EDQUOT, errno.EFBIG}


def run() -> None:
    try:
        from cts_cli.main import app

        try:
            app()
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        if error.errno not in OF_OUTPUTS or error.filename is not None:
            raise
        _tell(f"cts: writing the output: {error.strerror}\n")
        # Python would try once more to write what is left, and end with a code of its own.
        if sys.stdout:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(NOT_WRITTEN)


def _tell(text: str) -> None:
    """If that is possible: standard error may be what can't be written."""
    from contextlib import suppress

    with suppress(OSError):
        sys.stderr.write(text)
