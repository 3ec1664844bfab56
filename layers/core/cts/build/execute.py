"""Starts the program in the folder `execute` next to this file.

Python looks there first for what is imported, and in this folder not at all: it is the root
module's, where modules may write files of any name while Terraform runs.
"""

import sys

sys.path[0] = __file__.removesuffix(".py")

from cts.build.main import main  # noqa: E402

sys.exit(main())
