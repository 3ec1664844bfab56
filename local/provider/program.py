"""What Terraform starts as the test provider: has `parent.py` fork one, which ends with this
program, and passes on what it says.

Terraform starts it several times for each command, so it imports only what Python has built in.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import os

_signal.signal(_signal.SIGINT, _signal.SIG_IGN)  # Terraform tells a provider when to stop
provider = _socket.socket(_socket.AF_UNIX)
provider.connect("\0" + os.environ["FILES_PARENT"])
while said := provider.recv(4096):
    os.write(1, said)
