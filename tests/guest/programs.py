# SPDX-License-Identifier: MIT
"""Programs that tests run, and waiting for what they or others bring about."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# For one command, which takes a second unless the machine is busy with something else.
LIMIT = 120.0
PAUSE = 0.02


def wait_for(what: str, ready: Callable[[], Any], limit: float = LIMIT) -> Any:
    """Return: the first that ready() gives which is true."""
    end = time.monotonic() + limit
    while not (got := ready()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {limit:g} s")
        time.sleep(PAUSE)
    return got


def tail(text: str) -> str:
    """What a person wants to read of it."""
    return text if len(text) < 4000 else "..." + text[-4000:]


def run(*argv: str, limit: float = LIMIT, fails: bool = False) -> str:
    """Return: what the program wrote; of one that must fail, its errors too."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=limit, check=False)
    said = done.stdout + done.stderr
    assert bool(done.returncode) == fails, f"{' '.join(argv)}: {done.returncode}\n{tail(said)}"
    return said if fails else done.stdout


def listens(port: int) -> bool:
    """By TCP."""
    rows = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    rows += Path("/proc/net/tcp6").read_text(encoding="ascii").splitlines()[1:]
    columns = [row.split() for row in rows]
    return any(c[1].endswith(f":{port:04X}") and c[3] == "0A" for c in columns)
