"""The main job from nothing: a change in Consul becomes an applied Terraform run.

`python -m local.demo` brings the local stack up, pushes the example configuration beside this
file, changes services in Consul, tells what happens as it happens, and takes everything down.
"""

import sys
import tempfile
from pathlib import Path

from rich.console import Console

from local.consul import ConsulEnded
from local.demo.story import Story, StoryEnded
from local.deploy import DeploymentFailed
from local.stack import Stack
from local.tools import PROJECT, MissingTool

FOLDERS = PROJECT / ".local"


def main() -> int:
    console = Console(highlight=False)
    console.print()
    console.rule("[bold]cts-serverless: services in Consul, Terraform on AWS", align="left")
    console.print(
        "Real Consul, real Terraform, the real template, on an AWS emulator. No account is used.\n"
    )
    FOLDERS.mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="demo-", dir=FOLDERS) as folder:
            with console.status("Bringing up Consul, the emulator and the deployed stack"):
                stack = Stack.start(Path(folder))
            with stack:
                Story(stack, console).tell()
    except (StoryEnded, MissingTool, DeploymentFailed, ConsulEnded, TimeoutError) as error:
        console.print(f"[red]{error}")
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; everything was taken down.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
