"""The whole thing from scratch: a change in Consul becomes an applied Terraform run.

`python -m local.demo` starts the local stack, pushes the example configuration next to this file,
changes services in Consul, shows what happens as it happens, and shuts everything down. With the
argument `terraform-cloud`, tasks run in a test server for HCP Terraform's API.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from local.consul import ConsulEnded
from local.demo.story import Story, StoryEnded, plain
from local.deploy import DeploymentFailed
from local.stack import Stack
from local.tools import PROJECT, MissingTool

FOLDERS = PROJECT / ".local"


CONFIGURATION = Path(__file__).parent / "config"
BUILDS = 'driver "terraform" {'
CLOUD = """driver "terraform-cloud" {{
  hostname     = "{}"
  organization = "demo"
  token        = "hcp-owner-token"
"""


def configuration(stack: Stack) -> Path:
    """The folder to push. With HCP Terraform, only the driver's block is another one."""
    if not stack.hcp:
        return CONFIGURATION
    folder = stack.folder / "config"
    shutil.copytree(CONFIGURATION, folder)
    text = (folder / "tasks.hcl").read_text()
    (folder / "tasks.hcl").write_text(text.replace(BUILDS, CLOUD.format(stack.hcp).rstrip()))
    return folder


def main(driver: str = "terraform") -> int:
    console = Console(highlight=False, soft_wrap=True)
    console.print()
    console.rule("[bold]cts-serverless: services in Consul, Terraform on AWS", align="left")
    is_cloud = driver == "terraform-cloud"
    runs = (
        "real Terraform, started by a test server for HCP Terraform's API"
        if is_cloud
        else ("real Terraform")
    )
    console.print(
        f"Real Consul, {runs},\n"
        "and the real template on an AWS emulator: no account needed.\n"
        "Firewall and DNS server are folders, through a test provider:\n"
        "their objects are files.\n"
    )
    FOLDERS.mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="demo-", dir=FOLDERS) as folder:
            with console.status("Starting Consul and the emulator, and deploying the stack"):
                stack = Stack.start(Path(folder), hcp=is_cloud)
            with stack:
                Story(stack, console, configuration(stack)).tell()
    except (StoryEnded, MissingTool, DeploymentFailed, ConsulEnded, TimeoutError) as error:
        console.print(f"[red]{plain(str(error))}")
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; everything was shut down.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
