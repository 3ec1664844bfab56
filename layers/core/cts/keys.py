"""Keys of the table and the work bucket, and run IDs, all built and parsed here."""

import hashlib
import re
from datetime import datetime

# ---- runs -----------------------------------------------------------------------------------

RUN_ID = re.compile(r".+-\d{8}T\d{6}-[0-9a-f]{6}")
"""`<task>-<date and time>-<random>`."""


def run_id(task: str, at: datetime, chance: str) -> str:
    """`chance`: six random hex digits, because two runs may begin in the same second."""
    return f"{task}-{at:%Y%m%dT%H%M%S}-{chance}"


def task_of(run_id: str) -> str:
    return run_id.rsplit("-", 2)[0]


def session_name(run_id: str) -> str:
    """The end of a run's ID. The name of its task may have letters that STS does not accept."""
    return "-".join(run_id.rsplit("-", 2)[1:])


# ---- table ----------------------------------------------------------------------------------

CURRENT = ("CONFIG", "CURRENT")
REJECTED = ("CONFIG", "REJECTED")
ATTEMPT = ("CONFIG", "ATTEMPT")
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
API_TASKS = "config/tasks/"


def api_task(name: str) -> str:
    """What people have made of a task through the API."""
    return f"{API_TASKS}{name}"


def tasks_shown(digest: str) -> str:
    """A generation's tasks as the API shows them."""
    return f"generations/tasks-{digest}.json"


def generation(number: int, digest: str) -> str:
    """Includes the digest: two publishers may use the same number for different sources."""
    return f"generations/{number}-{digest}.json"


def definition(digest: str) -> str:
    return f"definitions/{digest}"


def module(digest: str) -> str:
    return f"modules/{digest}.zip"


def snapshot(view: str, digest: str) -> str:
    return f"views/{view}/{digest}"


def fed(task: str) -> str:
    return f"fed/{task}.json"


def uploaded(task: str) -> str:
    return f"uploaded/{task}.json"


def build_object(folder: str, name: str) -> str:
    return f"builds/{folder}/{name}"


def warm_build(request: str) -> str:
    """What the warm lane executes a run with, from the ID of the invocation, which a module must
    not know: with it, it could answer in the function's place."""
    return f"warm-{hashlib.sha256(request.encode()).hexdigest()[:16]}"


def ended(build: str) -> str:
    """The record of a run in the warm lane that nothing of this build is left."""
    return f"ended/{build}"


def run_object(task: str, run_id: str, name: str) -> str:
    return f"runs/{task}/{run_id}/{name}"
