"""Every key of the table and of the work bucket, built in one place."""

# ---- table ----------------------------------------------------------------------------------

CURRENT = ("CONFIG", "CURRENT")
REJECTED = ("CONFIG", "REJECTED")
LEASE = ("WATCH", "LEASE")
STALE = ("WATCH", "STALE")
SLOTS = ("SLOTS", "SLOTS")
STATE = "STATE"
WATCH = "WATCH"
RUNS_BY_START = "runs-by-start"


def state(task: str) -> tuple[str, str]:
    return STATE, f"TASK#{task}"


def run(task: str, run_id: str) -> tuple[str, str]:
    return f"TASK#{task}", f"RUN#{run_id}"


def chunk(name: str) -> tuple[str, str]:
    return WATCH, f"VIEWS#{name}"


# ---- work bucket ----------------------------------------------------------------------------

BUNDLE = "config/bundle.zip"


def generation(number: int, digest: str) -> str:
    """By content: two publishers may make one number of different sources."""
    return f"generations/{number}-{digest}.json"


def definition(digest: str) -> str:
    return f"definitions/{digest}"


def module(digest: str) -> str:
    return f"modules/{digest}.zip"


def snapshot(view: str, digest: str) -> str:
    return f"views/{view}/{digest}"


def run_object(task: str, run_id: str, name: str) -> str:
    return f"runs/{task}/{run_id}/{name}"
