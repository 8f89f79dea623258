# SPDX-License-Identifier: MIT
"""In a guest: requests to the fabric of the lab, for peerdma-ctl and for tests (docs/fabric.md)."""

import fcntl
import json
from typing import Any

PORT = "/dev/peerdma-control"
LOCK = "/run/peerdma-control.lock"


def request(message: dict[str, Any]) -> dict[str, Any]:
    """The port is one stream for all: one request at a time."""
    with open(LOCK, "w", encoding="ascii") as lock, open(PORT, "r+b", buffering=0) as port:
        fcntl.flock(lock, fcntl.LOCK_EX)
        port.write(json.dumps(message).encode() + b"\n")
        line = bytearray()
        while not line.endswith(b"\n"):
            data = port.read(65536)
            if not data:
                raise ConnectionError("the fabric is gone")
            line += data
    return json.loads(line)
