"""`python -m local.hcp FOLDER`: serves until SIGTERM, and writes its address to FOLDER/hcp.json.

Terraform's environment is the JSON object in CTS_LOCAL_BUILD, as for builds.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

from local.hcp.server import HcpServer


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    server = HcpServer(folder / "hcp", json.loads(os.environ.pop("CTS_LOCAL_BUILD", "{}")))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.close).start())
    unfinished = folder / "hcp.json.new"
    unfinished.write_text(json.dumps({"endpoint": server.address}))
    unfinished.replace(folder / "hcp.json")
    server.serve()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
