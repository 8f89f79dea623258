# SPDX-License-Identifier: MIT
"""Folders of the cache: one builder at a time, nothing half made left behind."""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

from .errors import LabError
from .progress import Progress

TEMP_PREFIX = ".building-"


@contextlib.contextmanager
def lock(folder: Path, progress: Progress) -> Iterator[None]:
    """One builder a folder; the others wait, and then mostly find the work done."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w", encoding="utf-8") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.line(f"another process is building in {folder}; waiting for it")
            fcntl.flock(f, fcntl.LOCK_EX)
        yield


def remove(path: Path) -> None:
    """Never reaches through a mount into what belongs to the host."""
    text = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    if any(line.split()[1].startswith(f"{path}/") for line in text.splitlines()):
        raise LabError(f"something is mounted below {path}", "unmount it, then try again")
    shutil.rmtree(path, ignore_errors=True)


def remove_interrupted(folder: Path) -> None:
    for old in folder.glob(TEMP_PREFIX + "*"):
        remove(old)
