"""The build's command line."""

import argparse
import signal
import sys
from pathlib import Path

from cts.build.engine import ENGINES, OnPath
from cts.build.errors import described
from cts.build.facts import read_facts
from cts.build.masking import masked
from cts.build.stop import Stop


def main() -> int:
    parser = argparse.ArgumentParser(description="Execute a run's archive with Terraform.")
    parser.add_argument("--build", required=True, help="this build's id")
    parser.add_argument("--minutes", type=float, required=True, help="the build's time limit")
    parser.add_argument("--folder", type=Path, default=Path(), help="the unpacked archive")
    arguments = parser.parse_args()
    stop = Stop(arguments.minutes)
    signal.signal(signal.SIGTERM, lambda *_: stop.ask("the build was stopped"))
    shown = masked
    try:
        folder = arguments.folder.resolve()
        facts = read_facts(folder / "run.json")
        on_path = OnPath(ENGINES[facts.engine], facts.terraform_version)
        # Meanwhile it says its version.
        from cts.build.run import Execution

        execution = Execution(folder, facts, on_path, arguments.build, stop)
        shown = execution.log.shown
        return execution.execute()
    except Exception as failed:  # noqa: BLE001  even the result could not be stored
        print(shown(described(failed, shown)), file=sys.stderr)
        return 1
