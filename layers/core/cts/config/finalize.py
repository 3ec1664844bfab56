"""CTS's defaults for what is left unset."""

from cts.config.model import Buffer
from cts.terraform.definition import BufferPeriod

DEFAULT_BUFFER = BufferPeriod(min=5.0, max=20.0)


def global_buffer(block: Buffer | None) -> BufferPeriod | None:
    """The buffer period of tasks without their own; None is switched off.

    CTS merges its default first, so that `min` alone leaves `max` at 20 s.
    """
    if block is None:
        return DEFAULT_BUFFER
    if block.enabled is False:
        return None
    shortest = DEFAULT_BUFFER.min if block.min is None else block.min
    return _raised(shortest, DEFAULT_BUFFER.max if block.max is None else block.max)


def task_buffer(block: Buffer | None, parent: BufferPeriod | None) -> BufferPeriod | None:
    """A task's buffer period. Setting any option enables it; an unset `max` is 4 x `min`."""
    if block is None or (block.enabled is None and block.min is None and block.max is None):
        return parent
    if block.enabled is False:
        return None
    shortest = (parent or DEFAULT_BUFFER).min if block.min is None else block.min
    return _raised(shortest, 4 * shortest if block.max is None else block.max)


def _raised(shortest: float, longest: float) -> BufferPeriod:
    return BufferPeriod(shortest, max(shortest, longest))
