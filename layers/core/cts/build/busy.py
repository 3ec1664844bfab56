"""A state that someone else has locked: how long a run waits for it."""

import re
import time
from collections.abc import Callable

from cts.build.errors import Busy, RunError
from cts.build.stop import Stop
from cts.build.terraform import Codes, Ended

LOCK_SECONDS = 60.0
"""How long to wait. What a person does by hand often takes less; and when a build is killed, Consul
frees its lock after 20 to 35 seconds (a session of 15 to 30, then a delay of 5)."""
PAUSE_SECONDS = 3.0
LOCKED = re.compile(
    r"\A[^\n]*(?:acquiring the state lock|failed to lock \S* ?state)", re.IGNORECASE
)
"""In the first line: what follows may be the words of a module's program."""
HELD = re.compile(r"^[\s│]*(ID|Operation|Who|Created):[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
"""What Terraform says of a lock. Without it the lock itself could not be reached: an outage."""


class LockWait:
    """Runs Terraform's commands that lock the state."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop

    def run(
        self, run: Callable[..., Ended], command: str, *arguments: str, codes: Codes = (0,)
    ) -> Ended:
        """`run`: how, such as `TerraformProcess.run`. Raises Busy if the lock is not released in
        time, and RunError if the build is stopped before.

        Terraform waits by itself only where it locks for the command; some backends also lock to
        open the state, and that fails at once (Consul; Terraform 1.11). So it is tried again.
        """
        until = time.monotonic() + self._seconds()
        while True:
            timeout = f"-lock-timeout={max(0, until - time.monotonic()):.0f}s"
            try:
                return run(command, timeout, *arguments, codes=codes)
            except RunError as failed:
                busy = busy_from(str(failed))
                if busy is None:
                    raise
                self.stop.check()
                if time.monotonic() + PAUSE_SECONDS >= until:
                    raise busy from failed
            self.stop.pause(PAUSE_SECONDS)

    def _seconds(self) -> float:
        """At most a third of the time there is: what follows needs some, too."""
        return min(LOCK_SECONDS, max(0, self.stop.interrupt_at - time.monotonic()) / 3)


def busy_from(error: str) -> Busy | None:
    """What an error of Terraform's says of the lock's holder. None if it has another cause."""
    found = dict(HELD.findall(error))
    if not LOCKED.match(error) or "ID" not in found:
        return None
    who, since = found.get("Who", "an unknown user"), found.get("Created", "an unknown time")
    what = f"{found.get('Operation', 'unknown')}, {found['ID']}"
    because = "whoever has locked the state is expected to release it"
    return Busy(f"the state is locked by {who} since {since} ({what})", because=because)
