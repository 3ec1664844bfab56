"""What follows a failed attempt. Waiting is a value: nothing here sleeps."""

from dataclasses import dataclass

MAX_RETRIES = 4
FIRST_WAIT = 10.0
BUSY_WAIT, LONGEST_BUSY_WAIT = 60.0, 600.0
GROWTH = 4
"""CTS tries three times within five seconds; a device or registry that is being restarted needs
minutes. These waits cover about fifteen minutes."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    at: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    why: str


def after_failure(
    *, failures: int, retryable: bool, now: float, jitter: float, because: str = ""
) -> RetryAt | GiveUp:
    """Decide after the `failures`-th failure in a row. `jitter` in [0, 1) spreads the wait
    between once and one and a half times its length, as CTS does. `because`: why it is not
    retryable."""
    if not retryable:
        return GiveUp("retrying can't fix this error" + (f": {because}" if because else ""))
    if failures > MAX_RETRIES:
        return GiveUp(f"failed {failures} times in a row")
    return RetryAt(now + FIRST_WAIT * GROWTH ** (failures - 1) * (1 + jitter / 2))


def after_busy(*, since: float, now: float, jitter: float) -> RetryAt:
    """When to try again after someone else had locked the state. The longer the task has waited,
    `since` it wanted to run, the longer the next wait: a lock may be forgotten for days."""
    wait = min(max(BUSY_WAIT, (now - since) / 10), LONGEST_BUSY_WAIT)
    return RetryAt(now + wait * (1 + jitter / 2))
