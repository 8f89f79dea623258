# SPDX-License-Identifier: MIT
"""Run directories of running labs: making one, finding all."""

import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import EXIT_USAGE, LabError
from .paths import runtime_dir

INFO = "lab.json"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,23}")
# Between making a directory and describing it a lab looks stale.
YOUNG_SECONDS = 30.0


@dataclass(frozen=True)
class Running:
    name: str
    path: Path
    info: dict[str, Any]

    @property
    def control(self) -> Path:
        return self.path / "control.sock"


def _start_time(pid: int) -> int | None:
    """Tells a process from a later one of the same number."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[19])


def _read(path: Path) -> Running | None:
    try:
        info = json.loads((path / INFO).read_text(encoding="utf-8"))
        if _start_time(info["pid"]) != info["start_time"]:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Running(path.name, path, info)


def running() -> list[Running]:
    found = (_read(path) for path in sorted(runtime_dir().iterdir()))
    return [lab for lab in found if lab]


def remove_stale() -> list[str]:
    """Directories whose lab is gone; only a machine that stopped at once leaves one."""
    removed = []
    for path in runtime_dir().iterdir():
        try:
            young = time.time() - path.stat().st_mtime < YOUNG_SECONDS
        except FileNotFoundError:
            continue
        if not young and not _read(path):
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path.name)
    return removed


def choose(name: str | None) -> Running:
    labs = running()
    if name:
        labs = [lab for lab in labs if lab.name == name]
        if not labs:
            raise LabError(
                f"no lab named '{name}' is running",
                "'peerdma-lab list' shows those that are",
                EXIT_USAGE,
            )
    if not labs:
        raise LabError(
            "no lab is running", "start one with 'peerdma-lab shell' or 'run'", EXIT_USAGE
        )
    if len(labs) > 1:
        names = ", ".join(lab.name for lab in labs)
        raise LabError(
            f"several labs are running: {names}", "choose one with --lab NAME", EXIT_USAGE
        )
    return labs[0]


def make(name: str | None) -> Path:
    """A new run directory, named by the user or by the launcher's process."""
    if name and not NAME.fullmatch(name):
        raise LabError(
            f"'{name}' is not a name of at most 24 small letters, digits and '-'", status=EXIT_USAGE
        )
    path = runtime_dir() / (name or f"lab{os.getpid()}")
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if _read(path):
            raise LabError(
                f"a lab named '{path.name}' is running already", status=EXIT_USAGE
            ) from None
        shutil.rmtree(path)
        path.mkdir(mode=0o700)
    return path


def describe(path: Path, **info: Any) -> None:
    """Makes the lab known. Complete or absent, never half written."""
    info |= {"pid": os.getpid(), "start_time": _start_time(os.getpid()), "started": time.time()}
    temp = path / (INFO + ".new")
    temp.write_text(json.dumps(info, indent="\t") + "\n", encoding="utf-8")
    temp.rename(path / INFO)
