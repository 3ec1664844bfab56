"""Pure: the life of a task and its runs."""
